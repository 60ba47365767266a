"""The command line: the only code that prints. One file per command."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

import tagger
from tagger.cli.evaluate import evaluate
from tagger.cli.features import features
from tagger.cli.inspect import inspect
from tagger.cli.merge import merge
from tagger.cli.models import models
from tagger.cli.report import report
from tagger.cli.scan import scan
from tagger.cli.train import train
from tagger.cli.undo import undo
from tagger.cli.write_tags import write_tags
from tagger.errors import TaggerError


class _Group(TyperGroup):
    """Turns the library's errors into one line and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TaggerError as error:
            typer.echo(f"tagger: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            typer.echo("stopped; everything finished so far is kept", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # as markup, "[default: all]" in a help text would vanish
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hear the genre of every track in a music collection, and write it into the files safely.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tagger {tagger.__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


app.command("scan")(scan)
app.command("report")(report)
app.command("write-tags")(write_tags)
app.command("undo")(undo)
app.command("merge")(merge)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("features")(features)
app.command("inspect")(inspect)
app.command("models")(models)


def main() -> None:
    """Run the command line."""
    # A file name may hold bytes that the terminal's encoding has not.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
