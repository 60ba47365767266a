"""``tagger report``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from tagger.cli.options import DatabaseOption, default_database


class ReportFormat(StrEnum):
    """What ``tagger report`` writes."""

    CSV = "csv"
    JSON = "json"


def report(
    db: DatabaseOption = None,
    format_: Annotated[ReportFormat, typer.Option("--format")] = ReportFormat.CSV,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PATH", help="[default: stdout]")
    ] = None,
) -> None:
    """Write what was heard as a table."""
    from tagger.library.store import Store
    from tagger.report.table import write_csv, write_json

    write = {ReportFormat.CSV: write_csv, ReportFormat.JSON: write_json}[format_]
    with Store(db or default_database(), must_exist=True) as store, _opened(output) as file:
        write(store.rows(), store.genres(), file)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """Open the output for text whose odd file names come out as they went in."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        typer.echo(f"tagger: {output} can't be written: {error.strerror}", err=True)
        raise typer.Exit(2) from error
