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
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from tagger.engines import Preparation
from tagger.engines.cluster_worker import (
    Parcel,
    Unfit,
    differences,
    dismiss,
    perform,
    worker_facts,
)
from tagger.engines.processes import IDLE_SECONDS, TRIES, Failure
from tagger.errors import EngineError, MissingExtraError, OptionError

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")

# Each thread of a worker has a second task waiting, and a third on its way.
TASKS_PER_THREAD = 3

# How often the workers are counted.
COUNT_SECONDS = 2.0

CONNECT_SECONDS = 10.0
# How long a scheduler that went away may take to come back, and a cluster to have workers.
RETURN_SECONDS = 120.0
# How long nobody but unfit workers may answer.
UNFIT_SECONDS = 30.0


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
            yield from _Run(self, address, function, work).outcomes(on_idle)


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
    """One run of an engine: the connection, and the tasks in flight."""

    def __init__(
        self, engine: DaskEngine, address: str, function: Callable[..., Any], work: Iterable[Any]
    ) -> None:
        self._engine, self._address, self._function = engine, address, function
        self._waiting = (_Task(arguments) for arguments in work)
        self._again: deque[_Task] = deque()  # to be handed out once more
        self._flying: dict[Any, _Task] = {}  # by future
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures
        self._numbers = itertools.count()
        self._client: Any = None
        self._parcel: Any = None
        self._threads: dict[str, int] = {}  # by worker
        self._counted_at = self._heard_at = 0.0
        self._unfit: dict[str, str] = {}  # worker to reason

    def outcomes(self, on_idle: Callable[[], None]) -> Iterator[tuple[Any, Any]]:
        from distributed.comm.core import CommClosedError

        lost = (OSError, CommClosedError, TimeoutError)
        try:
            self._connect()
            while True:
                try:
                    self._count_workers()
                    if not self._hand_out():
                        break
                    ended = self._next_ended()
                    results = self._results(ended)
                except lost:
                    self._reconnect()
                    continue
                if not ended:
                    on_idle()
                yield from results
        finally:
            self._disconnect()

    # Connecting

    def _connect(self) -> None:
        """Connect, check the workers, and send them what they need.

        Raises
        ------
        EngineError
            If nobody answers, or a worker is not fit for the work.
        """
        import distributed

        try:
            self._client = distributed.Client(
                self._address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"no Dask scheduler answers at {self._address}; start one with `dask scheduler`,"
                " or use --scheduler local:N"
            ) from error
        self._heard_at = time.monotonic()
        self._check_workers()
        self._parcel = self._client.submit(
            _same, self._engine.parcel, key=f"tagger-parcel-{secrets.token_hex(6)}", pure=False
        )

    def _check_workers(self) -> None:
        """Refuse to begin while a worker would give other results, or none."""
        answers = self._client.run(worker_facts, self._engine.packages, on_error="return")
        problems = {}
        for worker, facts in answers.items():
            if isinstance(facts, BaseException):
                problems[worker] = f"can't run this version of tagger ({_first_line(facts)})"
            elif differing := differences(self._engine.parcel.facts, facts):
                problems[worker] = f"has {differing}"
        if problems:
            worker, problem = min(problems.items())
            raise EngineError(
                f"{len(problems)} of {len(answers)} workers would not give the same results:"
                f" {worker} {problem}; install the same versions there as here"
            )

    def _reconnect(self) -> None:
        """Take back what was in flight and wait for the scheduler to return.

        Raises
        ------
        EngineError
            If it does not.
        """
        self._again.extend(self._flying.values())
        self._flying.clear()
        self._ended = queue.SimpleQueue()
        self._disconnect()
        deadline = time.monotonic() + RETURN_SECONDS
        self._engine.on_note(f"the scheduler at {self._address} is gone; waiting for it to return")
        while True:
            try:
                self._connect()
            except EngineError as error:
                self._disconnect()
                if time.monotonic() >= deadline:
                    raise EngineError(
                        f"the scheduler at {self._address} did not return within"
                        f" {RETURN_SECONDS:g} s ({error}); what was finished is kept,"
                        " and the same command goes on from there"
                    ) from error
                time.sleep(IDLE_SECONDS)
            else:
                self._engine.on_note(f"the scheduler at {self._address} is back; going on")
                return

    def _disconnect(self) -> None:
        """Give up what is in flight and leave nothing on the workers."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(Exception):
            if client.status == "running":
                client.cancel([*self._flying, self._parcel], force=True)
                client.run(dismiss, self._engine.parcel.token, on_error="ignore")
        self._flying.clear()
        self._parcel = None
        with contextlib.suppress(Exception):
            client.close(timeout=CONNECT_SECONDS)

    # Working

    def _count_workers(self) -> None:
        """Look how many threads there are now, every few seconds.

        Raises
        ------
        EngineError
            If there has been none for long.
        """
        if self._client.status != "running":
            raise OSError("the connection is lost")
        if self._threads and time.monotonic() - self._counted_at < COUNT_SECONDS:
            return
        self._counted_at = time.monotonic()
        self._threads = dict(self._client.nthreads())
        if self._threads:
            self._heard_at = self._counted_at
        elif time.monotonic() - self._heard_at > RETURN_SECONDS:
            raise EngineError(
                f"the scheduler at {self._address} has had no workers for {RETURN_SECONDS:g} s;"
                " what was finished is kept, and the same command goes on from there"
            )

    def _next_task(self) -> _Task | None:
        return self._again.popleft() if self._again else next(self._waiting, None)

    def _hand_out(self) -> bool:
        """Give the cluster enough to do; false when all is done."""
        fit = {worker: n for worker, n in self._threads.items() if worker not in self._unfit}
        wanted = TASKS_PER_THREAD * sum(fit.values() or self._threads.values())
        while len(self._flying) < wanted:
            task = self._next_task()
            if task is None:
                break
            # Others are asked only when none of the fit ones is there.
            preferred = {"workers": [*fit], "allow_other_workers": True} if self._unfit else {}
            future = self._client.submit(
                perform, self._parcel, self._function, task.arguments,
                key=(f"tagger-{self._engine.parcel.token}", next(self._numbers)), pure=False,
                **preferred if fit else {},
            )  # fmt: skip
            self._flying[future] = task
            future.add_done_callback(self._ended.put)
        return bool(self._flying or self._again or not self._threads and self._peek())

    def _peek(self) -> bool:
        """Tell whether work is left, while there is nobody to do it."""
        task = next(self._waiting, None)
        if task is not None:
            self._again.append(task)
        return task is not None

    def _next_ended(self) -> list[Any]:
        """Return the futures that ended, at least one if any does within half a second."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=IDLE_SECONDS))
            while True:
                ended.append(self._ended.get_nowait())
        return [future for future in ended if future in self._flying]

    def _results(self, ended: list[Any]) -> list[tuple[Any, Any]]:
        """Fetch what ended; what has no result yet is put back, and is no part of the list."""
        finished = [future for future in ended if future.status == "finished"]
        values = self._client.gather(finished, errors="raise") if finished else []
        outcomes = []
        for future, value in zip(finished, values, strict=True):
            task = self._flying.pop(future)
            if isinstance(value, Unfit):
                self._note_unfit(value)
                self._again.append(task)
            else:
                self._heard_at = time.monotonic()
                outcomes.append((task.arguments, value))
        for future in ended:
            if future.status == "cancelled" and self._client.status != "running":
                raise OSError("the connection is lost")
            if future in self._flying and future.status != "finished":
                outcomes += self._after_error(self._flying.pop(future), future)
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
        elif error is not None:  # the worker could not even begin
            self._note_unfit(Unfit("a worker", _first_line(error)))
        self._again.append(task)
        return []

    def _note_unfit(self, unfit: Unfit) -> None:
        """Prefer other workers from now on.

        Raises
        ------
        EngineError
            If there have been no others for a while.
        """
        if unfit.worker not in self._unfit:
            self._unfit[unfit.worker] = unfit.reason
            self._engine.on_note(f"{unfit.worker} gets no work: it {unfit.reason}")
        if time.monotonic() - self._heard_at > UNFIT_SECONDS:
            raise EngineError(
                f"no worker can do this: {unfit.worker} {unfit.reason}; what was finished is kept"
            )


def _same(value: Any) -> Any:
    return value


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
