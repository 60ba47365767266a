"""``tagger undo``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli.options import (
    DatabaseOption,
    JsonOption,
    default_database,
    print_json,
)
from tagger.cli.stopping import stop_between_files
from tagger.cli.tag_output import (
    STOPPED_EXIT_CODE,
    confirm,
    genres_text,
    outcome_json,
    report_failures,
)
from tagger.cli.terminal import progress_bar
from tagger.cli.write_tags import YesOption

if TYPE_CHECKING:
    from tagger.library.journal import Journal, Write
    from tagger.tags.batch import Outcome


def undo(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="The last write of each. [default: the last run]"),
    ] = None,
    db: DatabaseOption = None,
    run: Annotated[
        int | None, typer.Option("--run", metavar="ID", help="Take back this run.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take back what write-tags wrote: the last run, a named one, or some files.

    Only where the genre still is what was written; what is left alone is named.
    """
    from tagger.library.journal import Journal
    from tagger.library.lock import writer_lock
    from tagger.library.store import Store
    from tagger.tags.apply import recover, undo_all

    begun = time.monotonic()
    database = db or default_database()
    outcomes: list[Outcome] = []
    with Store(database, must_exist=True) as store, writer_lock(database, "undo"):
        journal = Journal(store)
        recover(journal)
        writes = _writes(journal, paths or [], run)
        if not as_json:
            _print_writes(writes)
        if not confirm(f"Take back {len(writes):,} files?", yes=yes, as_json=as_json):
            return
        with stop_between_files() as stopped, progress_bar(len(writes), "undo") as bar:
            for outcome in undo_all(journal, writes, stopped=stopped):
                outcomes.append(outcome)
                bar.update()
            was_stopped = stopped()
    _finish(outcomes, time.monotonic() - begun, as_json=as_json)
    if was_stopped:
        raise typer.Exit(STOPPED_EXIT_CODE)
    if any(outcome.reason for outcome in outcomes):
        raise typer.Exit(1)


def _writes(journal: Journal, paths: list[str], run_id: int | None) -> list[Write]:
    """Return the writes to take back.

    Raises
    ------
    NothingToDoError
        If there are none.
    """
    from tagger.errors import NothingToDoError, OptionError

    if paths and run_id is not None:
        raise OptionError("say either paths or --run, not both")
    if run_id is not None and not journal.run_exists(run_id):
        raise OptionError(f"there is no run {run_id}; the last one is {journal.last_run()}")
    if paths:
        writes = journal.writes_below([os.path.abspath(path) for path in paths])  # noqa: PTH100
    else:
        run_id = journal.last_run() if run_id is None else run_id
        writes = [] if run_id is None else journal.writes_of(run_id)
    if not writes:
        raise NothingToDoError("nothing to take back: no write there that was not undone")
    return writes


def _print_writes(writes: list[Write]) -> None:
    from tagger.library.store import display_path

    for write in writes:
        change = f"{genres_text(write.new_genres)} -> {genres_text(write.old_genres)}"
        typer.echo(f"{display_path(write.path)}: {change}")


def _finish(outcomes: list[Outcome], seconds: float, *, as_json: bool) -> None:
    failed = report_failures((o.path, o.reason) for o in outcomes if o.reason)
    undone = len(outcomes) - failed
    if as_json:
        files = [outcome_json(outcome, "undone") for outcome in outcomes]
        counts = {"undone": undone, "failed": failed, "seconds": round(seconds, 3)}
        print_json({**counts, "files": files})
    else:
        typer.echo(f"{undone:,} taken back, {failed:,} left alone, in {seconds:.1f} s")
