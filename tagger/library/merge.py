"""Several results databases become one: for people who split a collection by hand.

Of a file that is in several, the newest result counts; predictions by other models, scans and the
journals of tag writes are kept from all. The new database is built beside its place and takes it
only when it is whole; the old ones are only read.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Database

from tagger.errors import DatabaseError
from tagger.library.merge_tables import MERGES
from tagger.library.schema import migrations
from tagger.library.store import APPLICATION_ID, Store, database_errors


@dataclass
class Merged:
    """What came together.

    Attributes
    ----------
    files : int
        In the new database.
    added, newer, older : dict of Path to int
        By source: files that no source before had; that one had too, with an older result; and
        with one at least as new, which stayed.
    predictions, tag_writes : int
        In the new database.
    """

    files: int = 0
    predictions: int = 0
    tag_writes: int = 0
    added: dict[Path, int] = field(default_factory=dict)
    newer: dict[Path, int] = field(default_factory=dict)
    older: dict[Path, int] = field(default_factory=dict)


def merge(
    sources: Sequence[Path],
    output: Path,
    on_source: Callable[[Path], None] = lambda source: None,
) -> Merged:
    """Merge databases into a new one; if anything fails, there is none.

    Raises
    ------
    DatabaseError
        If the new one exists already, or a source is missing, another program's, damaged, or
        made by a newer version of tagger.
    """
    if os.path.lexists(output):
        raise DatabaseError(f"{output} exists already: name a new file with -o")
    for source in sources:
        if not source.is_file():
            raise DatabaseError(f"no results at {source}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that the new database can be renamed into its place.
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".tagger-merge-") as folder:
            built = Path(folder) / "all.db"
            merged = _build(sources, built, on_source)
            if os.path.lexists(output):
                raise DatabaseError(f"{output} exists by now: name a new file with -o")
            built.rename(output)
    except OSError as error:
        raise DatabaseError(f"{output} can't be written: {error.strerror}") from error
    return merged


def _build(sources: Sequence[Path], built: Path, on_source: Callable[[Path], None]) -> Merged:
    merged = Merged()
    with Store(built):
        pass  # it has its tables now
    with database_errors(built), closing(_connect(built)) as connection:
        # No journal: a build that fails is thrown away whole.
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma synchronous = off")
        for source in sources:
            on_source(source)
            snapshot = _snapshot(source, built.parent)
            with database_errors(source):
                _merge_one(connection, snapshot, source, merged)
            if snapshot != source:
                snapshot.unlink()
        for name in ("files", "predictions", "tag_writes"):
            [count] = connection.execute(f"select count(*) from {name}").fetchone()
            setattr(merged, name, count)
        connection.execute("pragma journal_mode = wal")
    with built.open("rb+") as file:
        os.fsync(file.fileno())
    return merged


def _uri(path: Path) -> str:
    """Return what opens a database that exists; for writing, or it would leave its log behind."""
    return f"{path.absolute().as_uri()}?mode=rw"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(_uri(path), uri=True, isolation_level=None)


def _snapshot(source: Path, folder: Path) -> Path:
    """Return a database with today's tables: the source, or a copy that is brought up to date."""
    with database_errors(source), closing(_connect(source)) as connection:
        [application_id] = connection.execute("pragma application_id").fetchone()
        if application_id != APPLICATION_ID:
            raise DatabaseError(f"{source} is not a tagger database")
        applied = {migration.name for migration in migrations.applied(Database(connection))}
        known = {migration.name for migration in migrations.pending(Database(memory=True))}
        if applied - known:
            raise DatabaseError(f"{source} was made by a newer version of tagger: update first")
        if applied == known:
            return source
        copy = folder / "copy.db"
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
    with Store(copy):
        pass  # it is up to date now
    return copy


def _merge_one(
    connection: sqlite3.Connection, snapshot: Path, source: Path, merged: Merged
) -> None:
    connection.execute("attach ? as src", (_uri(snapshot),))
    connection.execute("begin")
    for merge_table in MERGES.values():
        merge_table(connection)
    query = "select sum(before is null), sum(before is not null and wins), sum(not wins)"
    added, newer, older = connection.execute(f"{query} from temp.file_map").fetchone()
    merged.added[source], merged.newer[source] = added or 0, newer or 0
    merged.older[source] = older or 0
    for name in ("scan_map", "file_map", "run_map"):
        connection.execute(f"drop table temp.{name}")
    connection.execute("commit")
    connection.execute("detach src")
