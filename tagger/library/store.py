"""The results database: SQLite in WAL mode, STRICT tables, one writer.

Only Python scalars go in: a numpy float would be stored as bytes by SQLite.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import sqlite_utils

from tagger.errors import DatabaseError
from tagger.library.classify import TrackResult
from tagger.library.schema import migrations

APPLICATION_ID = 0x54414752  # "TAGR" in the file's header: no other program's database
BUSY_TIMEOUT_SECONDS = 30.0

_FILE_COLUMNS = (
    "path", "path_text", "size", "mtime_ns", "identity", "duration_seconds", "container", "codec",
    "sample_rate_hz", "channels", "title", "artist", "album", "album_artist", "date",
    "existing_genre", "status", "reason", "model_id", "scanned_at", "scan_id", "device",
    "worker_deaths",
)  # fmt: skip


@dataclass(frozen=True)
class KnownFile:
    """What the database holds of a file, to tell whether it changed.

    Attributes
    ----------
    model_id : str or None
        The model of the last scan.
    device : int or None
        The file system that its folder lay on.
    worker_deaths : int
        How many workers died on it in the last try.
    """

    file_id: int
    size: int
    mtime_ns: int
    status: str
    reason: str | None
    model_id: str | None
    identity: str | None
    device: int | None
    worker_deaths: int


# Line ends, escape sequences and changes of the writing direction: they would act on a terminal.
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def display_text(text: str) -> str:
    r"""Return text that does nothing to a terminal: control characters as ``\xNN``."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def display_path(path: str) -> str:
    r"""Return a path as text that any output can hold: undecodable bytes as ``\xNN``."""
    return display_text(os.fsencode(path).decode("utf-8", "backslashreplace"))


def now() -> str:
    """Return the time as stored: ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _meaning(error: sqlite3.OperationalError) -> str:
    """Return what an error of SQLite's means to a person."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_BUSY"):
        return f"another program has been writing to it for {BUSY_TIMEOUT_SECONDS:g} s; try again"
    if name.startswith("SQLITE_FULL"):
        return "the disk is full; what was stored until now is kept"
    if name.startswith("SQLITE_READONLY"):
        return "it may not be written; choose another with --db"
    return f"the database can't be used: {error}"


def _compact(value: Any) -> str:
    """Return JSON without spaces: it is stored once for every track."""
    return json.dumps(value, separators=(",", ":"))


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as DatabaseError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DatabaseError(f"{path}: {_meaning(error)}") from error
    except sqlite3.DatabaseError as error:
        raise DatabaseError(
            f"{path} is not a tagger database ({error}); choose another with --db"
        ) from error


class Store:
    """The database of one collection.

    Parameters
    ----------
    path : Path
        Created, with its folder, if it does not exist and ``must_exist`` is false.

    Raises
    ------
    DatabaseError
        If it can't be opened, is no database, or is another program's.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        if must_exist and not path.exists():
            raise DatabaseError(f"no results yet at {path}: run `tagger scan FOLDER` first")
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"can't create {path.parent}: {error.strerror}") from error
        with database_errors(path):
            self.connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None
            )
            self.database = sqlite_utils.Database(self.connection)
            try:
                self._prepare()
            except BaseException:
                self.connection.close()
                raise

    def _prepare(self) -> None:
        """Check whose database this is, then bring its tables up to date."""
        self.connection.row_factory = sqlite3.Row
        self._check_owner()
        self.connection.execute("pragma synchronous = full")  # so that a power cut loses no more
        self.connection.execute("pragma foreign_keys = on")
        if migrations.pending(self.database):
            self.connection.execute("pragma page_size = 8192")  # for a new one: less is left unused
            self._switch_to_wal()
            # Alone, or two scans that start together would both create the tables.
            self.connection.execute("begin exclusive")
            with self.connection:
                self._check_owner()
                self.connection.execute(f"pragma application_id = {APPLICATION_ID}")
                migrations.apply(self.database)

    def _check_owner(self) -> None:
        [application_id] = self.connection.execute("pragma application_id").fetchone()
        [tables] = self.connection.execute("select count(*) from sqlite_master").fetchone()
        if application_id != APPLICATION_ID and tables:
            raise DatabaseError(
                f"{self.path} is another program's database; choose another with --db"
            )

    def _switch_to_wal(self) -> None:
        """Let readers and a writer work side by side; SQLite does not wait here by itself."""
        give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
        while True:
            try:
                self.connection.execute("pragma journal_mode = wal")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group writes: all or none of them take effect, in one flush to the disk."""
        with database_errors(self.path):
            self.connection.execute("begin immediate")
            try:
                yield
                self.connection.execute("commit")
            except BaseException:
                if self.connection.in_transaction:  # a full disk ends it by itself
                    self.connection.execute("rollback")
                raise

    def known(self, path: str) -> KnownFile | None:
        """Return what is stored of the file at ``path``, if anything is."""
        row = self.connection.execute(
            "select id, size, mtime_ns, status, reason, model_id, identity, device, worker_deaths"
            " from files where path = ?",
            (os.fsencode(path),),
        ).fetchone()
        return KnownFile(*row) if row else None

    def add_model(self, model_id: str, name: str, genres: Iterable[str], card: str) -> None:
        """Remember a model that predictions refer to."""
        with database_errors(self.path):
            self.connection.execute(
                "insert or ignore into models values (?, ?, ?, ?)",
                (model_id, name, json.dumps(list(genres)), card),
            )

    def start_scan(self, paths: Iterable[str], model_id: str) -> int:
        """Record that a scan begins; return its id."""
        with database_errors(self.path):
            cursor = self.connection.execute(
                "insert into scans (started_at, paths, model_id) values (?, ?, ?)",
                (now(), json.dumps([display_path(path) for path in paths]), model_id),
            )
        return int(cursor.lastrowid or 0)

    def finish_scan(
        self, scan_id: int, counts: dict[str, int], seconds: float, reasons: dict[str, int]
    ) -> None:
        """Record a scan's honest account."""
        assignments = ", ".join(f"{name} = :{name}" for name in counts)
        with database_errors(self.path):
            self.connection.execute(
                f"update scans set finished_at = :finished_at, seconds = :seconds,"
                f" reasons = :reasons, {assignments} where id = :id",
                {
                    "finished_at": now(),
                    "seconds": round(seconds, 3),
                    "reasons": json.dumps(reasons),
                    "id": scan_id,
                    **counts,
                },
            )

    def add_result(
        self,
        result: TrackResult,
        model_id: str,
        scan_id: int,
        device: int | None = None,
        worker_deaths: int = 0,
    ) -> int:
        """Store what became of one file, in place of what was known; return the file's id.

        A failure or skip keeps earlier predictions: the file may be well again tomorrow.
        """
        values = vars(result) | {
            "path": os.fsencode(result.path),
            "path_text": display_path(result.path),
            "model_id": model_id,
            "scanned_at": now(),
            "scan_id": scan_id,
            "device": device,
            "worker_deaths": worker_deaths,
        }
        row = [values[column] for column in _FILE_COLUMNS]
        updates = ", ".join(f"{column} = excluded.{column}" for column in _FILE_COLUMNS)
        [file_id] = self.connection.execute(
            f"insert into files ({', '.join(_FILE_COLUMNS)})"
            f" values ({', '.join('?' * len(row))})"
            f" on conflict (path) do update set {updates} returning id",
            row,
        ).fetchone()
        if result.probabilities:
            self._add_prediction(int(file_id), result, model_id)
        return int(file_id)

    def _add_prediction(self, file_id: int, result: TrackResult, model_id: str) -> None:
        ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
        (genre, confidence), (second_genre, second_confidence) = [*ranked, (None, None)][:2]
        self.connection.execute(
            "insert or replace into predictions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                file_id, model_id, genre, confidence, second_genre, second_confidence,
                _compact({name: round(value, 4) for name, value in ranked}),
                _compact([round(seconds, 1) for seconds in result.slice_seconds]),
                result.slice_probabilities, result.embedding,
            ),
        )  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one row per file for reports, in order of path.

        Keys are those of the ``files`` table and of its newest prediction (``genre`` and so on,
        None where there is none); ``probabilities`` is a dict.
        """
        cursor = self.connection.execute(
            "select files.*, genre, confidence, second_genre, second_confidence, probabilities,"
            " slice_seconds, slice_probabilities from files left join predictions"
            " on predictions.file_id = files.id and predictions.model_id = files.model_id"
            " and files.status = 'classified' order by files.path"
        )
        with database_errors(self.path):
            for row in cursor:
                values = dict(row)
                values["probabilities"] = json.loads(row["probabilities"] or "{}")
                yield values

    def duplicates(self) -> Iterator[list[dict[str, Any]]]:
        """Yield groups of files that hold exactly the same audio, in order of their first path.

        Keys are those of the ``files`` table; files that are gone are left out.
        """
        cursor = self.connection.execute(
            "select files.*, min(path) over (partition by identity) as first,"
            " count(*) over (partition by identity) as copies from files"
            " where identity is not null and status != 'missing' order by first, path"
        )
        with database_errors(self.path):
            several = (dict(row) for row in cursor if row["copies"] > 1)
            for _, group in groupby(several, key=lambda row: row["first"]):
                yield list(group)

    def genres(self) -> list[str]:
        """Return every genre that a stored model knows, in the models' order."""
        known: dict[str, None] = {}
        for [names] in self.connection.execute("select genres from models order by rowid"):
            known |= dict.fromkeys(json.loads(names))
        return list(known)

    def models(self) -> dict[str, dict[str, Any]]:
        """Return the card and the genres (in the order of its outputs) of each model by id."""
        return {
            model_id: json.loads(card or "{}") | {"name": name, "genres": json.loads(genres)}
            for model_id, name, genres, card in self.connection.execute(
                "select model_id, name, genres, card from models order by rowid"
            )
        }
