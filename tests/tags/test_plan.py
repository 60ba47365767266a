"""Which genres are chosen, and why a file is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.genres import GENRES, find_genres, load_names
from tagger.library.journal import Candidate
from tagger.tags.plan import Mode, Policy, choose_genres, combine, describe_source

SHARES = {"hiphop": 0.55, "pop": 0.25, "rock": 0.15, "jazz": 0.05}


def candidate(**changes: Any) -> Candidate:
    facts: dict[str, Any] = {
        "file_id": 1, "path": "/music/a.mp3", "size": 1, "mtime_ns": 1, "container": "mp3",
        "codec": "mp3", "status": "classified", "reason": None, "model_id": "cnn-12",
        "probabilities": SHARES,
    }  # fmt: skip
    return Candidate(**{**facts, **changes})


CHOICES: list[tuple[dict[str, Any], list[str], str | None]] = [
    ({}, ["Hip-Hop"], None),
    ({"top": 2}, ["Hip-Hop", "Pop"], None),
    ({"top": 9}, ["Hip-Hop", "Pop"], None),  # rock has less than a further genre needs
    ({"min_confidence": 0.6}, [], "not sure: Hip-Hop 0.55 < 0.60"),
    ({"min_confidence": 0.55}, ["Hip-Hop"], None),
    ({"only": frozenset({"hiphop"}), "top": 2}, ["Hip-Hop"], None),
    ({"only": frozenset({"pop"})}, [], "not wanted: Hip-Hop"),
    ({"excluded": frozenset({"hiphop"})}, [], "not wanted: Hip-Hop"),
    ({"excluded": frozenset({"pop"}), "top": 2}, ["Hip-Hop"], None),
    ({"names": {"hiphop": "Rap"}}, ["Rap"], None),
    ({"names": {"hiphop": ""}, "top": 2}, [], "mapped to nothing: Hip-Hop"),
    ({"names": {"pop": ""}, "top": 2}, ["Hip-Hop"], None),
    ({"names": {"hiphop": "Urban", "pop": "Urban"}, "top": 2}, ["Urban"], None),
]


@pytest.mark.parametrize(("policy", "expected", "reason"), CHOICES)
def test_choice(policy: dict[str, Any], expected: list[str], reason: str | None) -> None:
    assert choose_genres(candidate(), Policy(**policy)) == (expected, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "skipped", "reason": "silence"}, "not classified: silence"),
        ({"status": "failed", "reason": "empty file"}, "not classified: empty file"),
        ({"probabilities": {}}, "not classified: scan it again"),
    ],
)
def test_not_classified(changes: dict[str, Any], reason: str) -> None:
    assert choose_genres(candidate(**changes), Policy()) == ([], reason)


@pytest.mark.parametrize(
    ("mode", "old", "wanted", "separator", "expected"),
    [
        (Mode.FILL, [], ["Rock", "Pop"], None, ["Rock", "Pop"]),
        (Mode.FILL, [], ["Rock", "Pop"], "; ", ["Rock; Pop"]),
        (Mode.MERGE, ["Indie"], ["Rock"], None, ["Indie", "Rock"]),
        (Mode.MERGE, ["Indie"], ["Rock"], "/", ["Indie/Rock"]),
        (Mode.MERGE, ["Indie/Folk"], ["Folk", "Rock"], "/", ["Indie/Folk/Rock"]),
        (Mode.MERGE, ["rock"], ["Rock", "Pop"], None, ["rock", "Pop"]),
        (Mode.REPLACE, ["Indie"], ["Rock"], None, ["Rock"]),
        (Mode.REPLACE, ["Rock"], ["Rock", "Pop"], None, ["Rock", "Pop"]),
    ],
)
def test_combination(
    mode: Mode, old: list[str], wanted: list[str], separator: str | None, expected: list[str]
) -> None:
    assert combine(old, wanted, Policy(mode=mode), separator) == (expected, None)


@pytest.mark.parametrize(
    ("mode", "old", "reason"),
    [
        (Mode.FILL, ["Indie", "Folk"], "already has a genre: Indie; Folk"),
        (Mode.MERGE, ["Indie", "ROCK"], "would not change"),
        (Mode.REPLACE, ["Rock"], "would not change"),
    ],
)
def test_nothing_to_combine(mode: Mode, old: list[str], reason: str) -> None:
    assert combine(old, ["Rock"], Policy(mode=mode), None) == ([], reason)


def test_provenance_text() -> None:
    assert describe_source(candidate()) == "hiphop 0.55, pop 0.25, rock 0.15 (cnn-12)"


def test_genres_are_found_as_people_write_them() -> None:
    assert find_genres(["Hip-Hop", "hip hop", "ROCK"], GENRES) == {"hiphop", "rock"}


def test_map_file(tmp_path: Path) -> None:
    path = tmp_path / "names.toml"
    path.write_text('metal = "Heavy Metal"\n"Hip-Hop" = " Rap "\ndisco = ""\n')
    assert load_names(path, GENRES) == {"metal": "Heavy Metal", "hiphop": "Rap", "disco": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metal = ", "is not TOML: "),
        ("metal = 3", 'metal must be a name in quotes, or "" for nothing'),
        ('metal = "a\\u0007b"', 'metal must be a name in quotes, or "" for nothing'),
        ('polka = "x"', "no genre 'polka'; the genres are blues, classical, "),
    ],
)
def test_bad_map_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "names.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=message):
        load_names(path, GENRES)


def test_missing_map_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="can't be read: No such file or directory$"):
        load_names(tmp_path / "none.toml", GENRES)
