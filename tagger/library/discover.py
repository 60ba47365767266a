"""Walking folders safely."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tagger.errors import NothingToDoError

# What people keep music in; other files are not counted as found.
AUDIO_SUFFIXES = frozenset({
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape", ".asf", ".au", ".caf",
    ".dff", ".dsf", ".dts", ".eac3", ".flac", ".m4a", ".m4b", ".m4p", ".m4r", ".mka", ".mp+",
    ".mp1", ".mp2", ".mp3", ".mp4", ".mpc", ".mpp", ".oga", ".ogg", ".oma", ".opus", ".ra", ".rm",
    ".shn", ".snd", ".spx", ".tak", ".tta", ".voc", ".w64", ".wav", ".wave", ".weba", ".wma", ".wv",
})  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A file that looks like audio.

    Attributes
    ----------
    path : str
        Absolute, normalised; undecodable bytes as surrogates.
    problem : str or None
        Why it can't be scanned, if it can't.
    skipped : bool
        The problem is no fault: the file is left out on purpose.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    problem: str | None = None
    skipped: bool = False


def discover(paths: Iterable[str]) -> Iterator[Found]:
    """Yield every audio file at or below ``paths``, once each, folder by folder in order of name.

    Raises
    ------
    NothingToDoError
        If a path does not exist.
    """
    starts = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - may hold odd bytes
    for start in starts:
        if not os.path.lexists(start):
            raise NothingToDoError(f"{start} does not exist")
    seen: set[str] = set()
    for start in starts:
        entries = _walk(start) if os.path.isdir(start) else iter([_look(start)])  # noqa: PTH112
        for found in entries:
            if found.path not in seen:
                seen.add(found.path)
                yield found


def _walk(folder: str) -> Iterator[Found]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield Found(folder, problem=f"folder can't be read: {error.strerror}")
        return
    folders = []
    for entry in ordered:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122
            yield _look(entry.path)
    for path in folders:
        yield from _walk(path)


def _look(path: str) -> Found:
    """Return a file's size and mtime; only a regular file may be opened later."""
    if os.path.basename(path).startswith("."):  # noqa: PTH119
        return Found(path, problem="hidden file", skipped=True)
    try:
        state = os.stat(path)  # noqa: PTH116
    except OSError as error:
        return Found(path, problem=f"can't be read: {error.strerror}")
    if not stat.S_ISREG(state.st_mode):
        return Found(path, problem="not a regular file", skipped=True)
    return Found(path, state.st_size, state.st_mtime_ns)
