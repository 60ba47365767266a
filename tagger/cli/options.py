"""Options that several commands share, and the printing they share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

DATABASE_VARIABLE = "TAGGER_DB"

DatabaseOption = Annotated[
    Path | None,
    typer.Option(
        "--db",
        metavar="FILE",
        help=f"Results database. [default: ${DATABASE_VARIABLE}, else in the user's data folder]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME|DIR", help="A bundled model's name, or a folder."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes. [default: the available cores]"),
]


def default_database() -> Path:
    """Return where results are kept unless ``--db`` says otherwise."""
    if os.environ.get(DATABASE_VARIABLE):
        return Path(os.environ[DATABASE_VARIABLE])
    from platformdirs import user_data_path

    return user_data_path("tagger", appauthor=False) / "tagger.db"


def print_json(value: Any) -> None:
    """Print one JSON object to stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
