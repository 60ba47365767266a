"""One writer per library: a lock that the system lets go of when its holder ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tagger.errors import DatabaseError

if sys.platform == "win32":
    import msvcrt

    def _take(file: BinaryIO) -> None:
        # A byte far behind the text, so that others can read who holds the lock.
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def writer_lock(database: Path, command: str) -> Iterator[None]:
    """Be the only one that changes files on behalf of a database.

    Raises
    ------
    DatabaseError
        If another process is at it; the message says which.
    """
    path = database.with_name(database.name + ".lock")
    try:
        file = path.open("a+b")
    except OSError as error:
        raise DatabaseError(f"{path} can't be opened: {error.strerror}") from error
    with file:
        try:
            _take(file)
        except OSError as error:
            file.seek(0)
            holder = file.read(200).decode("utf-8", "replace").strip() or "another tagger"
            raise DatabaseError(
                f"{holder} is changing files of this library: wait until it ends, then try again"
            ) from error
        # The file stays: removing it would let two writers lock two files of one name.
        file.seek(0)
        file.truncate()
        file.write(f"tagger {command} (process {os.getpid()})\n".encode())
        file.flush()
        yield
        file.truncate(0)
