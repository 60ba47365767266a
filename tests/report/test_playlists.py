from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tagger.report.playlists import entry, playlist_name
from tests.conftest import run_cli
from tests.report.library import HOSTILE_NAMES, failure, plain_tracks, track, write_database

ROCK = {"rock": 0.8, "jazz": 0.2}
UNSURE = {"jazz": 0.4, "rock": 0.35, "pop": 0.25}


def resolve(line: str, folder: Path) -> bytes:
    """Return the file that a player opens for a playlist's line."""
    if line.startswith("file://"):
        return unquote_to_bytes(line.removeprefix("file://"))
    return os.path.normpath(os.fsencode(folder) + b"/" + line.encode())


def test_a_playlist_per_genre_of_what_is_sure(tmp_path: Path) -> None:
    results = [
        track(1, f"{tmp_path}/music/b.flac", probabilities=ROCK, duration_seconds=61.5),
        track(2, f"{tmp_path}/music/a.flac", probabilities=ROCK, title=None, artist=None),
        track(3, f"{tmp_path}/music/c.flac", probabilities=UNSURE),
        failure(f"{tmp_path}/music/d.flac", "empty file"),
    ]
    database = write_database(tmp_path / "a.db", results)
    folder = tmp_path / "lists" / "new"
    result = run_cli("report", "--db", database, "--format", "m3u8", "-o", folder)
    assert result.stdout == f"{folder}/Rock.m3u8: 2 tracks\n"
    assert result.stderr == (
        "1 track is in no playlist: heard with a confidence below 0.5 (--min-confidence)\n"
    )
    assert [path.name for path in folder.iterdir()] == ["Rock.m3u8"]
    assert (folder / "Rock.m3u8").read_text() == (
        "#EXTM3U\n#PLAYLIST:Rock\n"
        "#EXTINF:122,a\n../../music/a.flac\n"
        "#EXTINF:62,Artist 0 - Song 1\n../../music/b.flac\n"
    )
    run_cli("report", "--db", database, "--format", "m3u8", "-o", folder, "--min-confidence", 0.3)
    assert sorted(path.name for path in folder.iterdir()) == ["Jazz.m3u8", "Rock.m3u8"]


@pytest.mark.skipif(os.name == "nt", reason="names that Windows has not")
def test_odd_names_lead_to_their_files(tmp_path: Path) -> None:
    paths = [os.fsencode(tmp_path) + b"/" + name for name in HOSTILE_NAMES]
    results = [track(n, os.fsdecode(path), probabilities=ROCK) for n, path in enumerate(paths)]
    database = write_database(tmp_path / "a.db", results)
    run_cli("report", "--db", database, "--format", "m3u8", "-o", tmp_path)
    lines = (tmp_path / "Rock.m3u8").read_text("utf-8").splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    assert sorted(resolve(line, tmp_path) for line in entries) == sorted(paths)
    assert len(lines) == 2 + 2 * len(paths)
    assert not any(line != line.strip() for line in lines)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (b"/m/a.mp3", "a.mp3"),
        (b"/a.mp3", "../a.mp3"),
        (b"/m/#1.mp3", "./#1.mp3"),
        (b"/m/http:/x.mp3", "./http:/x.mp3"),
        (b"/m/caf\xe9.mp3", "file:///m/caf%E9.mp3"),
        (b"/m/a\nb.mp3", "file:///m/a%0Ab.mp3"),
        (b"/m/a ", "file:///m/a%20"),
        ("/m/é 🎵.mp3".encode(), "é 🎵.mp3"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_entries(path: bytes, line: str) -> None:
    assert entry(path, b"/m") == line


def test_a_genres_name_is_a_file_name() -> None:
    assert playlist_name("hiphop") == "Hip-Hop.m3u8"
    assert playlist_name("drum/bass: 90s?") == "Drum_Bass_ 90S_.m3u8"


def test_by_album_the_whole_album_is_in_one_playlist(tmp_path: Path) -> None:
    shares = ({"rock": 0.9, "jazz": 0.1}, {"rock": 0.8, "jazz": 0.2}, {"jazz": 0.6, "rock": 0.4})
    results = [track(n, f"/music/{n}", probabilities=p) for n, p in enumerate(shares)]
    database = write_database(tmp_path / "a.db", results)
    command = ("report", "--db", database, "--format", "m3u8", "-o")
    assert "Jazz.m3u8: 1 track\n" in run_cli(*command, tmp_path / "tracks").stdout
    assert run_cli(*command, tmp_path / "albums", "--by", "album").stdout == (
        f"{tmp_path}/albums/Rock.m3u8: 3 tracks\n"
    )


def test_albums_as_a_table(tmp_path: Path) -> None:
    results = plain_tracks(20) + [
        track(n, f"/va/{n}", album="Hits", album_artist="Various Artists") for n in range(20, 24)
    ]
    database = write_database(tmp_path / "a.db", results)
    lines = run_cli("report", "--db", database, "--by", "album").stdout.splitlines()
    assert lines[0].startswith(
        "album_artist,album,tracks,compilation,genre,confidence,agreeing,existing_genres,blues,"
    )
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["Artist 0", "Album 0", "10", "0"],
        ["Artist 0", "Album 1", "10", "0"],
        ["Various Artists", "Hits", "4", "1"],
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--format", "m3u8"],
            "playlists are several files: name a folder for them with -o FOLDER",
        ),
        (
            ["--format", "html", "--by", "album"],
            "--by album goes with csv, json and m3u8; the page shows albums anyway",
        ),
        (
            ["--format", "m3u8", "-o", "{tmp}/a.db"],
            "{tmp}/a.db can't be written: File exists",
        ),
        (
            ["--format", "html", "-o", "{tmp}/none/x.html"],
            "{tmp}/none/x.html can't be written: No such file or directory",
        ),
    ],
)
def test_errors(options: list[str], message: str, tmp_path: Path) -> None:
    write_database(tmp_path / "a.db", plain_tracks(1))
    arguments = [option.format(tmp=tmp_path) for option in options]
    result = run_cli("report", "--db", tmp_path / "a.db", *arguments)
    assert (result.exit_code, result.stderr) == (2, f"tagger: {message.format(tmp=tmp_path)}\n")
