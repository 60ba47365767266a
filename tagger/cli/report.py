"""``tagger report``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from tagger.cli.options import DatabaseOption, default_database
from tagger.errors import OptionError
from tagger.genres import MIN_CONFIDENCE

if TYPE_CHECKING:
    from tagger.library.store import Store


class ReportFormat(StrEnum):
    """What ``tagger report`` writes."""

    CSV = "csv"
    JSON = "json"
    HTML = "html"
    M3U8 = "m3u8"


class ReportUnit(StrEnum):
    """What gets a genre."""

    TRACK = "track"
    ALBUM = "album"


def report(
    db: DatabaseOption = None,
    format_: Annotated[
        ReportFormat,
        typer.Option(
            "--format",
            help="csv, json: a table; html: a page to look at; m3u8: a playlist per genre.",
        ),
    ] = ReportFormat.CSV,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="[default: stdout] For m3u8, a folder."
        ),
    ] = None,
    by: Annotated[
        ReportUnit,
        typer.Option("--by", help="album: its tracks vote for one genre, compilations excepted."),
    ] = ReportUnit.TRACK,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            metavar="P",
            min=0.0,
            max=1.0,
            help="What is heard less surely counts as not sure.",
        ),
    ] = MIN_CONFIDENCE,
    duplicates: Annotated[
        bool,
        typer.Option("--duplicates", help="csv, json: only files with exactly the same audio."),
    ] = False,
) -> None:
    """Write what was heard: as a table, a page, or playlists."""
    from tagger.library.store import Store

    if duplicates and format_ not in (ReportFormat.CSV, ReportFormat.JSON):
        raise OptionError("--duplicates goes with csv and json")
    if format_ is ReportFormat.HTML and by is ReportUnit.ALBUM:
        raise OptionError("--by album goes with csv, json and m3u8; the page shows albums anyway")
    if format_ is ReportFormat.M3U8 and output is None:
        raise OptionError("playlists are several files: name a folder for them with -o FOLDER")
    with Store(db or default_database(), must_exist=True) as store:
        if duplicates:
            _write_duplicates(store, output, format_)
        elif format_ is ReportFormat.M3U8:
            assert output is not None
            _write_playlists(store, output, by, min_confidence)
        elif format_ is ReportFormat.HTML:
            _write_page(store, output, min_confidence)
        else:
            _write_table(store, output, format_, by, min_confidence)


def _write_table(
    store: Store,
    output: Path | None,
    format_: ReportFormat,
    by: ReportUnit,
    min_confidence: float,
) -> None:
    from tagger.library.albums import find_albums
    from tagger.report import table

    with _opened(output) as file:
        if by is ReportUnit.ALBUM:
            write_albums = {
                ReportFormat.CSV: table.write_albums_csv, ReportFormat.JSON: table.write_albums_json
            }[format_]  # fmt: skip
            write_albums(find_albums(store.rows()), store.genres(), file)
        else:
            write = {ReportFormat.CSV: table.write_csv, ReportFormat.JSON: table.write_json}
            write[format_](store.rows(), store.genres(), file, min_confidence)


def _write_duplicates(store: Store, output: Path | None, format_: ReportFormat) -> None:
    from tagger.report.duplicates import write_csv, write_json

    with _opened(output) as file:
        write = write_csv if format_ is ReportFormat.CSV else write_json
        write(store.duplicates(), file)


def _write_page(store: Store, output: Path | None, min_confidence: float) -> None:
    from tagger.report.page import PageOptions, render_page

    options = PageOptions(min_confidence, output.parent if output else None)
    page = render_page(store.rows(), store.genres(), store.models(), options)
    with _opened(output) as file:
        file.write(page)


def _write_playlists(store: Store, folder: Path, by: ReportUnit, min_confidence: float) -> None:
    from tagger.library.albums import with_album_genres
    from tagger.report.playlists import write_playlists

    rows = with_album_genres(store.rows()) if by is ReportUnit.ALBUM else store.rows()
    with _writing(folder):
        written = write_playlists(rows, folder, min_confidence)
    for path, tracks in written.tracks.items():
        typer.echo(f"{path}: {_tracks(tracks)}")
    if written.unsure:
        typer.echo(
            f"{_tracks(written.unsure)} {'is' if written.unsure == 1 else 'are'} in no playlist:"
            f" heard with a confidence below {min_confidence:g} (--min-confidence)",
            err=True,
        )


def _tracks(count: int) -> str:
    return f"{count:,} {'track' if count == 1 else 'tracks'}"


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """Open the output for text whose odd file names come out as they went in."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    with (
        _writing(output),
        output.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OptionError(f"{output} can't be written: {error.strerror}") from error
