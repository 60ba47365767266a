"""``tagger write-tags`` and ``tagger undo`` as a person meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import Result

from tagger.library.lock import writer_lock
from tests.conftest import run_cli
from tests.tags.library import Library
from tests.tags.sounds import add_tags, make_sound, read_genres


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Return a folder with two scanned albums of two files each, one with a genre."""
    folder = tmp_path / "music"
    library = Library(tmp_path / "tagger.db")
    for album in ("A", "B"):
        (folder / album).mkdir(parents=True)
        for kind in ("mp3", "flac"):
            path = make_sound(folder / album, kind)
            if (album, kind) == ("B", "flac"):
                add_tags(path, ["Techno"])
            library.add(path)
    library.store.connection.close()
    return folder


def run(music: Path, command: str, *arguments: object) -> Result:
    return run_cli(command, "--db", music.parent / "tagger.db", *arguments)


def genres(music: Path) -> list[list[str]]:
    return [read_genres(path) for path in sorted(music.rglob("*.*"))]


NOTHING = [[], [], ["Techno"], []]


def test_dry_run_shows_and_changes_nothing(music: Path) -> None:
    result = run(music, "write-tags", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{music}/A\n"
        "  sound.flac: (none) -> Rock  (0.60)\n"
        "  sound.mp3: (none) -> Rock  (0.60)\n"
        f"{music}/B\n"
        "  sound.flac: left alone, already has a genre: Techno\n"
        "  sound.mp3: (none) -> Rock  (0.60)\n"
        "      1  left alone: already has a genre\n"
        "4 files = 3 to write + 1 left alone + 0 failed\n"
    )
    assert genres(music) == NOTHING


def test_write_and_undo(music: Path) -> None:
    result = run(music, "write-tags", "--yes", "--mode", "merge")
    assert result.exit_code == 0
    assert "4 written, 0 failed, in " in result.stdout
    assert genres(music) == [["Rock"], ["Rock"], ["Techno", "Rock"], ["Rock"]]
    again = run(music, "write-tags", "--yes", "--mode", "merge")
    assert again.exit_code == 0
    assert "4 files = 0 to write + 4 left alone + 0 failed" in again.stdout
    result = run(music, "undo", "--yes")
    assert result.exit_code == 0
    assert f"{music}/B/sound.flac: Techno; Rock -> Techno\n" in result.stdout
    assert "4 taken back, 0 left alone, in " in result.stdout
    assert genres(music) == NOTHING
    result = run(music, "undo", "--yes")
    assert (result.exit_code, result.stderr) == (
        2,
        "tagger: nothing to take back: no write there that was not undone\n",
    )


def test_paths_limit_both(music: Path) -> None:
    run(music, "write-tags", "--yes", music / "A", music / "B" / "sound.mp3")
    assert genres(music) == [["Rock"], ["Rock"], ["Techno"], ["Rock"]]
    run(music, "undo", "--yes", music / "A")
    assert genres(music) == [[], [], ["Techno"], ["Rock"]]
    result = run(music, "undo", "--yes", "--run", 1)
    assert result.exit_code == 0
    assert genres(music) == NOTHING


def test_options_reach_the_plan(music: Path) -> None:
    names = music.parent / "names.toml"
    names.write_text('rock = "Rock & Roll"')
    run(
        music, "write-tags", "--yes", "--mode", "replace", "--top", 3, "--except", "jazz", "--map",
        names, "--joined", " + ", "--provenance", music / "A" / "sound.flac",
    )  # fmt: skip
    path = music / "A" / "sound.flac"
    assert read_genres(path) == ["Rock & Roll + Pop"]
    assert b"TAGGER_GENRE=rock 0.60, pop 0.22, jazz 0.20 (made-up-1)" in path.read_bytes()


def test_json(music: Path) -> None:
    (music / "A" / "sound.mp3").chmod(0o444)
    result = run(music, "write-tags", "--json", "--yes")
    account = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {key: account[key] for key in ("to_write", "left_alone", "written", "failed")} == {
        "to_write": 2, "left_alone": 1, "written": 2, "failed": 1,
    }  # fmt: skip
    assert [file["status"] for file in account["files"]] == [
        "written", "failed", "left alone", "written",
    ]  # fmt: skip
    assert account["files"][0]["new"] == ["Rock"]
    assert account["files"][1]["reason"] == "read-only"
    assert result.stderr == f"{music}/A/sound.mp3: read-only\n"
    undone = json.loads(run(music, "undo", "--json", "--yes").stdout)
    assert (undone["undone"], undone["failed"]) == (2, 0)


def test_nobody_to_ask(music: Path) -> None:
    result = run(music, "write-tags")
    assert result.exit_code == 2
    assert result.stderr == (
        "tagger: there is no terminal on which to ask 'Write 3 files?': say --yes\n"
    )
    assert genres(music) == NOTHING


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "polka"], "no genre 'polka'; the genres are blues, hiphop, rock, pop, jazz"),
        (["/nowhere"], "no scanned file there: run `tagger scan` on it first"),
    ],
)
def test_usage(music: Path, arguments: list[str], message: str) -> None:
    result = run(music, "write-tags", "--yes", *arguments)
    assert (result.exit_code, result.stderr) == (2, f"tagger: {message}\n")


def test_unknown_run(music: Path) -> None:
    result = run(music, "undo", "--yes", "--run", 9)
    assert (result.exit_code, result.stderr) == (
        2,
        "tagger: there is no run 9; the last one is None\n",
    )


def test_no_database(tmp_path: Path) -> None:
    for command in ("write-tags", "undo"):
        result = run_cli(command, "--db", tmp_path / "none.db", "--yes")
        assert result.exit_code == 2
        assert "run `tagger scan FOLDER` first" in result.stderr


def test_left_alone_by_undo(music: Path) -> None:
    run(music, "write-tags", "--yes")
    add_tags(music / "A" / "sound.flac", ["Dub"])
    result = run(music, "undo", "--yes")
    assert result.exit_code == 1
    assert result.stderr == (
        f"{music}/A/sound.flac: its genre is no longer what was written: Rock; Dub\n"
    )
    assert "2 taken back, 1 left alone, in " in result.stdout


def test_two_writers(music: Path) -> None:
    with writer_lock(music.parent / "tagger.db", "write-tags"):
        result = run(music, "write-tags", "--yes")
    assert result.exit_code == 2
    assert result.stderr == (
        f"tagger: tagger write-tags (process {os.getpid()}) is changing files of this library:"
        " wait until it ends, then try again\n"
    )
    assert run(music, "write-tags", "--yes").exit_code == 0


def test_a_name_does_nothing_to_the_terminal(music: Path) -> None:
    evil = music / "A" / "x\x1b]0;owned\x07\n.mp3"
    (music / "A" / "sound.mp3").rename(evil)
    library = Library(music.parent / "tagger.db")
    library.add(evil)
    library.store.connection.close()
    result = run(music, "write-tags", "--dry-run")
    assert "x\\x1b]0;owned\\x07\\n.mp3: (none) -> Rock" in result.stdout
    assert "\x1b" not in result.stdout


def test_ctrl_c_stops_between_files(music: Path) -> None:
    library = Library(music.parent / "tagger.db")
    source = music / "A" / "sound.mp3"
    for number in range(400):
        path = music / f"{number:03}.mp3"
        path.write_bytes(source.read_bytes())
        library.add(path)
    library.store.connection.close()
    database = str(music.parent / "tagger.db")
    command = [sys.executable, "-m", "tagger", "write-tags", "--yes", "--db", database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and b"TCON" not in (music / "000.mp3").read_bytes():
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"stopping after the files at hand" in stderr
    assert not list(music.rglob(".tagger-*"))
    written = sum(b"TCON" in path.read_bytes() for path in music.glob("*.mp3"))
    assert 0 < written < 400
    undone = json.loads(run(music, "undo", "--json", "--yes").stdout)
    assert undone["failed"] == 0
    assert not any(b"TCON" in path.read_bytes() for path in music.glob("*.mp3"))
