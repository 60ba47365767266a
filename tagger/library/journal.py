"""The journal of tag writes: what was in a file before, stored before the file changes.

Every write is a row that moves through the states below; a row that a killed run left between
two of them is resolved by looking at the file.

    planned -> intended -> done -> undoing -> undone
            -> failed   -> not written       -> done (could not be undone)
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tagger.library.store import Store, display_path, now


@dataclass(frozen=True)
class Candidate:
    """A file that a genre might be written into, as the database has it."""

    file_id: int
    path: str
    size: int
    mtime_ns: int
    container: str | None
    codec: str | None
    status: str
    reason: str | None
    model_id: str | None
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Write:
    """One file's row in the journal."""

    write_id: int
    run_id: int
    file_id: int
    path: str
    container: str
    state: str
    temp: str | None
    old_genres: list[str]
    new_genres: list[str]
    old_raw: dict[str, Any]
    back: bytes | None
    new_size: int | None
    new_mtime_ns: int | None
    old_mtime_ns: int | None


@dataclass(frozen=True)
class Intent:
    """What has to be on disk before a file is replaced."""

    write_id: int
    old_genres: list[str]
    new_genres: list[str]
    old_raw: dict[str, Any]
    back: bytes | None
    old_size: int
    old_mtime_ns: int
    new_size: int
    new_mtime_ns: int


@dataclass(frozen=True)
class Ending:
    """How a write ended; with a file's id, also what that file is now."""

    write_id: int
    state: str
    reason: str | None = None
    file_id: int | None = None
    size: int = 0
    mtime_ns: int = 0
    genres: Sequence[str] = ()


# A file that a scan found moved is known by its new path.
_WRITE_COLUMNS = (
    "tag_writes.id, run_id, file_id, coalesce(files.path, tag_writes.path), "
    " tag_writes.container, state, temp, old_genres, new_genres,"
    " old_raw, back, new_size, new_mtime_ns, old_mtime_ns"
)


def _write(row: sqlite3.Row) -> Write:
    values = list(row)
    values[3] = os.fsdecode(values[3])
    for at in (7, 8, 9):
        values[at] = json.loads(values[at] or "[]")
    values[6] = os.fsdecode(values[6]) if values[6] is not None else None
    return Write(*values)


class Journal:
    """The journal in an open database; while it is open, every commit is flushed to the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        self._connection.execute("pragma synchronous = full")

    def candidates(self, paths: Sequence[str] = ()) -> Iterator[Candidate]:
        """Yield the known files, in order of path; only those at or below ``paths`` if given."""
        limits = [os.fsencode(path) for path in paths]
        rows = self._connection.execute(
            "select id, path, size, mtime_ns, container, codec, status, reason, files.model_id,"
            " probabilities from files left join predictions on file_id = id"
            " and predictions.model_id = files.model_id order by path"
        )
        for row in rows:
            if not limits or any(_is_below(row["path"], limit) for limit in limits):
                values = dict(row)
                values["path"] = os.fsdecode(values["path"])
                values["probabilities"] = json.loads(values["probabilities"] or "{}")
                yield Candidate(values.pop("id"), **values)

    def start_run(self, options: dict[str, Any]) -> int:
        """Record that a run begins; return its id."""
        with self._store.transaction():
            cursor = self._connection.execute(
                "insert into tag_runs (started_at, token, options) values (?, ?, ?)",
                (now(), secrets.token_hex(4), json.dumps(options)),
            )
        return int(cursor.lastrowid or 0)

    def token(self, run_id: int) -> str:
        """Return what the names of a run's temporary copies start with."""
        query = "select token from tag_runs where id = ?"
        return str(self._connection.execute(query, (run_id,)).fetchone()[0])

    def plan(self, run_id: int, files: Iterable[tuple[int, str, str]]) -> list[int]:
        """Record (file id, path, container) of every file to be written; return the rows' ids."""
        ids = []
        with self._store.transaction():
            for file_id, path, container in files:
                cursor = self._connection.execute(
                    "insert into tag_writes (run_id, file_id, path, path_text, container, state)"
                    " values (?, ?, ?, ?, ?, 'planned')",
                    (run_id, file_id, os.fsencode(path), display_path(path), container),
                )
                ids.append(int(cursor.lastrowid or 0))
        return ids

    def name_copies(self, temps: Iterable[tuple[int, str]]) -> None:
        """Record where temporary copies will lie, as (row's id, path), before they exist."""
        with self._store.transaction():
            self._connection.executemany(
                "update tag_writes set temp = ? where id = ?",
                [(os.fsencode(temp), write_id) for write_id, temp in temps],
            )

    def intend(self, intents: Iterable[Intent]) -> None:
        """Record what the files held and will hold; on disk when this returns."""
        with self._store.transaction():
            for intent in intents:
                self._connection.execute(
                    "update tag_writes set state = 'intended', old_genres = ?, new_genres = ?,"
                    " old_raw = ?, back = ?, old_size = ?, old_mtime_ns = ?, new_size = ?,"
                    " new_mtime_ns = ? where id = ?",
                    (
                        json.dumps(intent.old_genres), json.dumps(intent.new_genres),
                        json.dumps(intent.old_raw), intent.back, intent.old_size,
                        intent.old_mtime_ns, intent.new_size, intent.new_mtime_ns,
                        intent.write_id,
                    ),
                )  # fmt: skip

    def settle(self, endings: Iterable[Ending]) -> None:
        """Record how writes ended, and let changed files count as unchanged for the next scan."""
        with self._store.transaction():
            for ending in endings:
                self._connection.execute(
                    "update tag_writes set state = ?1, reason = ?2,"
                    " temp = case ?1 when 'undoing' then temp end where id = ?3",
                    (ending.state, ending.reason, ending.write_id),
                )
                if ending.file_id is not None:
                    self._connection.execute(
                        "update files set size = ?, mtime_ns = ?, existing_genre = ? where id = ?",
                        (ending.size, ending.mtime_ns, "; ".join(ending.genres) or None,
                         ending.file_id),
                    )  # fmt: skip

    def finish_run(self, run_id: int) -> None:
        """Record that a run came to its end; what it did not come to was not written."""
        with self._store.transaction():
            self._connection.execute(
                "update tag_writes set state = 'not written', reason = 'the run was stopped'"
                " where run_id = ? and state = 'planned'",
                (run_id,),
            )
            self._connection.execute(
                "update tag_runs set finished_at = ? where id = ?", (now(), run_id)
            )

    def unsettled(self) -> list[Write]:
        """Return the rows that a killed run left behind, or whose copies it did."""
        return self._writes("state in ('planned', 'intended', 'undoing') or temp is not null")

    def writes_of(self, run_id: int) -> list[Write]:
        """Return a run's writes that can be undone."""
        return self._writes("state = 'done' and run_id = ?", run_id)

    def writes_below(self, paths: Sequence[str]) -> list[Write]:
        """Return each file's last write that can be undone, at or below some paths."""
        limits = [os.fsencode(path) for path in paths]
        latest: dict[str, Write] = {}
        for write in self._writes("state = 'done'"):
            if any(_is_below(os.fsencode(write.path), limit) for limit in limits):
                latest[write.path] = write
        return list(latest.values())

    def last_run(self) -> int | None:
        """Return the last run that wrote something which was not undone."""
        query = "select max(run_id) from tag_writes where state = 'done'"
        found = self._connection.execute(query).fetchone()[0]
        return None if found is None else int(found)

    def run_exists(self, run_id: int) -> bool:
        """Tell whether there was such a run."""
        query = "select 1 from tag_runs where id = ?"
        return self._connection.execute(query, (run_id,)).fetchone() is not None

    def _writes(self, condition: str, *values: Any) -> list[Write]:
        rows = self._connection.execute(
            f"select {_WRITE_COLUMNS} from tag_writes left join files on files.id = file_id"
            f" where {condition} order by tag_writes.id",
            values,
        )
        return [_write(row) for row in rows]


def _is_below(path: bytes, limit: bytes) -> bool:
    """Tell whether a path is ``limit`` or lies in that folder."""
    separator = os.sep.encode()
    return path == limit or path.startswith(limit.rstrip(separator) + separator)
