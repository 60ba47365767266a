"""Files that hold exactly the same audio, as CSV and JSON."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from typing import IO, Any

from tagger.report.table import safe_cell

Group = list[dict[str, Any]]

COLUMNS = ("group", "path", "size", "duration_seconds", "container", "title", "artist", "album")


def write_csv(groups: Iterable[Group], file: IO[str]) -> None:
    """Write a row per file; those with the same number in ``group`` hold the same audio."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, group in enumerate(groups, start=1):
        for row in group:
            values = (number, os.fsdecode(row["path"]), *(row[name] for name in COLUMNS[2:]))
            writer.writerow([safe_cell(value) for value in values])


def write_json(groups: Iterable[Group], file: IO[str]) -> None:
    """Write a list of groups, each a list of files."""
    listed = [
        [{"path": os.fsdecode(row["path"]), **{name: row[name] for name in COLUMNS[2:]}}
         for row in group]
        for group in groups
    ]  # fmt: skip
    json.dump(listed, file, indent=1)
    file.write("\n")
