"""Plan what is new, run it on an engine, store results as they arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from tagger.engines import Engine
from tagger.engines.processes import TRIES, Failure
from tagger.errors import NothingToDoError
from tagger.library.account import Account
from tagger.library.classify import TrackResult
from tagger.library.discover import Found, Walk, WalkOptions
from tagger.library.recorder import Recorder
from tagger.library.store import KnownFile, Store, display_text
from tagger.library.worker import classify_task
from tagger.library.worklist import Catalogue, Task, WorkList
from tagger.model.bundle import Bundle

Arguments = tuple[str, int, str | None]


@dataclass(frozen=True)
class ScanOptions:
    """What to do beyond hearing what is new.

    Attributes
    ----------
    force : bool
        Hear every file again.
    retry_failed : bool
        Try again what failed before, but not a file that ended two workers.
    prune : bool
        Mark known files that are gone.
    walk : WalkOptions
    """

    force: bool = False
    retry_failed: bool = False
    prune: bool = False
    walk: WalkOptions = field(default_factory=WalkOptions)


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
    EngineError
        If there is nobody to do the work.
    """
    began = time.monotonic()
    walk = Walk(paths, options.walk)
    account = Account()
    store.add_model(bundle.model_id, bundle.name, bundle.genres, bundle.card_text())
    scan_id = store.start_scan(paths, bundle.model_id)
    recorder = Recorder(store, bundle.model_id, scan_id, account)
    try:
        with closing(WorkList(store)) as work:
            planner = _Planner(store, bundle.model_id, options, recorder, work, account)
            for found in walk:
                planner.add(found)
            recorder.flush()
            on_plan(len(work))
            _hear(work, engine, bundle.slice_count, recorder, on_result)
            recorder.flush()
        if options.prune:
            account.missing = _mark_missing(store, bundle.model_id, walk)
    finally:
        account.not_audio = walk.not_audio
        recorder.flush()
        account.seconds = time.monotonic() - began
        extra = {"not_audio": account.not_audio, "missing": account.missing}
        store.finish_scan(scan_id, account.counts() | extra, account.seconds, dict(account.reasons))
    if not account.found:
        raise NothingToDoError(f"no audio files in {', '.join(paths)}")
    return account


def _hear(
    work: WorkList,
    engine: Engine,
    slice_count: int,
    recorder: Recorder,
    on_result: Callable[[TrackResult], None],
) -> None:
    """Run the work on the engine; workers are started only if there is any."""
    if not len(work):
        return
    given: dict[str, Task] = {}

    def arguments() -> Iterator[Arguments]:
        for task in work:
            given[task.path] = task
            yield task.path, slice_count, task.known_identity

    for (path, *_), outcome in engine.run(classify_task, arguments(), recorder.flush_if_due):
        task, deaths = given.pop(path), 0
        if isinstance(outcome, Failure):
            deaths, reason = outcome.deaths, display_text(outcome.reason)
            if deaths >= TRIES:
                reason = f"quarantined: {reason}"
            outcome = TrackResult(path, "failed", task.size, task.mtime_ns, reason=reason)
        recorder.add(outcome, task.device, deaths)
        on_result(outcome)


class _Planner:
    """Decides for each file found whether it must be heard."""

    def __init__(
        self,
        store: Store,
        model_id: str,
        options: ScanOptions,
        recorder: Recorder,
        work: WorkList,
        account: Account,
    ) -> None:
        self._store, self._model_id, self._options = store, model_id, options
        self._recorder, self._work, self._account = recorder, work, account
        self._catalogue = Catalogue(store, model_id)

    def add(self, found: Found) -> None:
        """Count a file that is known well enough, or put it on the list."""
        known = self._store.known(found.path)
        if found.problem is not None:
            self._problem(found, known)
        elif known is None:
            guess = None if self._options.force else self._catalogue.guess_moved(found)
            self._work.add(found, guess)
        elif not self._options.force and (status := self._still(found, known)) is not None:
            self._account.add(status, known.reason)
        else:
            heard = not self._options.force and self._catalogue.has_prediction(known.file_id)
            self._work.add(found, known.identity if heard else None)

    def _problem(self, found: Found, known: KnownFile | None) -> None:
        status = "skipped" if found.skipped else "failed"
        if known is not None and (known.status, known.reason) == (status, found.problem):
            self._account.add(status, known.reason)
        else:
            self._recorder.add(TrackResult(found.path, status, reason=found.problem))

    def _still(self, found: Found, known: KnownFile) -> str | None:
        """Return what a known file counts as, or None if it must be heard.

        A file that failed counts as failed again: it has not become well by being looked at.
        """
        if (known.size, known.mtime_ns) != (found.size, found.mtime_ns):
            return None
        if known.status == "failed":
            retried = self._options.retry_failed and known.worker_deaths < TRIES
            return None if retried else "failed"
        if known.status == "skipped":
            return "skipped" if known.model_id == self._model_id else None
        if not self._catalogue.has_prediction(known.file_id):
            return None
        if known.status == "missing" or known.model_id != self._model_id:
            self._recorder.do(lambda: self._catalogue.revive(known.file_id))
        if known.device != found.device:
            self._recorder.do(lambda: self._catalogue.set_device(known.file_id, found.device))
        return "unchanged"


def _mark_missing(store: Store, model_id: str, walk: Walk) -> int:
    """Mark what is gone, but not below a path where nothing was found: it may be unmounted."""
    catalogue, missing = Catalogue(store, model_id), 0
    for file_ids in catalogue.gone(sorted(walk.roots_with_files)):
        with store.transaction():
            catalogue.mark_missing(file_ids)
        missing += len(file_ids)
    return missing
