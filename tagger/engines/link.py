"""The connection to a Dask scheduler: made, checked, lost, made again."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from tagger.engines.cluster_worker import Parcel, Unfit, differences, dismiss, worker_facts
from tagger.engines.processes import IDLE_SECONDS
from tagger.errors import EngineError

CONNECT_SECONDS = 10.0

# How often the workers are counted.
COUNT_SECONDS = 2.0

# How long a scheduler that went away may take to come back, and a cluster to have workers.
RETURN_SECONDS = 120.0

# How long nobody but unfit workers may answer.
UNFIT_SECONDS = 30.0

GOES_ON = "what was finished is kept, and the same command goes on from there"


class Link:
    """A client of one scheduler, and what is known of its workers.

    Attributes
    ----------
    client : distributed.Client
    sent : distributed.Future
        The parcel, as tasks refer to it. It is a task's result, not data that was scattered: a
        cluster that loses the last copy makes another.
    threads : dict of str to int
        By the address of the worker.
    unfit : dict of str to str
        The workers that can't do this work, and why.
    """

    def __init__(
        self,
        address: str,
        parcel: Parcel,
        packages: tuple[str, ...],
        on_note: Callable[[str], None],
    ) -> None:
        self.client: Any = None
        self.sent: Any = None
        self.threads: dict[str, int] = {}
        self.unfit: dict[str, str] = {}
        self._address, self._parcel, self._packages = address, parcel, packages
        self._on_note = on_note
        self._counted_at = self._heard_at = 0.0

    def connect(self) -> None:
        """Connect, check the workers that are there, and send what they need.

        Raises
        ------
        EngineError
            If nobody answers, or a worker would not give the same results.
        """
        import distributed

        try:
            self.client = distributed.Client(
                self._address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"no Dask scheduler answers at {self._address}; start one with `dask scheduler`,"
                " or use --scheduler local:N"
            ) from error
        self.heard()
        self._check_workers()
        key = f"tagger-parcel-{secrets.token_hex(6)}"
        self.sent = self.client.submit(_itself, self._parcel, key=key, pure=False)

    def _check_workers(self) -> None:
        answers = self.client.run(worker_facts, self._packages, on_error="return")
        problems = {}
        for worker, facts in answers.items():
            if isinstance(facts, BaseException):
                problems[worker] = f"can't run this version of tagger ({first_line(facts)})"
            elif differing := differences(self._parcel.facts, facts):
                problems[worker] = f"has {differing}"
        if problems:
            worker, problem = min(problems.items())
            raise EngineError(
                f"{len(problems)} of {len(answers)} workers would not give the same results:"
                f" {worker} {problem}; install the same versions there as here"
            )

    def connect_again(self) -> None:
        """Wait for a scheduler that went away.

        Raises
        ------
        EngineError
            If it does not return.
        """
        self.close()
        self._on_note(f"the scheduler at {self._address} is gone; waiting for it to return")
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                self.connect()
            except (EngineError, OSError, TimeoutError) as error:
                self.close()
                if time.monotonic() >= deadline:
                    raise EngineError(
                        f"the scheduler at {self._address} did not return within"
                        f" {RETURN_SECONDS:g} s; {GOES_ON}"
                    ) from error
                time.sleep(IDLE_SECONDS)
            else:
                self._on_note(f"the scheduler at {self._address} is back; going on")
                return

    def close(self, futures: Iterable[Any] = ()) -> None:
        """Give up what is in flight, and leave nothing on the workers."""
        client, self.client = self.client, None
        sent, self.sent = self.sent, None
        self.threads = {}
        if client is None:
            return
        with contextlib.suppress(Exception):
            if client.status == "running":
                client.cancel([*futures, *([sent] if sent else [])], force=True)
                client.run(dismiss, self._parcel.token, on_error="ignore")
        with contextlib.suppress(Exception):
            client.close(timeout=CONNECT_SECONDS)

    def require(self) -> None:
        """Raise OSError if the connection is lost."""
        if self.client is None or self.client.status != "running":
            raise OSError("the connection is lost")

    def count_workers(self) -> None:
        """Look how many threads there are now, every few seconds.

        Raises
        ------
        EngineError
            If there has been none for long.
        OSError
            If the connection is lost.
        """
        self.require()
        if self.threads and time.monotonic() - self._counted_at < COUNT_SECONDS:
            return
        self._counted_at = time.monotonic()
        self.threads = dict(self.client.nthreads())
        if not self.threads and self._counted_at - self._heard_at > RETURN_SECONDS:
            raise EngineError(
                f"the scheduler at {self._address} has had no workers for {RETURN_SECONDS:g} s;"
                f" {GOES_ON}"
            )

    def fit_threads(self) -> dict[str, int]:
        """Return the threads of the workers that can do this work."""
        return {worker: n for worker, n in self.threads.items() if worker not in self.unfit}

    def heard(self) -> None:
        """Note that a worker does its work."""
        self._heard_at = time.monotonic()

    def note_unfit(self, unfit: Unfit) -> None:
        """Prefer other workers from now on.

        Raises
        ------
        EngineError
            If there have been no others for a while.
        """
        if unfit.worker not in self.unfit:
            self.unfit[unfit.worker] = unfit.reason
            self._on_note(f"{unfit.worker} gets no work: it {unfit.reason}")
        if time.monotonic() - self._heard_at > UNFIT_SECONDS:
            raise EngineError(f"no worker can do this: {unfit.worker} {unfit.reason}; {GOES_ON}")


def first_line(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _itself(parcel: Parcel) -> Parcel:
    return parcel
