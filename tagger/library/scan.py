"""Plan what is new, run it on an engine, store results as they arrive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tagger.engines.processes import Failure
from tagger.errors import NothingToDoError
from tagger.library.classify import TrackResult
from tagger.library.discover import Found, discover
from tagger.library.store import KnownFile, Store
from tagger.library.worker import classify_task
from tagger.model.bundle import Bundle

# At most so much work is lost when the machine loses power.
COMMIT_SECONDS = 1.0


class Engine(Protocol):
    """Where work runs: see ``engines.processes.ProcessEngine``."""

    def run(
        self,
        function: Callable[..., TrackResult],
        work: Iterable[tuple[str, int]],
    ) -> Iterator[tuple[tuple[str, int], TrackResult | Failure]]:
        """Yield (arguments, result or failure) of each task as it ends."""
        ...


@dataclass
class Account:
    """What became of every file: ``found`` is the sum of the rest."""

    classified: int = 0
    unchanged: int = 0
    moved: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, reason: str | None) -> None:
        """Count one file."""
        setattr(self, status, getattr(self, status) + 1)
        if status in ("skipped", "failed"):
            self.reasons[f"{status}: {reason}"] += 1

    @property
    def found(self) -> int:
        """All files that look like audio."""
        return self.classified + self.unchanged + self.moved + self.skipped + self.failed

    def counts(self) -> dict[str, int]:
        """Return the honest count line's numbers, in its order."""
        names = ("found", "classified", "unchanged", "moved", "skipped", "failed")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class ScanOptions:
    """What to do again: all (``force``), or what failed before (``retry_failed``)."""

    force: bool = False
    retry_failed: bool = False


def scan(
    paths: list[str],
    store: Store,
    bundle: Bundle,
    engine: Engine,
    options: ScanOptions,
    on_result: Callable[[TrackResult], None] = lambda result: None,
    on_plan: Callable[[int], None] = lambda files: None,
) -> Account:
    """Classify what is new or changed at or below ``paths``; return the honest account.

    Results are stored as they arrive. When it is interrupted, all that ended is kept and the
    account is of that.

    Raises
    ------
    NothingToDoError
        If a path does not exist, or there is no audio file.
    DatabaseError
        If results can't be stored.
    """
    began = time.monotonic()
    account = Account()
    store.add_model(bundle.model_id, bundle.name, bundle.genres, bundle.card_text())
    scan_id = store.start_scan(paths, bundle.model_id)
    batch = _Batch(store, bundle.model_id, scan_id, account)
    try:
        todo = []
        for found in discover(paths):
            if found.problem is not None:
                batch.add(_problem(found))
            elif (known := _still_known(found, store, bundle.model_id, options)) is not None:
                account.add(
                    "unchanged" if known.status == "classified" else known.status, known.reason
                )
            else:
                todo.append(found)
        on_plan(len(todo))
        work = [(found.path, bundle.slice_count) for found in todo]
        sizes = {found.path: found for found in todo}
        for (path, _), outcome in engine.run(classify_task, work) if work else ():
            if isinstance(outcome, Failure):
                found = sizes[path]
                outcome = TrackResult(
                    path, "failed", found.size, found.mtime_ns, reason=outcome.reason
                )
            batch.add(outcome)
            on_result(outcome)
    finally:
        batch.flush()
        account.seconds = time.monotonic() - began
        store.finish_scan(scan_id, account.counts(), account.seconds, dict(account.reasons))
    if not account.found:
        raise NothingToDoError(f"no audio files in {', '.join(paths)}")
    return account


def _problem(found: Found) -> TrackResult:
    status = "skipped" if found.skipped else "failed"
    return TrackResult(found.path, status, found.size, found.mtime_ns, reason=found.problem)


def _still_known(
    found: Found, store: Store, model_id: str, options: ScanOptions
) -> KnownFile | None:
    """Return what is stored of this very file by this very model, if it need not be heard again.

    A file that failed counts as failed again: it has not become well by being looked at.
    """
    known = store.known(found.path)
    if known is None or options.force or known.model_id != model_id:
        return None
    if (known.size, known.mtime_ns) != (found.size, found.mtime_ns):
        return None
    if options.retry_failed and known.status == "failed":
        return None
    return known


class _Batch:
    """Collects results and stores them together, at least every second."""

    def __init__(self, store: Store, model_id: str, scan_id: int, account: Account) -> None:
        self._store, self._model_id, self._scan_id = store, model_id, scan_id
        self._account = account
        self._results: list[TrackResult] = []
        self._stored_at = time.monotonic()

    def add(self, result: TrackResult) -> None:
        self._results.append(result)
        if time.monotonic() - self._stored_at >= COMMIT_SECONDS:
            self.flush()

    def flush(self) -> None:
        with self._store.transaction():
            for result in self._results:
                self._store.add_result(result, self._model_id, self._scan_id)
        for result in self._results:
            self._account.add(result.status, result.reason)
            if result.status == "classified":
                best = max(result.probabilities, key=lambda genre: result.probabilities[genre])
                self._account.genres[best] += 1
        self._results.clear()
        self._stored_at = time.monotonic()
