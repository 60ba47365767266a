"""What a worker process does: prepare, then answer one task after the other until told to stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

# What a worker may hold beside its libraries. Windows of 192 kHz sound in 8 channels need about
# 0.1 GiB; a file that makes a decoder ask for gigabytes gets a refusal instead of the machine.
MEMORY_BYTES = 1024**3

# <malloc.h>: from which size on a block is asked of the system, and how much may lie unused.
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
_KEPT_BYTES = 2**25  # the most that glibc takes for a threshold

# The kinds of message that a worker sends: (kind, value).
READY, RESULT, RAISED, BROKEN = "ready", "result", "raised", "broken"


def serve(
    connection: Connection,
    initializer: Callable[..., None] | None,
    initargs: tuple[Any, ...],
    memory_bytes: int | None,
) -> None:
    """Answer tasks (function, arguments) from ``connection`` until None or its end comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    _die_with_parent()
    _limit_memory(memory_bytes)
    reuse_memory()
    try:
        if initializer is not None:
            initializer(*initargs)
    except BaseException as error:
        connection.send((BROKEN, f"{type(error).__name__}: {error}"))
        return
    connection.send((READY, None))
    try:
        while (task := connection.recv()) is not None:
            _answer(connection, *task)
    except (EOFError, OSError):
        pass  # the parent is gone


def _answer(connection: Connection, function: Callable[..., Any], arguments: Any) -> None:
    try:
        message = (RESULT, function(*arguments))
    except MemoryError:
        message = (RAISED, "needs more memory than a worker may use")
    except BaseException as error:
        # A bug of ours in one file must not end the run; it is reported as what it is.
        message = (RAISED, f"unexpected {type(error).__name__}: {error}")
    try:
        connection.send(message)
    except (TypeError, ValueError, AttributeError) as error:  # a result that can't be pickled
        connection.send((RAISED, f"unexpected {type(error).__name__}: {error}"))


def _die_with_parent() -> None:
    """End this process as soon as its parent is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit_memory(memory_bytes: int | None) -> None:
    """Refuse this process more memory than it may use, where the system can (Linux); no cores."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None and sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def reuse_memory() -> None:
    """Let glibc keep what is freed: every track asks for the same again.

    By default it gives blocks of megabytes back to the system at once, and a quarter of the CPU
    time goes into getting them anew, zeroed page by page.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
