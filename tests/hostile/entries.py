"""Entries whose names or kinds are hostile, and the whole folder."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable

from tests.hostile import contents
from tests.hostile.case import Case
from tests.hostile.makers import sound


def odd_names() -> list[Case]:
    names = [
        b"caf\xe9.wav", b"\xff\xfe\xfd.wav", b"new\nline.wav", b"tab\tback\rspace\x08.wav",
        b"\x1b[31mred\x1b[0m.wav", b"\x1b]0;title\x07.wav", b"\x9b31m c1.wav", b"bell\x07.wav",
        b"-rf.wav", b"--help.wav", b"-i.wav", b" leading and trailing .wav", b"quotes'\"`.wav",
        b"$(reboot).wav", b"%s%n.wav", b"*?[a].wav", b"back\\slash.wav", b"a|b;c&d.wav",
        "\U0001f3b5\U0001f468\u200d\U0001f469.wav".encode(), "e\u0301.wav".encode(),
        "\u00e9.wav".encode(), "\u202egpj.wav".encode(), "\u2028line.wav".encode(),
        b"concat:a|b.wav", b"file:a.wav", b"http:..wav", b"pipe:0.wav", b"CON.wav",
        b"x" * 251 + b".wav", "é".encode() * 125 + b".wav", b"UPPER.WAV", b"two.dots.mp3.wav",
    ]  # fmt: skip
    data = sound("wav", 3.0)
    return [Case(b"names/" + name, data, "classified") for name in names] + [
        Case(b"folder\n\x1b[1m/\xff/in it.wav", data, "classified"),
        Case(b"folder.mp3/in it.wav", data, "classified"),
        *(
            Case(b"names/" + name, b"no sound", "failed", contents.UNKNOWN)
            for name in (
                b"\x1b[2J\x1b]0;gone\x07.mp3",
                b"\xc2\x9b31m.mp3",
                "\u202e3pm.mp3".encode(),
            )
        ),
    ]


def kinds_of_file(outside: bytes) -> list[Case]:
    data = sound("wav", 4.0)

    def link(target: bytes) -> Callable[[bytes], None]:
        return lambda path: os.symlink(target, path)

    def unreadable(path: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0)

    def bind(path: bytes) -> None:
        server = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # the name may be at most 108 bytes
        server.bind(os.path.basename(path))
        os.chdir(here)
        server.close()

    linked = "link; --follow-links follows it"
    linked_folder = "link to a folder; --follow-links follows it"
    return [
        Case(b"kinds/a.wav", data, "classified"),
        Case(b"kinds/hard.wav", lambda p: os.link(p[: -len(b"hard.wav")] + b"a.wav", p), "skipped",
             "the same file as another, by a link"),
        Case(b"kinds/link inside.wav", link(b"a.wav"), "skipped", linked),
        Case(b"kinds/link outside.wav", link(outside), "skipped", linked),
        Case(b"kinds/link broken.wav", link(b"nowhere.wav"), "failed", "broken link"),
        Case(b"kinds/link to itself.wav", link(b"link to itself.wav"), "failed",
             "link that leads nowhere"),
        Case(b"kinds/loop", link(b"."), "skipped", linked_folder),
        Case(b"kinds/up", link(b"../.."), "skipped", linked_folder),
        Case(b"kinds/elsewhere", link(os.path.dirname(outside)), "skipped", linked_folder),
        Case(b"kinds/elsewhere.wav", link(os.path.dirname(outside)), "skipped", linked),
        Case(b"kinds/fifo.wav", os.mkfifo, "skipped", "not a regular file: FIFO"),
        Case(b"kinds/link to fifo.wav", link(b"fifo.wav"), "skipped", linked),
        Case(b"kinds/socket.wav", bind, "skipped", "not a regular file: socket"),
        Case(b"kinds/device.wav", link(b"/dev/zero"), "skipped", linked),
        Case(b"kinds/._a.wav", data, "skipped", "AppleDouble file"),
        Case(b"kinds/.a.wav", data, "skipped", "hidden file"),
        Case(b"kinds/.hidden/a.wav", data, None),
        Case(b"kinds/.hidden", lambda path: None, "skipped", "hidden folder"),
        Case(b"kinds/unreadable.wav", unreadable, "failed", "can't be read: Permission denied"),
        Case(b"kinds/unreadable folder", lambda path: os.mkdir(path, 0), "failed",
             "folder can't be read: Permission denied"),
        Case(b"kinds/cover.jpg", b"\xff\xd8\xff", None),
        Case(b"kinds/notes.txt", b"hello", None),
        Case(b"ignored/.taggerignore", b"# what I don't want\n*.wav\n!keep.wav\nsub/\n", None),
        Case(b"ignored/a.wav", data, "skipped", "excluded by .taggerignore"),
        Case(b"ignored/keep.wav", data, "classified"),
        Case(b"ignored/sub/keep.wav", data, None),
        Case(b"ignored/sub", lambda path: None, "skipped", "excluded by .taggerignore"),
        Case(b"excluded/a.wav", data, None),
        Case(b"excluded", lambda path: None, "skipped", "excluded by --exclude"),
    ]  # fmt: skip


def all_cases(outside: bytes) -> list[Case]:
    """Return every case; ``outside`` is a file outside the folder that must not be opened."""
    return [
        *contents.whole_and_cut(),
        *contents.wrong_extensions(),
        *contents.not_audio(),
        *contents.playlists(outside),
        *contents.lies(),
        *contents.short_and_silent(),
        *contents.large(),
        *odd_names(),
        *kinds_of_file(outside),
    ]  # fmt: skip


def build(folder: bytes, cases: list[Case]) -> None:
    """Make the folder."""
    for case in cases:
        path = os.path.join(folder, case.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(case.content, bytes):
            with open(path, "wb") as file:
                file.write(case.content)
        else:
            case.content(path)


def is_regular(path: bytes) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)
