from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.report.library import failure, track, write_database


def test_the_view_names_files_and_gives_no_genre_to_what_failed_since(tmp_path: Path) -> None:
    results = [
        track(1, "/music/a b/c.flac"),
        track(2, "/music/d.flac"),
        failure("/music/d.flac", "empty file"),
    ]
    connection = sqlite3.connect(write_database(tmp_path / "a.db", results))
    view = connection.execute("select file, genre is null, reason, path from library order by 1")
    assert view.fetchall() == [
        ("c.flac", 0, None, "/music/a b/c.flac"),
        ("d.flac", 1, "empty file", "/music/d.flac"),
    ]
