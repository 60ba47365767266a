"""Work on many machines: an existing Dask scheduler, or a small cluster of our own here.

Dask moves tasks and results and notices lost workers; what a task may do to its worker is our own
affair (see ``cluster_worker``). The scheduler holds no more than the workers can soon begin with,
so it stays small however many files there are, and when it is lost nothing is: this side knows
what has not come back, waits for it to return, and hands that out again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import queue
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from tagger.engines import Preparation
from tagger.engines.cluster_worker import Parcel, Unfit, perform, worker_facts
from tagger.engines.link import Link, first_line
from tagger.engines.processes import IDLE_SECONDS, TRIES, Failure
from tagger.engines.schedulers import parse_scheduler, quiet, running
from tagger.errors import MissingExtraError

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")

# Each thread of a worker has a second batch waiting, and a third on its way.
BATCHES_PER_THREAD = 3
MAX_BATCH = 64


@dataclass(eq=False)
class _Task:
    arguments: Any
    deaths: int = 0


class DaskEngine:
    """Runs a function on many inputs on the workers of a Dask cluster; see ``Engine``.

    Parameters
    ----------
    scheduler : str
        ``tcp://HOST:PORT`` (or ``tls://``), or ``local:N`` for N workers on this machine.
    timeout_seconds : float
        A task that takes longer is ended, with its process.

    Raises
    ------
    MissingExtraError
        If ``distributed`` is not installed.
    OptionError
        If ``scheduler`` is no address.
    """

    def __init__(
        self,
        scheduler: str,
        preparation: Preparation,
        *,
        timeout_seconds: float,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                "working on a cluster needs Dask: pip install 'tagger[cluster]'"
            ) from error
        self.address, self.local_workers = parse_scheduler(scheduler)
        self.parcel = Parcel(
            secrets.token_hex(6),
            preparation.initializer,
            preparation.files,
            {name: hashlib.sha256(data).hexdigest() for name, data in preparation.files.items()},
            worker_facts(preparation.packages),
            timeout_seconds,
        )
        self.packages = preparation.packages
        self.on_note = on_note

    def run(
        self,
        function: Callable[..., Result],
        work: Iterable[Work],
        on_idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Work, Result | Failure]]:
        """Yield (arguments, result or failure) of each task as it ends; see ``Engine``."""
        with quiet(), running(self.address, self.local_workers) as address:
            link = Link(address, self.parcel, self.packages, self.on_note)
            yield from _Run(link, self.parcel.token, function, work).outcomes(on_idle)


class _Run:
    """One run of an engine: the tasks in flight, and those to be handed out once more."""

    def __init__(
        self, link: Link, token: str, function: Callable[..., Any], work: Iterable[Any]
    ) -> None:
        self._link, self._token, self._function = link, token, function
        self._waiting = (_Task(arguments) for arguments in work)
        self._again: deque[_Task] = deque()
        self._flying: dict[Any, list[_Task]] = {}  # batches by future
        self._batch_size = 1
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures
        self._numbers = itertools.count()

    def outcomes(self, on_idle: Callable[[], None]) -> Iterator[tuple[Any, Any]]:
        from distributed import CancelledError

        try:
            self._link.connect()
            while True:
                try:
                    self._link.count_workers()
                    if not self._hand_out():
                        break
                    results = self._results(self._next_ended())
                except (OSError, TimeoutError, CancelledError):
                    self._take_back()
                    self._link.connect_again()
                    continue
                if not results:
                    on_idle()
                yield from results
        finally:
            self._link.close([*self._flying])

    def _take_back(self) -> None:
        """Note that nothing of what is in flight will come back."""
        for batch in self._flying.values():
            self._again.extend(batch)
        self._flying.clear()
        self._ended = queue.SimpleQueue()

    def _next_batch(self) -> list[_Task]:
        """Return what a worker is to do next; a task that may have killed workers goes alone."""
        batch: list[_Task] = []
        while len(batch) < self._batch_size:
            if self._again and self._again[0].deaths:
                return batch or [self._again.popleft()]
            task = self._again.popleft() if self._again else next(self._waiting, None)
            if task is None:
                break
            batch.append(task)
        return batch

    def _hand_out(self) -> bool:
        """Give the cluster enough to do; false when all is done."""
        fit = self._link.fit_threads()
        threads = sum(fit.values()) or sum(self._link.threads.values())
        # Without workers one batch waits for them: so it is known that there is work left.
        while len(self._flying) < max(1, BATCHES_PER_THREAD * threads):
            batch = self._next_batch()
            if not batch:
                break
            future = self._submit(batch, list(fit) if self._link.unfit else [])
            self._flying[future] = batch
            future.add_done_callback(self._ended.put)
        return bool(self._flying)

    def _submit(self, batch: list[_Task], preferred: list[str]) -> Any:
        """Hand out a batch; workers that are not preferred get it when no other is left."""
        where = {"workers": preferred, "allow_other_workers": True} if preferred else {}
        # A pair, so that Dask counts all these under one name: names are kept for ever.
        key = (f"tagger-{self._token}", next(self._numbers))
        return self._link.client.submit(
            perform,
            self._link.sent,
            self._function,
            [task.arguments for task in batch],
            key=key,
            pure=False,
            **where,
        )

    def _next_ended(self) -> list[Any]:
        """Return the futures that ended, at least one if any does within half a second."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=IDLE_SECONDS))
            while True:
                ended.append(self._ended.get_nowait())
        return [future for future in ended if future in self._flying]

    def _results(self, ended: list[Any]) -> list[tuple[Any, Any]]:
        """Return what ended with a result or for good; the rest is to be handed out once more.

        Raises
        ------
        OSError
            If the connection is lost: then nothing was taken from what is in flight.
        """
        finished = [future for future in ended if future.status == "finished"]
        values = self._link.client.gather(finished) if finished else []
        self._link.require()
        outcomes = []
        for future, value in zip(finished, values, strict=True):
            batch = self._flying.pop(future)
            if isinstance(value, Unfit):
                self._again.extend(batch)
                self._link.note_unfit(value)
            else:
                self._link.heard()
                outcomes += [
                    (task.arguments, result) for task, result in zip(batch, value, strict=False)
                ]
                self._after_batch(batch, len(value))
        for future in ended:
            if (unfinished := self._flying.pop(future, None)) is not None:
                outcomes += self._after_error(unfinished, future)
        return outcomes

    def _after_batch(self, batch: list[_Task], done: int) -> None:
        """Put back what the worker did not come to; make batches as large as they should be."""
        self._again.extend(batch[done:])
        if done < len(batch):
            self._batch_size = done
        elif done == self._batch_size:
            self._batch_size = min(2 * done, MAX_BATCH)

    def _after_error(self, batch: list[_Task], future: Any) -> list[tuple[Any, Any]]:
        """Put back a batch that Dask gave up, or give its only task up too; see ``_results``."""
        from distributed import KilledWorker

        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            for task in batch:
                task.deaths += 1
            [first, *others] = batch
            if not others and first.deaths >= TRIES:
                reason = "every Dask worker that had it was lost"
                return [(first.arguments, Failure(reason, first.deaths))]
        self._again.extend(batch)
        if error is not None and not isinstance(error, KilledWorker):
            # The worker could not even begin.
            self._link.note_unfit(Unfit("a worker", f"can't begin: {first_line(error)}"))
        return []
