"""Changing one file: a copy beside it is edited, proved harmless, and takes its place.

The original is not opened for writing. Whatever happens before the rename leaves it as it was;
after the rename the new file is whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tagger.errors import TagError
from tagger.tags.containers import open_tags
from tagger.tags.edits import find_edits, view, way_back
from tagger.tags.fields import Raw, TagFile
from tagger.tags.proof import check_audio

TEMP_PREFIX = ".tagger-"
TEMP_SUFFIX = ".tmp"

# Where FFmpeg, a kernel or a file system has no such call, plain reading and writing serves.
_NO_SUCH_CALL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_CHUNK_BYTES = 1 << 20

_REASONS = {
    errno.ENOSPC: "no space left on its disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the copy would be larger than a file may be here (ulimit -f)",
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "the system does not permit to replace it",
    errno.ENOENT: "no longer there",
    errno.ENOTDIR: "no longer there",
    errno.EEXIST: "a temporary copy of another run is in the way",
    errno.ELOOP: "a symbolic link that leads nowhere",
}


@dataclass(frozen=True)
class Target:
    """A file as it is before a write: where a path leads, and what the system says of it."""

    path: str
    state: os.stat_result

    @property
    def folder(self) -> str:
        """The folder that holds it."""
        return os.path.dirname(self.path)  # noqa: PTH120 - a str may hold undecodable bytes


@dataclass(frozen=True)
class Found:
    """What a file's tag holds before a write; the fields are those of ``fields.TagFile``."""

    genres: list[str]
    raw: Raw
    others: dict[str, object]
    tail: int


def look(tags: TagFile) -> Found:
    """Return what a tag holds now."""
    return Found(tags.genres(), tags.raw(), tags.others(), tags.tail)


@dataclass(frozen=True)
class Staged:
    """A proved copy that waits beside its original.

    Attributes
    ----------
    back : bytes or None
        What rebuilds the original from the copy; None if that would take too much.
    size, mtime_ns : int
        Of the copy.
    """

    target: Target
    temp: str
    old_genres: list[str]
    new_genres: list[str]
    old_raw: Raw
    back: bytes | None
    size: int
    mtime_ns: int


def temp_name(token: str, write_id: int) -> str:
    """Return the name of a write's copy: short enough for any folder, known to the journal."""
    return f"{TEMP_PREFIX}{token}-{write_id}{TEMP_SUFFIX}"


@contextmanager
def os_errors() -> Iterator[None]:
    """Turn what the system refuses into one line."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise TagError(reason) from error


def examine(path: str) -> Target:
    """Return the file that a path leads to, if it may be replaced.

    Raises
    ------
    TagError
        If it is gone, no plain file, read-only, or has several names (hard links).
    """
    with os_errors():
        real = os.path.realpath(path, strict=True)
        state = os.lstat(real)
        folder_state = os.stat(os.path.dirname(real))  # noqa: PTH116, PTH120
    if not stat.S_ISREG(state.st_mode):
        raise TagError("not a plain file")
    if state.st_nlink > 1:
        raise TagError(
            f"has {state.st_nlink} names (hard links): the others would keep the old genre"
        )
    # Root may write anywhere, so the bits are asked and not the system.
    if not state.st_mode & 0o222:
        raise TagError("read-only")
    if not folder_state.st_mode & 0o222:
        raise TagError("its folder is read-only")
    return Target(real, state)


def same_file(a: os.stat_result, b: os.stat_result) -> bool:
    """Tell whether a file is the one that was looked at, and unchanged."""
    return (a.st_ino, a.st_dev, a.st_size, a.st_mtime_ns, a.st_ctime_ns) == (
        b.st_ino, b.st_dev, b.st_size, b.st_mtime_ns, b.st_ctime_ns,
    )  # fmt: skip


def copy_stretch(source: BinaryIO, target: BinaryIO, start: int, size: int) -> None:
    """Append ``size`` bytes of ``source``, from ``start`` on, to ``target``."""
    target.flush()
    if hasattr(os, "copy_file_range"):
        at = target.tell()
        try:
            while size and (
                done := os.copy_file_range(source.fileno(), target.fileno(), size, start, at)
            ):
                start, at, size = start + done, at + done, size - done
        except OSError as error:
            if error.errno not in _NO_SUCH_CALL:
                raise
        target.seek(at)
    source.seek(start)
    while size and (data := source.read(min(size, _CHUNK_BYTES))):
        target.write(data)
        size -= len(data)


def stage(
    target: Target,
    key: str,
    temp: str,
    make: Callable[[BinaryIO, BinaryIO], Found],
    check: Callable[[TagFile], None],
    *,
    mtime_ns: int | None,
) -> Staged:
    """Make a changed copy of a file beside it, and prove that only the genre changed.

    Parameters
    ----------
    key : str
        The file's row in ``containers.CONTAINERS``.
    make : callable
        ``make(source, copy)`` fills the empty copy, and returns what the source's tag holds.
    check : callable
        Raises TagError if the copy's tag is not as it should be.
    mtime_ns : int or None
        The time of change that the copy gets; None is now.

    Raises
    ------
    TagError
        If anything is not as it should be; no copy is left then.
    """
    path = os.path.join(target.folder, temp)  # noqa: PTH118 - undecodable bytes
    with os_errors(), Path(target.path).open("rb") as source:
        if not same_file(os.fstat(source.fileno()), target.state):
            raise TagError("changed at this moment")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags, 0o600), "r+b") as copy:
            try:
                old = make(source, copy)
                copy.flush()
                genres, back = _prove(source, copy, key, old, check)
                _copy_state(target, path, copy, mtime_ns)
                os.fsync(copy.fileno())
                state = os.fstat(copy.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    copy.close()
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
                raise
    return Staged(target, path, old.genres, genres, old.raw, back, state.st_size, state.st_mtime_ns)


def _prove(
    source: BinaryIO, copy: BinaryIO, key: str, old: Found, check: Callable[[TagFile], None]
) -> tuple[list[str], bytes | None]:
    """Return the copy's genres and the way back, or raise TagError."""
    new = open_tags(copy, key)
    check(new)
    after = new.others()
    for part, value in old.others.items():
        if None not in (value, after[part]) and value != after[part]:
            raise TagError(f"other tags would have changed ({part}); the file was left alone")
    with view(source) as old_bytes, view(copy) as new_bytes:
        edits = find_edits(old_bytes, new_bytes)
        check_audio(source, copy, edits, old.tail)
        return new.genres(), way_back(old_bytes, new_bytes, edits)


def _copy_state(target: Target, temp: str, copy: BinaryIO, mtime_ns: int | None) -> None:
    """Give the copy its original's owner, mode, extended attributes and times."""
    state = target.state
    if hasattr(os, "fchown"):
        made = os.fstat(copy.fileno())
        if (made.st_uid, made.st_gid) != (state.st_uid, state.st_gid):
            try:
                os.fchown(copy.fileno(), state.st_uid, state.st_gid)
            except OSError as error:
                raise TagError("belongs to another user, to whom it could not be given") from error
    now = os.fstat(copy.fileno())  # its own time is that of the edit
    shutil.copystat(target.path, temp)
    os.utime(temp, ns=(state.st_atime_ns, now.st_mtime_ns if mtime_ns is None else mtime_ns))


def replace(staged: Staged) -> None:
    """Put a staged copy in its original's place.

    Raises
    ------
    TagError
        If the original changed in the meantime; the copy is removed.
    """
    try:
        with os_errors():
            if not same_file(os.lstat(staged.target.path), staged.target.state):
                raise TagError("changed at this moment")
            os.replace(staged.temp, staged.target.path)  # noqa: PTH105
    except TagError:
        discard(staged)
        raise


def discard(staged: Staged) -> None:
    """Remove a staged copy."""
    with contextlib.suppress(OSError):
        os.unlink(staged.temp)  # noqa: PTH108


def flush_folder(folder: str) -> None:
    """Make the renames in a folder last through a power failure."""
    with contextlib.suppress(OSError):  # Windows has no such thing, nor some network drives
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
