"""A scanned library of a test's own, without a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tagger.library.classify import TrackResult
from tagger.library.journal import Journal
from tagger.library.store import Store
from tagger.sound.av_source import AvSource
from tagger.tags.apply import undo_all, write_all
from tagger.tags.batch import Outcome
from tagger.tags.plan import Decision, Policy, Verdict, make_plan

SHARES = {"rock": 0.6, "pop": 0.22, "jazz": 0.2}
ALL_THREE = ["Rock", "Pop", "Jazz"]


class Library:
    """A database with made-up predictions for real files."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.store = Store(database)
        self.journal = Journal(self.store)
        self.store.add_model("made-up-1", "made-up", ["blues", "hiphop", *SHARES], "{}")
        self._scan_id = self.store.start_scan([], "made-up-1")

    def add(self, path: Path | str, **changes: Any) -> None:
        """Record a file as a scan would."""
        path = os.fspath(path)
        with AvSource(path) as source:
            info = source.info
        state = Path(path).stat()
        facts = {"container": info.container, "codec": info.codec, "probabilities": SHARES}
        result = TrackResult(
            path, "classified", state.st_size, state.st_mtime_ns, **{**facts, **changes}
        )
        self.store.add_result(result, "made-up-1", self._scan_id)

    def plan(self, **policy: Any) -> list[Decision]:
        return list(make_plan(self.journal.candidates(), Policy(**policy)))

    def write(
        self, *, keep_mtime: bool = True, stopped: Callable[[], bool] = lambda: False, **policy: Any
    ) -> list[Outcome]:
        wanted = [d for d in self.plan(**policy) if d.verdict is Verdict.WRITE]
        return list(
            write_all(self.journal, wanted, options={}, keep_mtime=keep_mtime, stopped=stopped)
        )

    def undo(self) -> list[Outcome]:
        run = self.journal.last_run()
        assert run is not None
        return list(undo_all(self.journal, self.journal.writes_of(run)))

    def is_unchanged(self, path: Path | str) -> bool:
        """Tell whether a scan would count the file as unchanged."""
        known, state = self.store.known(os.fspath(path)), Path(path).stat()
        assert known is not None
        return (known.size, known.mtime_ns) == (state.st_size, state.st_mtime_ns)

    def states(self) -> Iterator[str]:
        rows = self.store.connection.execute("select state from tag_writes order by id")
        return (row[0] for row in rows)
