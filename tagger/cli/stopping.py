"""Ctrl-C that stops between files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer


@contextmanager
def stop_between_files() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for a stop, which the caller looks up between files.

    The second one acts at once, as usual; a file is whole even then.
    """
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)
        typer.echo("stopping after the files at hand; press Ctrl-C again to stop at once", err=True)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
