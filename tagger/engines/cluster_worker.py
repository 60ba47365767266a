"""What happens on a Dask worker: unpack what was sent once, then run tasks in processes.

A worker with several threads keeps a process for each. Nothing of a run stays behind: its files
and processes go when it says that it ended, or when nothing has come from it for a minute.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import tagger
from tagger.engines.single import SingleProcess
from tagger.errors import EngineError

IDLE_SECONDS = 60.0

# Tasks go through the scheduler in batches that take a worker about so long. A batch costs the
# scheduler 2.2 ms (benchmarks/cluster_overhead.py): it can feed 450 threads.
BATCH_SECONDS = 1.0

# A worker that can't work must not be the one that is free first, again and again.
UNFIT_SECONDS = 1.0


@dataclass(frozen=True)
class Parcel:
    """What all tasks of a run need, sent to each worker once.

    Attributes
    ----------
    sha256 : dict of str to str
        What each of ``files`` must be when it is there.
    facts : dict of str to str
        What decides results beside these: versions, see ``worker_facts``.
    """

    token: str
    initializer: Callable[[str], None]
    files: dict[str, bytes] = field(repr=False)
    sha256: dict[str, str]
    facts: dict[str, str]
    timeout_seconds: float


@dataclass(frozen=True)
class Unfit:
    """A worker's answer that it can't do this work, and why; another one may."""

    worker: str
    reason: str


def worker_facts(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions that decide results: of the code itself, of Python and packages."""
    facts = {"tagger": f"{tagger.__version__} (code {code_digest()})"}
    facts["Python"] = ".".join(platform.python_version_tuple()[:2])
    for name in packages:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "none"
    return facts


@cache
def code_digest() -> str:
    """Return a short hash of tagger's own source: checkouts differ where versions do not."""
    package = Path(tagger.__file__).parent
    digest = hashlib.sha256()
    for room in ("engines", "library", "model", "sound"):
        for path in sorted((package / room).glob("*.py")):
            text = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{room}/{path.name} {len(text)} ".encode() + text)
    return digest.hexdigest()[:8]


def differences(expected: dict[str, str], found: dict[str, str]) -> str:
    """Return how a worker's facts differ, for reading; empty if they don't."""
    return ", ".join(
        f"{name} {found.get(name, 'none')} instead of {version}"
        for name, version in expected.items()
        if found.get(name) != version
    )


def perform(
    parcel: Parcel, function: Callable[..., Any], batch: list[tuple[Any, ...]]
) -> list[Any] | Unfit:
    """Run the tasks of a batch in turn, for so long; return the results or failures until then.

    There is at least one. What was not begun is for the others: this worker may be a slow one.
    """
    results: list[Any] = []
    stop_at = time.monotonic() + BATCH_SECONDS
    try:
        with _lock:
            prepared = _prepared(parcel)
            process = prepared.take()
        try:
            for arguments in batch:
                results.append(process.ask(function, arguments, parcel.timeout_seconds))
                if time.monotonic() >= stop_at:
                    break
        finally:
            prepared.give_back(process)
    except (EngineError, OSError) as error:
        time.sleep(UNFIT_SECONDS)
        return results or Unfit(_address(), str(error))
    return results


def dismiss(token: str) -> None:
    """Forget a run: end its processes, remove its files."""
    with _lock:
        prepared = _runs.pop(token, None)
    if prepared is not None:
        prepared.close()


class _Prepared:
    """A run on this worker: its files in a folder, and the processes that are free."""

    def __init__(self, parcel: Parcel) -> None:
        here = worker_facts(tuple(name for name in parcel.facts if name not in _OWN_FACTS))
        if differing := differences(parcel.facts, here):
            raise EngineError(f"has {differing}")
        self._folder = tempfile.TemporaryDirectory(prefix="tagger-")
        for name, content in parcel.files.items():
            path = Path(self._folder.name) / name
            path.write_bytes(content)
            if hashlib.sha256(path.read_bytes()).hexdigest() != parcel.sha256[name]:
                raise EngineError(f"{name} did not arrive as it was sent")
        self._initializer = parcel.initializer
        self._free: list[SingleProcess] = []
        self._busy = 0
        self._closed = False
        self._used_at = time.monotonic()

    def take(self) -> SingleProcess:
        self._busy += 1
        if self._free:
            return self._free.pop()
        return SingleProcess(self._initializer, (self._folder.name,))

    def give_back(self, process: SingleProcess) -> None:
        with _lock:
            self._busy -= 1
            self._used_at = time.monotonic()
            if not self._closed:
                self._free.append(process)
                return
        process.close()
        self._remove_files()

    def is_idle(self) -> bool:
        return not self._busy and time.monotonic() - self._used_at > IDLE_SECONDS

    def close(self) -> None:
        with _lock:
            self._closed = True
            free, self._free = self._free, []
        for process in free:
            process.close()
        self._remove_files()

    def _remove_files(self) -> None:
        if not self._busy:
            self._folder.cleanup()


_OWN_FACTS = ("tagger", "Python")
_lock = threading.RLock()
_runs: dict[str, _Prepared] = {}


def _prepared(parcel: Parcel) -> _Prepared:
    if parcel.token not in _runs:
        prepared = _Prepared(parcel)
        if not _runs:
            threading.Thread(target=_clear_idle, name="tagger idle", daemon=True).start()
        _runs[parcel.token] = prepared
    return _runs[parcel.token]


def _clear_idle() -> None:
    """Dismiss runs that nothing comes from any more: whoever began them was killed."""
    while True:
        time.sleep(IDLE_SECONDS / 6)
        with _lock:
            idle = [token for token, prepared in _runs.items() if prepared.is_idle()]
        for token in idle:
            dismiss(token)
        with _lock:
            if not _runs:
                return


def _address() -> str:
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return "here"
