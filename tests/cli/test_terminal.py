"""What a person sees at a terminal, and what a pipe gets."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tagger.cli import terminal
from tagger.cli.terminal import bar, print_counts, short_folder
from tests.conftest import chord, run_cli, write_wav

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Return a folder with one good file and two bad ones, one of them named to do harm."""
    folder = tmp_path / "music"
    folder.mkdir()
    write_wav(folder / "good.wav", chord(6.0))
    (folder / "empty.mp3").touch()
    (folder / "[red]\x1b[31mbad.mp3").write_text("<!DOCTYPE html>")
    return folder


def on_terminal(*arguments: object, columns: int = 100, **environment: str) -> str:
    """Run tagger on a terminal of its own; return all that it wrote there."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    process, descriptor = pty.fork()
    if process == 0:
        for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS"):
            os.environ.pop(name, None)
        os.environ.update({"TERM": "xterm-256color"} | environment)
        while os.get_terminal_size(1).columns != columns:
            pass
        command = [sys.executable, "-m", "tagger", *map(str, arguments)]
        os.execv(sys.executable, command)
    size = struct.pack("HHHH", 24, columns, 0, 0)  # rows, columns and no pixels
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
    output = b""
    with contextlib.suppress(OSError):
        while piece := os.read(descriptor, 65_536):
            output += piece
    os.close(descriptor)
    os.waitpid(process, 0)
    return output.decode()


def test_a_scan_on_a_terminal(music: Path, tmp_path: Path) -> None:
    shown = on_terminal("scan", music, "--db", tmp_path / "a.db", "--workers", 1)
    assert re.search(r"scan: 100%\|█+\| 3/3 \[.*, 2 failed, .*/music\]", shown)
    assert COLOUR.search(shown)
    plain = COLOUR.sub("", shown)
    assert re.search(r"Heard \([01] of 1 surely\)", plain)
    assert re.search(r"failed: empty file +1 +█", plain)
    assert "tagger write-tags --dry-run --db " in plain
    assert "tagger scan --retry-failed " in plain
    assert "3 found = 1 classified + 0 unchanged + 0 moved + 0 skipped + 2 failed, in " in plain
    assert "[red]\\x1b[31mbad.mp3: not an audio file: web page" in plain


def test_no_color_means_none_at_all(music: Path, tmp_path: Path) -> None:
    shown = on_terminal("scan", music, "--db", tmp_path / "a.db", "--workers", 1, NO_COLOR="1")
    assert COLOUR.search(shown) is None
    assert "Heard (" in shown


def test_a_pipe_is_calm(music: Path, tmp_path: Path) -> None:
    result = run_cli("scan", music, "--db", tmp_path / "a.db", "--workers", 1)
    assert ESCAPE not in result.output
    assert "\r" not in result.output
    assert sorted(result.stderr.splitlines()) == sorted(
        [
            f"{music}/[red]\\x1b[31mbad.mp3: not an audio file: web page",
            f"{music}/empty.mp3: empty file",
        ]
    )
    assert result.stdout.splitlines()[-1].startswith("3 found = 1 classified + ")


def test_a_pipe_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with terminal.progress_bar(None, "scan") as progress:
        progress.start(1_000)
        for number in range(10):
            progress.update(f"/music/{number}/a.mp3", failed=number % 2 == 0)
    told = capsys.readouterr().err.splitlines()
    assert 1 <= len(told) <= 5
    assert all(re.fullmatch(
        r"scan: \d+ of 1,000, 0\.\d files/s, [\d.]+ (min|h) left, \d failed, /music/\d", line
    ) for line in told)  # fmt: skip


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_counts("[bold]Heard", [("[red]Rock :smile:", 3), ("Jazz", 1)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[bold]Heard"
    assert lines[1].split("  ")[0] == "[red]Rock :smile:"


@pytest.mark.parametrize(("share", "cells"), [(0.0, 0), (0.001, 1), (0.5, 15), (1.0, 30)])
def test_bars(share: float, cells: int) -> None:
    assert bar(share) == "█" * cells


def test_a_long_folder_is_cut_at_its_start() -> None:
    assert short_folder("/music/a.mp3") == "/music"
    long = short_folder("/music/" + "x" * 90 + "/album/a.mp3")
    assert len(long) == terminal.FOLDER_WIDTH
    assert long.startswith("…x")
    assert long.endswith("/album")


def test_an_ascii_pipe_gets_no_broken_bars(tmp_path: Path, music: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tagger", "scan", music, "--db", tmp_path / "a.db"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"###" in done.stdout
    assert b"\\u" not in done.stdout


def test_help_shows_what_stands_in_brackets() -> None:
    assert "[default: the available cores]" in " ".join(run_cli("scan", "--help").stdout.split())
