"""``tagger scan``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagger.cli.options import (
    DatabaseOption,
    JsonOption,
    ModelOption,
    WorkersOption,
    default_database,
    print_json,
)
from tagger.cli.terminal import print_counts, print_next, progress_bar
from tagger.engines.processes import DEFAULT_TIMEOUT_SECONDS
from tagger.errors import OptionError
from tagger.genres import MIN_CONFIDENCE, tag_name

if TYPE_CHECKING:
    from tagger.engines import Engine
    from tagger.library.account import Account
    from tagger.model.bundle import Bundle

SLICES_HELP = "Slices of 2.9 s to hear of each track: fewer is faster. [default: the model's]"
SCHEDULER_HELP = "A Dask scheduler's address, or local:N. [default: processes on this machine]"
PATHS_HELP = "Folders, files, or URLs such as s3://BUCKET/FOLDER."
EXCLUDE_HELP = "Leave out what fits, as in .gitignore; may be repeated. See also .taggerignore."


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help=PATHS_HELP)],
    db: DatabaseOption = None,
    model: ModelOption = None,
    workers: WorkersOption = None,
    force: Annotated[bool, typer.Option("--force", help="Hear every file again.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again the files that failed before.")
    ] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="S", help="Seconds allowed per file.")
    ] = DEFAULT_TIMEOUT_SECONDS,
    slices: Annotated[
        int | None,
        typer.Option("--slices", min=1, max=100, metavar="N", help=SLICES_HELP),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help=EXCLUDE_HELP),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option(help="Follow symbolic links, each to a file or folder once.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Mark known files below PATH that are gone.")
    ] = False,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDR", help=SCHEDULER_HELP)
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Hear every audio file below PATH that is new or has changed, and store its genre."""
    from tagger.library.discover import WalkOptions
    from tagger.library.scan import ScanOptions
    from tagger.library.scan import scan as run_scan
    from tagger.library.store import Store, display_path
    from tagger.model.bundle import DEFAULT_MODEL, find_bundle, load_bundle

    bundle = load_bundle(find_bundle(model or DEFAULT_MODEL))
    if slices is not None:
        bundle = replace(bundle, slice_count=slices)
    engine = _engine(bundle, scheduler, workers, timeout, on_note=lambda note: bar.say(note))
    database = db or default_database()
    sure = 0
    with Store(database) as store, progress_bar(0, "scan") as bar:

        def on_result(result: Any) -> None:
            nonlocal sure
            bar.update(result.path, failed=result.status == "failed")
            if result.status in ("skipped", "failed"):
                bar.say(f"{display_path(result.path)}: {result.reason}")
            sure += max(result.probabilities.values(), default=0.0) >= MIN_CONFIDENCE

        walk = WalkOptions(tuple(exclude or ()), follow_links)
        options = ScanOptions(force, retry_failed, prune, walk)
        account = run_scan(paths, store, bundle, engine, options, on_result, bar.start)
    if json_:
        print_json(_as_json(account, bundle.model_id, str(database)))
    else:
        _print_account(account, sure)
        print_next(_next_steps(account, paths, db))
    if account.failed:
        raise typer.Exit(1)


def _engine(
    bundle: Bundle,
    scheduler: str | None,
    workers: int | None,
    timeout: float,
    on_note: Callable[[str], None],
) -> Engine:
    from tagger.engines import cluster_engine
    from tagger.engines.processes import ProcessEngine, available_cores
    from tagger.library.worker import engine_arguments, preparation

    if scheduler is None:
        return ProcessEngine(
            workers or available_cores(), timeout_seconds=timeout, **engine_arguments(bundle)
        )
    if workers is not None:
        raise OptionError(
            "--workers counts processes on this machine: leave it out, or use local:N"
        )
    return cluster_engine(scheduler, preparation(bundle), timeout_seconds=timeout, on_note=on_note)


def _as_json(account: Account, model_id: str, database: str) -> dict[str, Any]:
    return {
        **account.counts(),
        "not_audio": account.not_audio,
        "missing": account.missing,
        "seconds": round(account.seconds, 3),
        "reasons": dict(account.reasons),
        "genres": dict(account.genres.most_common()),
        "model": model_id,
        "database": database,
    }


def _print_account(account: Account, sure: int) -> None:
    """Print what was heard, what was not and why, and last the honest count line."""
    if account.genres:
        heading = f"Heard ({sure:,} of {account.genres.total():,} surely)"
        genres = [(tag_name(genre), files) for genre, files in account.genres.most_common()]
        print_counts(heading, genres)
    if account.reasons:
        print_counts("Not heard", account.reasons.most_common(), style="red")
    if account.missing:
        typer.echo(f"{account.missing:,} known files are gone; their results are kept")
    if account.not_audio:
        are = "file is" if account.not_audio == 1 else "files are"
        typer.echo(f"{account.not_audio:,} other {are} not named like audio")
    counts = account.counts()
    rest = " + ".join(f"{number:,} {name}" for name, number in counts.items() if name != "found")
    typer.echo(f"{account.found:,} found = {rest}, in {account.seconds:.1f} s")


def _next_steps(account: Account, paths: list[str], db: Path | None) -> list[tuple[str, str]]:
    """Return what a person may want to do next, and the command for it."""
    where = f" --db {shlex.quote(str(db))}" if db else ""
    steps = [
        ("look at it", f"tagger report --format html -o library.html{where}"),
        ("write the genres", f"tagger write-tags --dry-run{where}"),
    ]
    if account.failed:
        again = " ".join(map(shlex.quote, paths))
        steps.append(("try the failed again", f"tagger scan --retry-failed {again}{where}"))
    return steps
