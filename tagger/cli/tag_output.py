"""What ``write-tags`` and ``undo`` print: the plan, grouped by folder, and the account."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from tagger.errors import OptionError

if TYPE_CHECKING:
    from tagger.tags.batch import Outcome
    from tagger.tags.plan import Decision

STOPPED_EXIT_CODE = 130


def genres_text(genres: Sequence[str]) -> str:
    """Return genres for a person to read."""
    from tagger.library.store import display_text

    return display_text("; ".join(genres)) or "(none)"


def print_plan(decisions: Iterable[Decision]) -> None:
    """Print what would change, and why the rest would not, grouped by folder."""
    from tagger.library.store import display_path, display_text
    from tagger.tags.plan import Verdict, folder_of

    for folder, group in groupby(decisions, folder_of):
        typer.echo(display_path(folder))
        for decision in group:
            name = display_path(os.path.basename(decision.candidate.path))  # noqa: PTH119
            if decision.verdict is Verdict.WRITE:
                change = f"{genres_text(decision.old)} -> {genres_text(decision.new)}"
                typer.echo(f"  {name}: {change}  ({decision.confidence:.2f})")
            elif decision.verdict is Verdict.SKIP:
                typer.echo(f"  {name}: left alone, {display_text(decision.reason or '')}")
            else:
                typer.echo(f"  {name}: can't be written, {display_text(decision.reason or '')}")


def plan_counts(decisions: Sequence[Decision]) -> dict[str, int]:
    """Return how many files a plan would write, leave alone and could not write."""
    from tagger.tags.plan import Verdict

    counts = Counter(decision.verdict for decision in decisions)
    return {
        "to_write": counts[Verdict.WRITE],
        "left_alone": counts[Verdict.SKIP],
        "failed": counts[Verdict.FAIL],
    }


def print_plan_counts(decisions: Sequence[Decision]) -> None:
    """Print a plan's account, with the reasons of what is left alone."""
    from tagger.tags.plan import Verdict

    skipped = (d.reason or "" for d in decisions if d.verdict is Verdict.SKIP)
    reasons = Counter(reason.split(":")[0] for reason in skipped)
    for reason, files in reasons.most_common():
        typer.echo(f"{files:>7,}  left alone: {reason}")
    counts = plan_counts(decisions)
    rest = " + ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
    typer.echo(f"{len(decisions):,} files = {rest}")


def confirm(question: str, *, yes: bool, as_json: bool) -> bool:
    """Ask once; refuse to guess where nobody can be asked.

    Raises
    ------
    OptionError
        If this is no terminal.
    """
    if yes:
        return True
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise OptionError(f"there is no terminal on which to ask {question!r}: say --yes")
    try:
        agreed = typer.confirm(question)
    except typer.Abort:  # Ctrl-C at the question
        raise KeyboardInterrupt from None
    if not agreed:
        typer.echo("nothing was changed")
    return agreed


def report_failures(failures: Iterable[tuple[str, str | None]]) -> int:
    """Print failures to stderr, one line each; returns how many there were."""
    from tagger.library.store import display_path, display_text

    count = 0
    for path, reason in failures:
        typer.echo(f"{display_path(path)}: {display_text(reason or '')}", err=True)
        count += 1
    return count


def outcome_json(outcome: Outcome, done: str) -> dict[str, Any]:
    """Return how one file's write or undo ended, for ``--json``."""
    from tagger.library.store import display_path

    return {
        "path": display_path(outcome.path),
        "status": "failed" if outcome.reason else done,
        "old": list(outcome.old),
        "new": list(outcome.new),
        "reason": outcome.reason,
    }
