"""Storing results as they arrive: together, and never later than a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tagger.library.account import Account
from tagger.library.classify import TrackResult
from tagger.library.store import Store
from tagger.library.worklist import Catalogue

# At most so much work is lost when the machine loses power.
COMMIT_SECONDS = 1.0

# More than this is stored at once, so that memory stays flat however fast results come.
MOST_PENDING = 1_000


class Recorder:
    """Collects what is to be stored for one scan, and counts each file once it is stored."""

    def __init__(self, store: Store, model_id: str, scan_id: int, account: Account) -> None:
        self._store, self._model_id, self._scan_id = store, model_id, scan_id
        self._account = account
        self._catalogue = Catalogue(store, model_id)
        self._pending: list[Callable[[], TrackResult | None]] = []
        self._stored_at = time.monotonic()

    def add(self, result: TrackResult, device: int | None = None, worker_deaths: int = 0) -> None:
        """Store what became of a file, soon."""
        self.do(lambda: self._store_result(result, device, worker_deaths))

    def do(self, change: Callable[[], TrackResult | None]) -> None:
        """Make a change of the database, soon; what it returns is counted then."""
        self._pending.append(change)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Store what waits, if it has waited long enough or is much."""
        waited = time.monotonic() - self._stored_at >= COMMIT_SECONDS
        if (self._pending and waited) or len(self._pending) >= MOST_PENDING:
            self.flush()

    def flush(self) -> None:
        """Store what waits: all of it, or (when that fails) nothing."""
        with self._store.transaction():
            outcomes = [change() for change in self._pending]
        self._pending.clear()
        for result in outcomes:
            if result is not None:
                self._count(result)
        self._stored_at = time.monotonic()

    def _count(self, result: TrackResult) -> None:
        self._account.add(result.status, result.reason)
        if result.status == "classified" and result.probabilities:
            best = max(result.probabilities, key=lambda genre: result.probabilities[genre])
            self._account.genres[best] += 1

    def _store_result(
        self, result: TrackResult, device: int | None, worker_deaths: int
    ) -> TrackResult:
        """Store a result; return it with the status that it is counted under."""
        known = self._store.known(result.path)
        if result.status == "same" and known is not None:
            self._catalogue.refresh(known.file_id, result, device)
            return replace(result, status="unchanged")
        if result.status in ("same", "classified") and known is None:
            moved_id = self._catalogue.move(result)
            if moved_id is not None:
                self._catalogue.refresh(moved_id, result, device)
                return replace(result, status="moved")
        status = "classified" if result.status == "same" else result.status
        result = replace(result, status=status)
        file_id = self._store.add_result(
            result, self._model_id, self._scan_id, device, worker_deaths
        )
        if status == "classified" and not result.probabilities:
            # Thought to have been moved; but it is a second copy of what was.
            self._catalogue.copy_prediction(str(result.identity), file_id)
        return result
