"""``write-tags --album``: what an album's tracks agree on is written into each of them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.conftest import chord, run_cli, write_wav

# File name: album artist, and how likely it is rock instead of jazz.
TRACKS = {
    "1": ("The Band", 0.9),
    "2": ("The Band", 0.8),
    "3": ("The Band", 0.3),
    "4": ("Various Artists", 0.9),
    "5": ("Various Artists", 0.2),
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a database of an album and a compilation, scanned, with what was heard set."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    music = tmp_path / "music"
    music.mkdir()
    for name, (artist, _) in TRACKS.items():
        wav = write_wav(tmp_path / "a.wav", chord(3.0, pitch_hz=200.0 + 20 * int(name)))
        tags = ["-metadata", f"album_artist={artist}", "-metadata", f"album=By {artist}"]
        command = ["ffmpeg", "-v", "error", "-i", str(wav), *tags, str(music / f"{name}.flac")]
        subprocess.run(command, check=True)
    path = tmp_path / "a.db"
    assert run_cli("scan", music, "--db", path, "--workers", 1).exit_code == 0
    with sqlite3.connect(path) as connection:
        for name, (_, rock) in TRACKS.items():
            shares = {"rock": rock, "jazz": 1 - rock}
            connection.execute(
                "update predictions set genre = ?, confidence = ?, probabilities = ?"
                " where file_id = (select id from files where path = ?)",
                (max(shares, key=lambda genre: shares[genre]), max(shares.values()),
                 json.dumps(shares), bytes(music / f"{name}.flac")),
            )  # fmt: skip
    return path


def genres(database: Path) -> list[str]:
    from mutagen.flac import FLAC

    return [FLAC(database.parent / "music" / f"{name}.flac")["genre"][0] for name in TRACKS]


def test_an_album_gets_one_genre_and_a_compilation_does_not(database: Path) -> None:
    assert run_cli("write-tags", "--db", database, "--album", "--yes").exit_code == 0
    assert genres(database) == ["Rock", "Rock", "Rock", "Rock", "Jazz"]


def test_tracks_vote_even_if_they_are_not_written(database: Path) -> None:
    track = database.parent / "music" / "3.flac"
    planned = run_cli("write-tags", track, "--db", database, "--album", "--dry-run", "--json")
    [file] = json.loads(planned.stdout)["files"]
    assert file["new"] == ["Rock"]


def test_without_it_each_track_is_by_itself(database: Path) -> None:
    assert run_cli("write-tags", "--db", database, "--yes").exit_code == 0
    assert genres(database) == ["Rock", "Rock", "Jazz", "Rock", "Jazz"]
