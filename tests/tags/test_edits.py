"""What differs between two files, and the way back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import TagError
from tagger.tags.edits import Edit, find_edits, rebuild, way_back
from tagger.tags.write import copy_stretch

NOISE = random.Random(0).randbytes(300_000)

changes = st.lists(
    st.tuples(st.integers(0, 300_000), st.integers(0, 5000), st.binary(max_size=300)), max_size=4
)


def changed(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, removed, put in edits:
        data = data[:at] + put + data[at + removed :]
    return data


@given(changes)
def test_edits_cover_every_difference(made: list[tuple[int, int, bytes]]) -> None:
    new = changed(NOISE, made)
    edits = find_edits(NOISE, new)
    rebuilt, at = b"", 0
    for edit in edits:
        rebuilt += new[at : edit.new_start] + NOISE[edit.start : edit.stop]
        at = edit.new_stop
    assert rebuilt + new[at:] == NOISE


def test_a_grown_head_and_a_changed_end_are_two_small_edits() -> None:
    old = b"tag" + bytes(50) + NOISE + b"TAG" + bytes(125)
    new = b"a longer tag" + bytes(900) + NOISE + b"TAG" + bytes(124) + b"\1"
    edits = find_edits(old, new)
    assert edits[0].stop <= 53
    assert edits[-1] == Edit(len(old) - 1, len(old), len(new) - 1, len(new))
    assert sum(edit.stop - edit.start for edit in edits) < 60


@pytest.mark.parametrize(("old", "new"), [(b"", b"x"), (b"x", b""), (b"", b""), (b"ab", b"b")])
def test_tiny_files(old: bytes, new: bytes) -> None:
    assert bool(find_edits(old, new)) == (old != new)


def files(tmp_path: Path, new: bytes) -> tuple[Path, Path]:
    source, target = tmp_path / "new", tmp_path / "rebuilt"
    source.write_bytes(new)
    target.write_bytes(b"")
    return source, target


def go_back(source: Path, target: Path, back: bytes) -> bool:
    with source.open("rb") as new, target.open("r+b") as old:
        return rebuild(new, old, back, copy_stretch)


def test_rebuild_gives_the_old_file(tmp_path: Path) -> None:
    new = changed(NOISE, [(0, 10, b"tag" * 400), (200_000, 5, b""), (299_000, 0, b"end")])
    source, target = files(tmp_path, new)
    back = way_back(NOISE, new, find_edits(NOISE, new))
    assert back is not None
    assert go_back(source, target, back)
    assert target.read_bytes() == NOISE


def test_rebuild_keeps_what_changed_elsewhere(tmp_path: Path) -> None:
    new = b"new tag" + NOISE
    back = way_back(NOISE, new, find_edits(NOISE, new))
    assert back is not None
    source, target = files(tmp_path, new[:100_000] + b"!" + new[100_001:])
    assert go_back(source, target, back)
    assert target.read_bytes() == NOISE[: 100_000 - 7] + b"!" + NOISE[100_001 - 7 :]


@pytest.mark.parametrize("other", [b"NEW tag" + NOISE, b"new tag" + NOISE + b"!"])
def test_rebuild_refuses_another_file(tmp_path: Path, other: bytes) -> None:
    new = b"new tag" + NOISE
    back = way_back(NOISE, new, find_edits(NOISE, new))
    assert back is not None
    assert not go_back(*files(tmp_path, other), back)


def test_too_much_to_keep() -> None:
    assert way_back(bytes(2 << 20), b"", find_edits(bytes(2 << 20), b"")) is None


def test_damaged_record(tmp_path: Path) -> None:
    with pytest.raises(TagError, match="^the journal's record of this file is damaged$"):
        go_back(*files(tmp_path, b"x"), b"not zlib")
