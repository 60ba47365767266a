"""The library as a table: CSV and JSON."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Any

from tagger.genres import MIN_CONFIDENCE
from tagger.library.albums import Album

# The columns before those of the genres' probabilities.
COLUMNS = (
    "path",
    "genre",
    "confidence",
    "second_genre",
    "second_confidence",
    "title",
    "artist",
    "album",
    "existing_genre",
    "duration_seconds",
    "status",
    "reason",
    "model",
    "scanned_at",
)

ALBUM_COLUMNS = (
    "album_artist",
    "album",
    "tracks",
    "compilation",
    "genre",
    "confidence",
    "agreeing",
    "existing_genres",
)

# A cell that starts so is a formula to a spreadsheet (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


NOT_SURE = "not sure"


def table_rows(
    rows: Iterable[dict[str, Any]], genres: list[str], min_confidence: float = MIN_CONFIDENCE
) -> Iterator[dict[str, Any]]:
    """Yield a dict per file: ``COLUMNS``, then one probability per genre (None if not heard).

    ``reason`` also says where a genre was heard with less than ``min_confidence``.
    """
    for row in rows:
        values = {column: row.get(column) for column in COLUMNS}
        values["path"] = os.fsdecode(row["path"])
        values["model"] = row["model_id"]
        if values["confidence"] is not None and values["confidence"] < min_confidence:
            values["reason"] = "; ".join(filter(None, (NOT_SURE, values["reason"])))
        for name in ("confidence", "second_confidence"):
            values[name] = _rounded(values[name])
        yield values | {genre: _rounded(row["probabilities"].get(genre)) for genre in genres}


def _rounded(probability: Any) -> float | None:
    return None if probability is None else round(probability, 4)


def write_csv(
    rows: Iterable[dict[str, Any]],
    genres: list[str],
    file: IO[str],
    min_confidence: float = MIN_CONFIDENCE,
) -> None:
    """Write the table as CSV (RFC 4180) that no spreadsheet takes for formulas.

    Names are written as the file system has them; ``file`` should be UTF-8 with the error
    handler ``surrogateescape``, so that undecodable bytes come out as they went in.
    """
    _write_csv(table_rows(rows, genres, min_confidence), [*COLUMNS, *genres], file)


def write_json(
    rows: Iterable[dict[str, Any]],
    genres: list[str],
    file: IO[str],
    min_confidence: float = MIN_CONFIDENCE,
) -> None:
    """Write the table as a JSON list with one object a line.

    Undecodable bytes of names stand as escaped surrogates (``os.fsencode`` takes them back).
    """
    _write_json(table_rows(rows, genres, min_confidence), file)


def album_rows(albums: Iterable[Album], genres: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a dict per album: ``ALBUM_COLUMNS``, then one probability per genre."""
    for album in albums:
        existing = Counter(row["existing_genre"] for row in album.rows if row["existing_genre"])
        yield {
            "album_artist": album.artist,
            "album": album.title,
            "tracks": len(album.rows),
            "compilation": int(album.is_compilation),
            "genre": album.genre,
            "confidence": _rounded(album.confidence),
            "agreeing": None if album.is_compilation else album.agreeing,
            "existing_genres": "; ".join(name for name, _ in existing.most_common()),
        } | {genre: _rounded(album.probabilities.get(genre)) for genre in genres}


def write_albums_csv(albums: Iterable[Album], genres: list[str], file: IO[str]) -> None:
    """Write albums and their votes as CSV."""
    _write_csv(album_rows(albums, genres), [*ALBUM_COLUMNS, *genres], file)


def write_albums_json(albums: Iterable[Album], genres: list[str], file: IO[str]) -> None:
    """Write albums and their votes as a JSON list with one object a line."""
    _write_json(album_rows(albums, genres), file)


def _write_csv(rows: Iterable[dict[str, Any]], columns: list[str], file: IO[str]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: safe_cell(value) for key, value in row.items()})


def _write_json(rows: Iterable[dict[str, Any]], file: IO[str]) -> None:
    separator = "["
    for row in rows:
        file.write(f"{separator}\n{json.dumps(row)}")
        separator = ","
    file.write("\n]\n" if separator == "," else "[]\n")


def safe_cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
