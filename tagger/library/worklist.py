"""What is left to hear, kept on disk; and the files that moved, came back or are gone.

A scan of a million files needs to know how many are left, in what order, and what was known of
each: that is a temporary table, so the parent's memory stays flat.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from tagger.library.classify import TrackResult
from tagger.library.discover import Found, is_gone
from tagger.library.store import Store, display_path

CHUNK_ROWS = 500

# What another program may have changed in a file whose sound is the same.
_REFRESHED = (
    "size", "mtime_ns", "identity", "duration_seconds", "container", "title", "artist", "album",
    "album_artist", "date", "existing_genre",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A file to hear; ``known_identity`` is that of the audio it is thought to hold."""

    path: str
    size: int
    mtime_ns: int
    device: int | None
    known_identity: str | None


class WorkList:
    """The files that one scan has to hear, in the order they were found."""

    def __init__(self, store: Store) -> None:
        self._connection = store.connection
        self._connection.execute(
            "create temp table work (id integer primary key, path blob, size int, mtime_ns int,"
            " device int, known_identity text)"
        )
        self._rows: list[tuple[object, ...]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Forget the list."""
        self._connection.execute("drop table temp.work")

    def add(self, found: Found, known_identity: str | None) -> None:
        """Note a file to be heard."""
        path = os.fsencode(found.path)
        self._rows.append((path, found.size, found.mtime_ns, found.device, known_identity))
        self._count += 1
        if len(self._rows) >= CHUNK_ROWS:
            self._write()

    def _write(self) -> None:
        self._connection.executemany(
            "insert into temp.work (path, size, mtime_ns, device, known_identity)"
            " values (?, ?, ?, ?, ?)",
            self._rows,
        )
        self._rows.clear()

    def __iter__(self) -> Iterator[Task]:
        """Yield the tasks; a few at a time are in memory."""
        self._write()
        last = 0
        while True:
            rows = self._connection.execute(
                "select * from temp.work where id > ? order by id limit ?", (last, CHUNK_ROWS)
            ).fetchall()
            if not rows:
                return
            for last, path, *facts in rows:  # noqa: B007 - remembered for the next query
                yield Task(os.fsdecode(path), *facts)


class Catalogue:
    """What a store knows of files beyond their paths, for the model of one scan.

    Its writing methods belong into ``Store.transaction``.
    """

    def __init__(self, store: Store, model_id: str) -> None:
        self._connection, self._model_id = store.connection, model_id

    def has_prediction(self, file_id: int) -> bool:
        """Tell whether the model has heard a file."""
        query = "select 1 from predictions where file_id = ? and model_id = ?"
        return bool(self._connection.execute(query, (file_id, self._model_id)).fetchone())

    def guess_moved(self, found: Found) -> str | None:
        """Return the identity of a file that may have been moved to a new path.

        Renaming keeps size and mtime; whether it is the same audio must still be confirmed.
        """
        rows = self._connection.execute(
            "select path, device, identity from files join predictions on file_id = id"
            " where size = ? and mtime_ns = ? and predictions.model_id = ?"
            " and identity is not null",
            (found.size, found.mtime_ns, self._model_id),
        )
        for path, device, identity in rows.fetchall():
            if is_gone(os.fsdecode(path), device):
                return str(identity)
        return None

    def move(self, result: TrackResult) -> int | None:
        """Let a gone file with the same audio have its new path; return its id, if there is one."""
        rows = self._connection.execute(
            "select id, path, device from files where identity = ? order by id", (result.identity,)
        ).fetchall()
        for file_id, path, device in rows:
            if is_gone(os.fsdecode(path), device):
                self._connection.execute(
                    "update files set path = ?, path_text = ? where id = ?",
                    (os.fsencode(result.path), display_path(result.path), file_id),
                )
                return int(file_id)
        return None

    def refresh(self, file_id: int, result: TrackResult, device: int | None) -> None:
        """Store what changed around a file's audio, which this model has heard before."""
        facts = {name: getattr(result, name) for name in _REFRESHED}
        self._update(file_id, **facts, device=device)
        self.revive(file_id)

    def revive(self, file_id: int) -> None:
        """Let a file stand as classified by this model, whatever was thought of it meanwhile."""
        self._update(file_id, model_id=self._model_id)
        self._connection.execute(
            "update files set status = 'classified', reason = null"
            " where id = ? and status != 'classified'",
            (file_id,),
        )

    def set_device(self, file_id: int, device: int | None) -> None:
        """Note the number that a file system has now: the system may renumber them."""
        self._update(file_id, device=device)

    def copy_prediction(self, identity: str, file_id: int) -> None:
        """Give a file the prediction of another one with the same audio."""
        self._connection.execute(
            "insert or replace into predictions select ?, predictions.model_id, genre, confidence,"
            " second_genre, second_confidence, probabilities, slice_seconds, slice_probabilities,"
            " embedding from predictions join files on file_id = id"
            " where identity = ? and predictions.model_id = ? and id != ? limit 1",
            (file_id, identity, self._model_id, file_id),
        )

    def gone(self, roots: list[str]) -> Iterator[list[int]]:
        """Yield the ids of files below ``roots`` that are gone and not marked so, in groups."""
        for root in roots:
            prefix = os.fsencode(os.path.join(root, ""))
            last, stop = prefix, prefix[:-1] + bytes([prefix[-1] + 1])
            while rows := self._connection.execute(
                "select path, id, device from files where path > ? and path < ?"
                " and status != 'missing' order by path limit ?",
                (last, stop, CHUNK_ROWS),
            ).fetchall():
                last = rows[-1][0]
                ids = [id_ for path, id_, device in rows if is_gone(os.fsdecode(path), device)]
                if ids:
                    yield ids

    def mark_missing(self, file_ids: list[int]) -> None:
        """Mark files as gone; their results stay."""
        for file_id in file_ids:
            self._update(file_id, status="missing", reason="the file is gone")

    def _update(self, file_id: int, **values: object) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        self._connection.execute(
            f"update files set {assignments} where id = ?", (*values.values(), file_id)
        )
