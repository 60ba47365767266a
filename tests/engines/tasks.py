"""Tasks that behave badly, for the engines' tests: importable by the workers that run them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path


def answer(number: int, what: str) -> tuple[int, int]:
    """Return (number, pid), unless the task is told to do something worse."""
    if what == "crash":
        ctypes.string_at(0)  # SIGSEGV
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory is short
    elif what == "exit":
        os._exit(3)
    elif what == "hang":
        time.sleep(3600)
    elif what == "raise":
        raise ValueError("no such thing")
    elif what == "unpicklable":
        return number, lambda: None  # type: ignore[return-value]
    elif what == "eat":
        return number, len(bytearray(3 * 2**30))
    elif what.startswith("once:"):  # dies at the first try only
        mark = Path(what.removeprefix("once:"))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    elif what.startswith("sleep:"):
        time.sleep(float(what.removeprefix("sleep:")))
    return number, os.getpid()


def refuse() -> None:
    raise RuntimeError("no network here")


def die() -> None:
    os._exit(9)


def die_once(mark: str) -> None:
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)
