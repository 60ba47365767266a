"""A scheduler and workers as processes of their own on loopback, and the tasks that tests run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tagger

ROOT = Path(tagger.__file__).parents[1]
HERE = "127.0.0.1"

# No names to look up, no dashboard, and a lost connection noticed at once.
SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_LOGGING__DISTRIBUTED": "error",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


class Machines:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"tcp://{HERE}:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._folder = folder

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", "--host", HERE, "--port", str(self.port), "--no-dashboard", "--no-show"
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((HERE, self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError("the scheduler did not start")

    def start_worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        worker = self._start(
            "worker", self.address, "--host", HERE, "--nthreads", "1", "--no-dashboard",
            "--no-nanny", "--memory-limit", "0", "--local-directory", str(self._folder), *options,
            **environment,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int) -> None:
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def _start(self, kind: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *options],
            cwd=ROOT,
            env=os.environ | SETTINGS | {"PYTHONPATH": str(ROOT)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait()
        self.workers.clear()
        self.scheduler = None


@contextmanager
def machines(folder: Path, workers: int = 3) -> Iterator[Machines]:
    cluster = Machines(folder)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker()
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()


# Tasks, and what prepares their workers. They run in processes on the workers.

_folder = ""


def prepare(folder: str) -> None:
    global _folder
    _folder = folder


def refuse(folder: str) -> None:
    raise OSError(f"no good: {Path(folder).name[:7]}")


def square(number: int) -> int:
    return number * number


def slow_square(number: int, seconds: float) -> int:
    time.sleep(seconds * float(os.environ.get("TEST_SLOWNESS", "1")))
    return number * number


def read_parcel(name: str) -> bytes:
    return (Path(_folder) / name).read_bytes()


def misbehave(what: str) -> str:
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "kill the worker":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    if what == "hang":
        time.sleep(600)
    if what == "raise":
        raise ValueError("odd")
    if what == "memory":
        bytearray(20 * 2**30)
    return what
