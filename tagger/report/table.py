"""The library as a table: CSV and JSON."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

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

# A cell that starts so is a formula to a spreadsheet (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def table_rows(rows: Iterable[dict[str, Any]], genres: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a dict per file: ``COLUMNS``, then one probability per genre (None if not heard)."""
    for row in rows:
        values = {column: row.get(column) for column in COLUMNS}
        values["path"] = os.fsdecode(row["path"])
        values["model"] = row["model_id"]
        for name in ("confidence", "second_confidence"):
            values[name] = _rounded(values[name])
        yield values | {genre: _rounded(row["probabilities"].get(genre)) for genre in genres}


def _rounded(probability: Any) -> float | None:
    return None if probability is None else round(probability, 4)


def write_csv(rows: Iterable[dict[str, Any]], genres: list[str], file: IO[str]) -> None:
    """Write the table as CSV (RFC 4180) that no spreadsheet takes for formulas.

    Names are written as the file system has them; ``file`` should be UTF-8 with the error
    handler ``surrogateescape``, so that undecodable bytes come out as they went in.
    """
    writer = csv.DictWriter(file, [*COLUMNS, *genres], lineterminator="\r\n")
    writer.writeheader()
    for row in table_rows(rows, genres):
        writer.writerow({key: _safe_cell(value) for key, value in row.items()})


def write_json(rows: Iterable[dict[str, Any]], genres: list[str], file: IO[str]) -> None:
    """Write the table as a JSON list with one object a line.

    Undecodable bytes of names stand as escaped surrogates (``os.fsencode`` takes them back).
    """
    separator = "["
    for row in table_rows(rows, genres):
        file.write(f"{separator}\n{json.dumps(row)}")
        separator = ","
    file.write("\n]\n" if separator == "," else "[]\n")


def _safe_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
