"""Work on this machine's cores: a pool of spawned processes.

Spawn, because a fork after TensorFlow has run hangs. Pebble, because it kills a worker that
takes too long, replaces one that dies, and knows which task it was; ``multiprocessing.Pool``
waits for a dead worker for ever.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")

DEFAULT_TIMEOUT_SECONDS = 120.0

# Tasks handed out per worker: enough that none waits, few enough that memory stays flat.
IN_FLIGHT_PER_WORKER = 4

# A worker is replaced after this many files: what a decoder leaks does not add up.
TASKS_PER_WORKER = 2_000

# One thread per process: the pool uses all cores, and idle BLAS threads spin.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """Why a task has no result: it took too long, or its worker died or raised."""

    reason: str


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessEngine:
    """Runs a function on many inputs in worker processes.

    Parameters
    ----------
    workers : int
    timeout_seconds : float
        A task that takes longer is ended, with its worker.
    initializer : callable, optional
        Called with ``initargs`` once in each worker.
    """

    def __init__(
        self,
        workers: int,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        self.workers = workers
        self.timeout_seconds = timeout_seconds
        self._initializer = initializer
        self._initargs = initargs

    def run(
        self, function: Callable[..., Result], work: Iterable[Work]
    ) -> Iterator[tuple[Work, Result | Failure]]:
        """Yield (arguments, result or failure) of each task as it ends.

        ``work`` is an iterable of argument tuples; it is drawn from only as workers come free.
        When the caller stops early, the workers are stopped too.
        """
        from pebble import ProcessPool

        for variable in _THREAD_VARIABLES:
            os.environ.setdefault(variable, "1")
        pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=TASKS_PER_WORKER,
            initializer=self._initializer,
            initargs=list(self._initargs),
            context=multiprocessing.get_context("spawn"),
        )
        pending: dict[Future[Any], Work] = {}
        waiting = iter(work)
        finished = False
        try:
            while True:
                free = self.workers * IN_FLIGHT_PER_WORKER - len(pending)
                for arguments in islice(waiting, free):
                    future = pool.schedule(function, arguments, timeout=self.timeout_seconds)
                    pending[future] = arguments
                if not pending:
                    break
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    arguments = pending.pop(future)
                    yield arguments, self._outcome(future)
            finished = True
        finally:
            if finished:
                pool.close()
            else:
                pool.stop()
            pool.join()

    def _outcome(self, future: Future[Any]) -> Any:
        from pebble import ProcessExpired

        try:
            return future.result()
        except TimeoutError:
            return Failure(f"took longer than {self.timeout_seconds:g} s")
        except ProcessExpired as error:
            return Failure(f"the worker died on it (exit code {error.exitcode})")
        except Exception as error:
            # A bug of ours in one file must not end the run; it is reported as what it is.
            return Failure(f"unexpected {type(error).__name__}: {error}")
