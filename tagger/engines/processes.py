"""Work on this machine's cores: spawned processes, each with a pipe of its own.

Spawn, because a fork after TensorFlow has run hangs. A pipe for each, because what workers share
is what a dying one breaks: ``multiprocessing.Pool`` waits for it for ever, and in
``ProcessPoolExecutor`` and Pebble one killed worker can end the whole pool. Here a worker that
dies or takes too long is replaced and only its own task has a failure for a result.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from tagger.engines.serving import BROKEN, MEMORY_BYTES, READY, RESULT, serve
from tagger.errors import EngineError

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")

DEFAULT_TIMEOUT_SECONDS = 120.0

# A worker has a second task waiting in its pipe: it does not idle while the parent stores results.
TASKS_PER_PIPE = 2

# A worker is replaced after this many files: what a decoder leaks does not add up.
TASKS_PER_WORKER = 2_000

# A worker that dies may have been the wrong victim of a machine short of memory.
TRIES = 2

# Workers that die before they are ready, one after the other, will not get better.
FAILED_STARTS = 3
START_SECONDS = 60.0

# How often a caller hears that nothing has ended yet.
IDLE_SECONDS = 0.5

# One thread per process: the workers use all cores, and idle BLAS threads spin.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """Why a task has no result: it took too long, or its worker died or raised.

    Attributes
    ----------
    reason : str
    deaths : int
        How many workers died on it.
    """

    reason: str
    deaths: int = 0


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Task:
    arguments: Any
    deaths: int = 0


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    # The first is being worked on, since ``began`` (or the process is starting since then).
    tasks: deque[_Task] = field(default_factory=deque)
    began: float = field(default_factory=time.monotonic)
    given: int = 0


class ProcessEngine:
    """Runs a function on many inputs in worker processes.

    Parameters
    ----------
    workers : int
    timeout_seconds : float
        A task that takes longer is ended, with its worker.
    initializer : callable, optional
        Called with ``initargs`` once in each worker.
    memory_bytes : int, optional
        What each worker may use (on Linux); a task that asks for more fails.
    """

    def __init__(
        self,
        workers: int,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
        memory_bytes: int | None = MEMORY_BYTES,
    ) -> None:
        self.workers = workers
        self.timeout_seconds = timeout_seconds
        self._serve_arguments = (initializer, initargs, memory_bytes)

    def run(
        self,
        function: Callable[..., Result],
        work: Iterable[Work],
        on_idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Work, Result | Failure]]:
        """Yield (arguments, result or failure) of each task as it ends.

        ``work`` is an iterable of argument tuples; it is drawn from only as workers come free.
        ``on_idle`` is called twice a second while nothing ends. When the caller stops early, the
        workers are stopped too.

        Raises
        ------
        EngineError
            If workers can't be started.
        """
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, "1")
        yield from _Run(self, self._serve_arguments, function, work).outcomes(on_idle)


class _Run:
    """One run of an engine: its workers, and the tasks that they have."""

    def __init__(
        self,
        engine: ProcessEngine,
        serve_arguments: tuple[Any, ...],
        function: Callable[..., Any],
        work: Iterable[Any],
    ) -> None:
        self._engine, self._serve_arguments, self._function = engine, serve_arguments, function
        self._context = multiprocessing.get_context("spawn")
        self._waiting = (_Task(arguments) for arguments in work)
        self._again: deque[_Task] = deque()  # whose workers ended before they did
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def outcomes(self, on_idle: Callable[[], None]) -> Iterator[tuple[Any, Any]]:
        try:
            while self._hand_out():
                handles = [handle for worker in self._workers for handle in _handles(worker)]
                happened = set(wait(handles, self._seconds_to_wait()))
                if not happened:
                    on_idle()
                for worker in list(self._workers):
                    if worker.connection in happened:
                        yield from self._receive(worker)
                    elif worker.process.sentinel in happened:
                        yield from self._bury(worker)
                    elif time.monotonic() >= self._deadline(worker):
                        yield from self._end_overdue(worker)
        finally:
            self._stop_all()

    def _next_task(self) -> _Task | None:
        return self._again.popleft() if self._again else next(self._waiting, None)

    def _hand_out(self) -> bool:
        """Give every worker enough to do, starting workers as needed; false when all is done."""
        while len(self._workers) < self._engine.workers:
            task = self._next_task()
            if task is None:
                break
            self._start_worker(task)
        for depth in range(1, TASKS_PER_PIPE + 1):  # everybody gets one before anybody gets two
            for worker in self._workers:
                while len(worker.tasks) < depth and worker.given < TASKS_PER_WORKER:
                    task = self._next_task()
                    if task is None:
                        break
                    self._give(worker, task)
        return any(worker.tasks for worker in self._workers)

    def _start_worker(self, task: _Task) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve, args=(theirs, *self._serve_arguments), name="tagger worker", daemon=True
        )
        try:
            process.start()
        except OSError as error:
            raise EngineError(f"no worker process can be started: {error.strerror}") from error
        finally:
            theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._give(worker, task)

    def _give(self, worker: _Worker, task: _Task) -> None:
        if worker.ready and not worker.tasks:
            worker.began = time.monotonic()
        worker.tasks.append(task)
        worker.given += 1
        with suppress(OSError):  # it may have just died; its sentinel tells
            worker.connection.send((self._function, task.arguments))

    def _deadline(self, worker: _Worker) -> float:
        if not worker.ready:
            return worker.began + START_SECONDS
        return worker.began + self._engine.timeout_seconds if worker.tasks else float("inf")

    def _seconds_to_wait(self) -> float:
        nearest = min(self._deadline(worker) for worker in self._workers) - time.monotonic()
        return max(0.0, min(nearest, IDLE_SECONDS))

    def _receive(self, worker: _Worker) -> Iterator[tuple[Any, Any]]:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        worker.began = time.monotonic()
        if kind == READY:
            worker.ready, self._failed_starts = True, 0
        elif kind == BROKEN:
            raise EngineError(f"a worker can't be prepared: {value}")
        else:
            task = worker.tasks.popleft()
            yield task.arguments, value if kind == RESULT else Failure(value, task.deaths)
            if worker.given >= TASKS_PER_WORKER and not worker.tasks:
                self._dismiss(worker)

    def _bury(self, worker: _Worker) -> Iterator[tuple[Any, Any]]:
        """Take a dead worker's tasks back: the one it was at has had one of its tries."""
        worker.process.join()
        exit_code = worker.process.exitcode
        self._remove(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise EngineError(f"workers die when they start ({how_it_ended(exit_code)})")
            self._again.extend(worker.tasks)
            return
        if worker.tasks:
            task = worker.tasks.popleft()
            task.deaths += 1
            if task.deaths < TRIES:
                worker.tasks.append(task)
            else:
                reason = f"it ended {TRIES} workers ({how_it_ended(exit_code)})"
                yield task.arguments, Failure(reason, task.deaths)
        self._again.extend(worker.tasks)

    def _end_overdue(self, worker: _Worker) -> Iterator[tuple[Any, Any]]:
        worker.process.kill()
        if not worker.ready:
            yield from self._bury(worker)
            return
        worker.process.join()
        self._remove(worker)
        task = worker.tasks.popleft()
        self._again.extend(worker.tasks)
        yield task.arguments, Failure(f"took longer than {self._engine.timeout_seconds:g} s")

    def _dismiss(self, worker: _Worker) -> None:
        worker.connection.close()  # the end of its tasks
        worker.process.join(1.0)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        self._workers.remove(worker)

    def _remove(self, worker: _Worker) -> None:
        worker.connection.close()
        self._workers.remove(worker)

    def _stop_all(self) -> None:
        """Stop every worker: none has anything to lose."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()


def _handles(worker: _Worker) -> tuple[Any, Any]:
    return worker.connection, worker.process.sentinel


def how_it_ended(exit_code: int | None) -> str:
    """Return how a process ended, such as ``SIGSEGV`` or ``exit code 1``."""
    if exit_code is not None and exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"
