"""One worker process that answers one task at a time: what runs a task on a cluster's worker.

A thread of a Dask worker can't be stopped, and a decoder that crashes would take the whole worker
with it. So the thread hands its task to a process of its own, which is ended and replaced exactly
as the local engine does it: same limits, same reasons.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from tagger.engines.processes import (
    FAILED_STARTS,
    START_SECONDS,
    TASKS_PER_WORKER,
    THREAD_VARIABLES,
    TRIES,
    Failure,
    how_it_ended,
)
from tagger.engines.serving import BROKEN, MEMORY_BYTES, READY, RESULT, serve
from tagger.errors import EngineError


class SingleProcess:
    """A process that runs tasks one by one, started when it is needed and replaced when it dies.

    Parameters
    ----------
    initializer, initargs
        See ``processes.ProcessEngine``.
    """

    def __init__(self, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        self._serve_arguments = (initializer, initargs, MEMORY_BYTES)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._given = 0

    def ask(self, function: Callable[..., Any], arguments: Any, timeout_seconds: float) -> Any:
        """Return the function's result, or a ``Failure``.

        Raises
        ------
        EngineError
            If the process can't be started or prepared.
        """
        exit_code: int | None = None
        for deaths in range(TRIES):
            process, connection = self._started()
            self._given += 1
            try:
                connection.send((function, arguments))
                message = _receive(process, connection, timeout_seconds)
            except (EOFError, OSError):
                exit_code = self._end()
                continue
            if message is None:
                self._end()
                return Failure(f"took longer than {timeout_seconds:g} s")
            kind, value = message
            if self._given >= TASKS_PER_WORKER:
                self._end()
            return value if kind == RESULT else Failure(value, deaths)
        return Failure(f"it ended {TRIES} workers ({how_it_ended(exit_code)})", TRIES)

    def close(self) -> None:
        """End the process; it has nothing to lose."""
        self._end()

    def _started(self) -> tuple[BaseProcess, Connection]:
        for _ in range(FAILED_STARTS):
            if self._process is not None and self._connection is not None:
                return self._process, self._connection
            self._start()
        raise EngineError("its processes die when they start")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, *self._serve_arguments), name="tagger worker", daemon=True
        )
        try:
            _start_process(process)
        except OSError as error:
            ours.close()
            raise EngineError(f"no process can be started: {error.strerror}") from error
        finally:
            theirs.close()
        self._process, self._connection, self._given = process, ours, 0
        try:
            message = _receive(process, ours, START_SECONDS)
        except (EOFError, OSError):
            message = None
        if message is None or message[0] != READY:
            self._end()
        if message is not None and message[0] == BROKEN:
            raise EngineError(str(message[1]))

    def _end(self) -> int | None:
        """End the process, if it has not ended; return its exit code."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is None or connection is None:
            return None
        connection.close()
        process.join(0.1)  # it may be dying of what we want to name
        if process.is_alive():
            process.kill()
        process.join()
        return process.exitcode


def _receive(process: BaseProcess, connection: Connection, seconds: float) -> Any:
    """Return the next message; None if none comes in time.

    Raises
    ------
    EOFError, OSError
        If the process ended instead.
    """
    happened = wait([connection, process.sentinel], seconds)
    if connection in happened:
        return connection.recv()
    if happened:
        raise EOFError
    return None


def _start_process(process: BaseProcess) -> None:
    """Start a process, with one thread for its libraries, also where the nanny forbids it.

    Dask's nanny makes workers daemons, which may have no children, lest these outlive them; ours
    end with their parent (see ``serving``).
    """
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    process.start()
