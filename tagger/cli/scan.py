"""``tagger scan``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagger.cli.options import (
    DatabaseOption,
    JsonOption,
    ModelOption,
    WorkersOption,
    default_database,
    print_json,
    progress_bar,
)
from tagger.engines.processes import DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tagger.library.scan import Account


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders or files.")],
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
    json_: JsonOption = False,
) -> None:
    """Hear every audio file below PATH that is new or has changed, and store its genre."""
    from tagger.engines.processes import ProcessEngine, available_cores
    from tagger.library.scan import ScanOptions
    from tagger.library.scan import scan as run_scan
    from tagger.library.store import Store, display_path
    from tagger.library.worker import engine_arguments
    from tagger.model.bundle import DEFAULT_MODEL, find_bundle, load_bundle

    bundle = load_bundle(find_bundle(model or DEFAULT_MODEL))
    engine = ProcessEngine(
        workers or available_cores(), timeout_seconds=timeout, **engine_arguments(bundle)
    )
    database = db or default_database()
    with Store(database) as store, progress_bar(0, "scan") as bar:

        def on_plan(files: int) -> None:
            bar.reset(files)

        def on_result(result: Any) -> None:
            bar.update()
            if result.status != "classified":
                bar.write(f"{display_path(result.path)}: {result.reason}", file=sys.stderr)

        options = ScanOptions(force=force, retry_failed=retry_failed)
        account = run_scan(paths, store, bundle, engine, options, on_result, on_plan)
    if json_:
        print_json(_as_json(account, bundle.model_id, str(database)))
    else:
        _print_account(account)
    if account.failed:
        raise typer.Exit(1)


def _as_json(account: Account, model_id: str, database: str) -> dict[str, Any]:
    return {
        **account.counts(),
        "seconds": round(account.seconds, 3),
        "reasons": dict(account.reasons),
        "genres": dict(account.genres.most_common()),
        "model": model_id,
        "database": database,
    }


def _print_account(account: Account) -> None:
    """Print the reasons and the honest count line."""
    for reason, files in account.reasons.most_common():
        typer.echo(f"{files:>7,}  {reason}")
    for genre, files in account.genres.most_common():
        typer.echo(f"{files:>7,}  {genre}")
    counts = account.counts()
    rest = " + ".join(f"{number:,} {name}" for name, number in counts.items() if name != "found")
    typer.echo(f"{account.found:,} found = {rest}, in {account.seconds:.1f} s")
