"""Every container, with and without tags, in every mode: what changes, and what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tagger.tags.plan import Mode
from tests.tags.library import ALL_THREE, Library
from tests.tags.sounds import KINDS, add_tags, packets_digest, read_genres, snapshot

Maker = Callable[[str, Path], Path]

EXPECTED = {
    ("fill", 1, False): ["Rock"],
    ("fill", 3, False): ALL_THREE,
    ("merge", 1, False): ["Rock"],
    ("merge", 3, False): ALL_THREE,
    ("merge", 1, True): ["Techno", "Pop", "Rock"],
    ("merge", 3, True): ["Techno", "Pop", "Rock", "Jazz"],
    ("replace", 1, False): ["Rock"],
    ("replace", 3, False): ALL_THREE,
    ("replace", 1, True): ["Rock"],
    ("replace", 3, True): ALL_THREE,
}


@pytest.mark.parametrize(("mode", "top", "tagged"), EXPECTED)
@pytest.mark.parametrize("kind", KINDS)
def test_write_and_undo(
    kind: str, mode: str, top: int, tagged: bool, sounds: Maker, library: Library, music: Path
) -> None:
    path = sounds(kind, music)
    if tagged:
        add_tags(path, ["Techno", "Pop"])
    check(library, path, mode, top, EXPECTED[mode, top, tagged])


@pytest.mark.parametrize("mode", ["fill", "merge", "replace"])
@pytest.mark.parametrize("kind", KINDS)
def test_tags_without_a_genre(
    kind: str, mode: str, sounds: Maker, library: Library, music: Path
) -> None:
    path = sounds(kind, music)
    add_tags(path, [])
    check(library, path, mode, 3, ALL_THREE)


@pytest.mark.parametrize("kind", KINDS)
def test_fill_leaves_a_genre_alone(kind: str, sounds: Maker, library: Library, music: Path) -> None:
    path = sounds(kind, music)
    add_tags(path, ["Techno", "Pop"])
    library.add(path)
    [decision] = library.plan()
    assert decision.reason == "already has a genre: Techno; Pop"


def check(library: Library, path: Path, mode: str, top: int, expected: list[str]) -> None:
    """Write and undo one file; everything that must not change is compared."""
    before, tags, audio = path.read_bytes(), snapshot(path), packets_digest(path)
    library.add(path)
    [outcome] = library.write(mode=Mode(mode), top=top, provenance=True)
    assert outcome.reason is None
    assert read_genres(path) == expected
    assert snapshot(path) == tags
    assert packets_digest(path) == audio
    assert library.is_unchanged(path)
    assert list(path.parent.iterdir()) == [path]
    [outcome] = library.undo()
    assert outcome.reason is None
    assert path.read_bytes() == before
    assert library.is_unchanged(path)


# FFmpeg shows the first of several values, or all of them joined; so one is written.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "spx"])
def test_ffmpeg_reads_the_genre(kind: str, sounds: Maker, library: Library, music: Path) -> None:
    path = sounds(kind, music)
    library.add(path, probabilities={"hiphop": 0.9})
    library.write(provenance=True)
    with av.open(os.fspath(path), metadata_errors="replace") as container:
        tags = {**container.metadata, **container.streams.audio[0].metadata}
    assert {key.lower(): text for key, text in tags.items()}["genre"] == "Hip-Hop"


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffprobe")
@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "m4a", "wav", "wv"])
def test_ffprobe_reads_the_genre(kind: str, sounds: Maker, library: Library, music: Path) -> None:
    path = sounds(kind, music)
    library.add(path, probabilities={"hiphop": 0.9})
    library.write()
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    tags = found["format"].get("tags", {}) | found["streams"][0].get("tags", {})
    assert {key.lower(): text for key, text in tags.items()}["genre"] == "Hip-Hop"


@pytest.mark.parametrize("kind", KINDS)
def test_joined_is_one_value(kind: str, sounds: Maker, library: Library, music: Path) -> None:
    path = sounds(kind, music)
    add_tags(path, [])
    library.add(path)
    library.write(top=3, joined="; ")
    assert read_genres(path) == ["Rock; Pop; Jazz"]
    library.add(path)
    [decision] = library.plan(mode=Mode.MERGE, top=3, joined="; ")
    assert decision.reason == "would not change"


@pytest.mark.parametrize("kind", KINDS)
def test_undo_by_the_genre_field_alone(
    kind: str, sounds: Maker, library: Library, music: Path
) -> None:
    """Another program changed the title since: that stays, the genre goes back."""
    from mutagen import File

    path = sounds(kind, music)
    add_tags(path, ["Techno", "Pop"])
    library.add(path)
    library.write(mode=Mode.REPLACE, provenance=True)
    audio = File(path)
    key = {"ID3": "TIT2", "MP4": "\xa9nam", "ASF": "Title"}
    name = next(
        (field for word, field in key.items() if word in type(audio.tags).__name__), "title"
    )
    if name == "TIT2":
        audio.tags["TIT2"].text = ["A much longer title than there was before"]
    else:
        audio.tags[name] = "A much longer title than there was before"
    audio.save()
    tags = snapshot(path)
    [outcome] = library.undo()
    assert outcome.reason is None
    assert read_genres(path) == ["Techno", "Pop"]
    assert "A much longer title" in str(snapshot(path))
    assert snapshot(path) == tags
    assert b"TAGGER_GENRE" not in path.read_bytes()
