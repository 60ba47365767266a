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
import logging
import queue
import re
import secrets
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from tagger.engines import Preparation
from tagger.engines.cluster_worker import Parcel, Unfit, perform, worker_facts
from tagger.engines.link import Link, first_line
from tagger.engines.processes import IDLE_SECONDS, TRIES, Failure
from tagger.errors import MissingExtraError, OptionError

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")

# Each thread of a worker has a second task waiting, and a third on its way.
TASKS_PER_THREAD = 3


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
        self.scheduler, self.local_workers = _parse(scheduler)
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
        with _quiet(), _cluster(self) as address:
            link = Link(address, self.parcel, self.packages, self.on_note)
            yield from _Run(link, self.parcel.token, function, work).outcomes(on_idle)


def _parse(scheduler: str) -> tuple[str, int]:
    """Return (address, 0), or ("", number of workers) of ``local:N``."""
    if found := re.fullmatch(r"local:(\d+)", scheduler):
        if int(found[1]) > 0:
            return "", int(found[1])
    elif re.fullmatch(r"((tcp|tls|ws|wss|ucx)://)?[^/\s:]+:\d+|\w+://\[[^\]]+\]:\d+", scheduler):
        return scheduler, 0
    raise OptionError(
        f"{scheduler!r} is no scheduler: give its address such as tcp://HOST:8786,"
        " or local:N for N workers on this machine"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own reports of what we handle off the terminal."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _cluster(engine: DaskEngine) -> Iterator[str]:
    """Yield a scheduler's address, starting one with workers for ``local:N``."""
    if not engine.local_workers:
        yield engine.scheduler
        return
    import distributed

    with distributed.LocalCluster(
        n_workers=engine.local_workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        memory_limit=0,  # the processes that do the work have a limit of their own
    ) as cluster:
        yield cluster.scheduler_address


class _Run:
    """One run of an engine: the tasks in flight, and those to be handed out once more."""

    def __init__(
        self, link: Link, token: str, function: Callable[..., Any], work: Iterable[Any]
    ) -> None:
        self._link, self._token, self._function = link, token, function
        self._waiting = (_Task(arguments) for arguments in work)
        self._again: deque[_Task] = deque()
        self._flying: dict[Any, _Task] = {}  # by future
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
        self._again.extend(self._flying.values())
        self._flying.clear()
        self._ended = queue.SimpleQueue()

    def _next_task(self) -> _Task | None:
        return self._again.popleft() if self._again else next(self._waiting, None)

    def _hand_out(self) -> bool:
        """Give the cluster enough to do; false when all is done."""
        fit = self._link.fit_threads()
        threads = sum(fit.values()) or sum(self._link.threads.values())
        # Without workers one task waits for them: so it is known that there is work left.
        while len(self._flying) < max(1, TASKS_PER_THREAD * threads):
            task = self._next_task()
            if task is None:
                break
            future = self._submit(task, list(fit) if self._link.unfit else [])
            self._flying[future] = task
            future.add_done_callback(self._ended.put)
        return bool(self._flying)

    def _submit(self, task: _Task, preferred: list[str]) -> Any:
        """Hand out a task; workers that are not preferred get it when no other is left."""
        where = {"workers": preferred, "allow_other_workers": True} if preferred else {}
        # A pair, so that Dask counts all these under one name: names are kept for ever.
        key = (f"tagger-{self._token}", next(self._numbers))
        return self._link.client.submit(
            perform, self._link.sent, self._function, task.arguments, key=key, pure=False, **where
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
            task = self._flying.pop(future)
            if isinstance(value, Unfit):
                self._again.append(task)
                self._link.note_unfit(value)
            else:
                self._link.heard()
                outcomes.append((task.arguments, value))
        for future in ended:
            if (unfinished := self._flying.pop(future, None)) is not None:
                outcomes += self._after_error(unfinished, future)
        return outcomes

    def _after_error(self, task: _Task, future: Any) -> list[tuple[Any, Any]]:
        """Put back a task that Dask gave up, or give it up too; see ``_results``."""
        from distributed import KilledWorker

        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            task.deaths += 1
            if task.deaths >= TRIES:
                reason = "every Dask worker that had it was lost"
                return [(task.arguments, Failure(reason, task.deaths))]
        self._again.append(task)
        if error is not None and not isinstance(error, KilledWorker):
            # The worker could not even begin.
            self._link.note_unfit(Unfit("a worker", f"can't begin: {first_line(error)}"))
        return []
