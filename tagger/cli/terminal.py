"""How tagger shows itself on a terminal: progress, bars and colours, in one place.

Progress goes to stderr, a live bar on a terminal and now and then a line elsewhere. Tables go to
stdout; colours and styles are for terminals only, and never with NO_COLOR set.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Outcome = TypeVar("Outcome")

# Where no bar can be drawn, such as in a log, a line is written this often.
LINE_SECONDS = 30.0

FOLDER_WIDTH = 32
BAR_WIDTH = 30


def console(*, stderr: bool = False) -> Console:
    """Return a Rich console that takes no text for markup and keeps pipes plain."""
    from rich.console import Console

    return Console(
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


class Progress:
    """Counts what is done, on stderr: how fast, how long still, where, and what failed.

    Parameters
    ----------
    total : int or None
        How many there will be, if it is known.
    description, unit : str
        What is done, and what is counted.
    """

    def __init__(self, total: int | None, description: str, unit: str = "file") -> None:
        from tqdm import tqdm

        self._description, self._unit, self._total = description, unit, total
        self._done = self._failed = 0
        self._began = self._told = time.monotonic()
        self._bar = tqdm(total=total, desc=description, unit=unit, disable=None, dynamic_ncols=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def start(self, total: int | None) -> None:
        """Begin to count, now that the total is known."""
        self._total, self._began = total, time.monotonic()
        self._bar.reset(total)

    def update(self, path: str | None = None, *, failed: bool = False) -> None:
        """Count one; ``path`` tells where the work is."""
        self._done += 1
        self._failed += failed
        if self._bar.disable:
            if time.monotonic() - self._told >= LINE_SECONDS:
                self._told = time.monotonic()
                print(self._line(path), file=sys.stderr, flush=True)  # noqa: T201
            return
        self._bar.set_postfix_str(self._where(path), refresh=False)
        self._bar.update()

    def counting(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Pass outcomes on and count each."""
        for outcome in outcomes:
            self.update()
            yield outcome

    def say(self, text: str) -> None:
        """Write a line that stays, above the bar."""
        self._bar.write(text, file=sys.stderr)

    def _where(self, path: str | None) -> str:
        """Return failures so far and the current folder, short enough for one line."""
        parts = [f"{self._failed:,} failed"] if self._failed else []
        if path is not None:
            parts.append(short_folder(path))
        return ", ".join(parts)

    def _line(self, path: str | None) -> str:
        rate = self._done / max(1e-9, time.monotonic() - self._began)
        of = f" of {self._total:,}" if self._total else ""
        parts = [f"{self._description}: {self._done:,}{of}", f"{rate:.1f} {self._unit}s/s"]
        if self._total:
            parts.append(f"{_duration((self._total - self._done) / rate)} left")
        return ", ".join([*parts, self._where(path)]).rstrip(", ")


def progress_bar(total: int | None, description: str, unit: str = "file") -> Progress:
    """Return a progress bar, to be used in a ``with`` statement."""
    return Progress(total, description, unit)


def short_folder(path: str, width: int = FOLDER_WIDTH) -> str:
    """Return the end of a file's folder, as text that does nothing to a terminal."""
    from tagger.library.store import display_path

    folder = display_path(os.path.dirname(path))  # noqa: PTH120 - undecodable bytes
    return folder if len(folder) <= width else f"…{folder[-width + 1 :]}"


def _duration(seconds: float) -> str:
    """Return a duration for reading: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_counts(heading: str, counts: Sequence[tuple[str, int]], *, style: str = "cyan") -> None:
    """Print names with their counts, and a bar each, to stdout."""
    most = max((count for _, count in counts), default=1)
    rows = [(name, f"{count:,}", count / most) for name, count in counts]
    _print_bars(heading, rows, style)


def print_shares(heading: str, shares: Sequence[tuple[str, float]]) -> None:
    """Print names with their shares of 1.0, and a bar each, to stdout."""
    _print_bars(
        heading, [(name, f"{share:.0%}", round(share, 2)) for name, share in shares], "cyan"
    )


def _print_bars(heading: str, rows: Sequence[tuple[str, str, float]], style: str) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    block = "█" if "utf" in out.encoding.lower() else "#"
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, style=style)
    for name, number, share in rows:
        table.add_row(name, number, bar(share, block))
    out.print(Text(heading, style="bold"))
    out.print(table)


def bar(share: float, block: str = "█", width: int = BAR_WIDTH) -> str:
    """Return a bar for a share of 1.0; what is more than nothing shows."""
    return block * (max(1, round(share * width)) if share > 0 else 0)


def print_next(steps: Sequence[tuple[str, str]]) -> None:
    """Tell a person at a terminal what to do next; a pipe is told nothing."""
    if not sys.stderr.isatty():
        return
    from rich.text import Text

    out: Any = console(stderr=True)
    for purpose, command in steps:
        out.print(Text.assemble((f"{purpose}: ", "dim"), command), soft_wrap=True)
