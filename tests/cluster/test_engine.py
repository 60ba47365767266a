"""The cluster engine on a real scheduler with three worker processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagger.engines import Preparation, cluster_engine
from tagger.engines.dask import BATCHES_PER_THREAD, MAX_BATCH
from tagger.engines.processes import Failure, ProcessEngine
from tagger.errors import EngineError, MissingExtraError, OptionError
from tests.cluster import machines as tasks
from tests.cluster.machines import Machines, machines

pytest.importorskip("distributed", reason="needs the cluster extra: distributed")

PREPARATION = Preparation(tasks.prepare, {"network": b"weights" * 999}, ("numpy",))


def engine(cluster: Machines, **options: Any) -> Any:
    return cluster_engine(cluster.address, PREPARATION, **{"timeout_seconds": 30.0} | options)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("workers")) as made:
        yield made


def test_everything_comes_back_once(cluster: Machines) -> None:
    work = [(number,) for number in range(300)]
    results = list(engine(cluster).run(tasks.square, work))
    assert Counter(arguments for arguments, _ in results) == Counter(work)
    assert all(result == arguments[0] ** 2 for arguments, result in results)


def test_no_more_is_taken_than_workers_can_soon_begin(cluster: Machines) -> None:
    taken = 0

    def work() -> Iterator[tuple[int]]:
        nonlocal taken
        for number in range(6_000):
            taken += 1
            yield (number,)

    ahead = [taken - ended for ended, _ in enumerate(engine(cluster).run(tasks.square, work()))]
    assert len(ahead) == 6_000
    assert ahead[0] <= 3 * BATCHES_PER_THREAD  # of one task, for each of three threads
    assert max(ahead) <= MAX_BATCH * 3 * (BATCHES_PER_THREAD + 1)  # and those that just ended


def test_what_is_sent_arrives_on_every_worker(cluster: Machines) -> None:
    results = engine(cluster).run(tasks.read_parcel, [("network",)] * 30)
    assert {result for _, result in results} == {b"weights" * 999}


def test_bad_tasks_fail_alone_and_for_the_same_reasons_as_locally(cluster: Machines) -> None:
    work = [(what,) for what in ("a", "crash", "b", "hang", "c", "raise", "d", "memory", "e")]
    results = dict(engine(cluster, timeout_seconds=2.0).run(tasks.misbehave, work))
    local = dict(ProcessEngine(2, timeout_seconds=2.0).run(tasks.misbehave, work))
    assert results == local
    assert results[("crash",)] == Failure("it ended 2 workers (SIGSEGV)", 2)
    assert results[("hang",)] == Failure("took longer than 2 s")
    assert [results[(name,)] for name in "abcde"] == list("abcde")


def test_nothing_stays_behind_when_the_caller_stops(cluster: Machines) -> None:
    running = engine(cluster).run(tasks.slow_square, [(number, 0.05) for number in range(999)])
    for _ in range(5):
        next(running)
    running.close()
    time.sleep(0.5)
    for worker in cluster.workers:
        assert not children(worker.pid)


def children(pid: int) -> list[str]:
    """Return the command lines of a process's children that run tasks."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if "spawn_main" in command:
                found.append(command)
    return found


def test_workers_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    work = [(number, 0.03) for number in range(120)]
    with machines(tmp_path) as cluster:
        results = []
        for ended, outcome in enumerate(engine(cluster).run(tasks.slow_square, work)):
            results.append(outcome)
            if ended == 20:
                os.kill(cluster.workers[0].pid, signal.SIGKILL)
            if ended == 60:
                os.kill(cluster.workers[1].pid, signal.SIGKILL)
    assert Counter(arguments for arguments, _ in results) == Counter(work)
    assert all(result == arguments[0] ** 2 for arguments, result in results)


def test_a_task_that_kills_whole_workers_fails_alone(tmp_path: Path) -> None:
    work = [(what,) for what in ("a", "b", "kill the worker", "c", "d", "e")]
    with machines(tmp_path, workers=5) as cluster:  # each of two tries kills two
        results = dict(engine(cluster).run(tasks.misbehave, work))
    assert results == {
        **{(name,): name for name in "abcde"},
        ("kill the worker",): Failure("every Dask worker that had it was lost", 2),
    }


def test_a_slow_worker_holds_nobody_up(tmp_path: Path) -> None:
    work = [(number, 0.02) for number in range(150)]
    with machines(tmp_path, workers=2) as cluster:
        cluster.start_worker(TEST_SLOWNESS="25")  # half a second for each task
        cluster.wait_for_workers(3)
        began = time.monotonic()
        results = list(engine(cluster).run(tasks.slow_square, work))
        seconds = time.monotonic() - began
    assert Counter(arguments for arguments, _ in results) == Counter(work)
    assert seconds < 150 / 3 * 0.5 / 2  # dealt out evenly, 25 s


def test_a_scheduler_that_is_restarted_is_waited_for(tmp_path: Path) -> None:
    work = [(number, 0.05) for number in range(120)]
    notes: list[str] = []
    with machines(tmp_path) as cluster:
        results = []
        for ended, outcome in enumerate(
            engine(cluster, on_note=notes.append).run(tasks.slow_square, work)
        ):
            results.append(outcome)
            if ended == 20:
                cluster.stop()
                threading.Thread(target=restart, args=(cluster,)).start()
    assert Counter(arguments for arguments, _ in results) == Counter(work)
    assert all(result == arguments[0] ** 2 for arguments, result in results)
    assert notes == [
        f"the scheduler at {cluster.address} is gone; waiting for it to return",
        f"the scheduler at {cluster.address} is back; going on",
    ]


def restart(cluster: Machines) -> None:
    time.sleep(1.0)
    cluster.start_scheduler()
    for _ in range(3):
        cluster.start_worker()


def test_a_scheduler_that_does_not_return_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.engines.link.RETURN_SECONDS", 2.0)
    monkeypatch.setattr("tagger.engines.link.CONNECT_SECONDS", 1.0)
    ended = 0
    with machines(tmp_path, workers=1) as cluster, pytest.raises(EngineError) as caught:
        for _ in engine(cluster).run(tasks.slow_square, [(number, 0.05) for number in range(99)]):
            ended += 1
            if ended == 5:
                cluster.stop()
    assert ended >= 5
    assert str(caught.value) == (
        f"the scheduler at {cluster.address} did not return within 2 s; what was finished is kept,"
        " and the same command goes on from there"
    )


def test_workers_with_other_versions_are_refused(
    cluster: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.__version__", "9.9.9")
    with pytest.raises(EngineError) as caught:
        list(engine(cluster).run(tasks.square, [(1,)]))
    message = str(caught.value)
    assert message.startswith("3 of 3 workers would not give the same results: tcp://127.0.0.1:")
    assert " has tagger 0." in message
    assert "instead of 9.9.9 (code " in message
    assert message.endswith("; install the same versions there as here")


def test_a_worker_with_another_version_that_joins_later_gets_no_work(tmp_path: Path) -> None:
    work = [(number, 0.05) for number in range(200)]
    notes: list[str] = []
    other = tmp_path / "other"
    (other / "numpy-1.0.0.dist-info").mkdir(parents=True)
    (other / "numpy-1.0.0.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 1.0.0\n")
    with machines(tmp_path, workers=2) as cluster:
        results = []
        for ended, outcome in enumerate(
            engine(cluster, on_note=notes.append).run(tasks.slow_square, work)
        ):
            results.append(outcome)
            if ended == 5:
                cluster.start_worker(PYTHONPATH=f"{other}:{tasks.ROOT}")
                cluster.wait_for_workers(3)
    assert Counter(arguments for arguments, _ in results) == Counter(work)
    assert all(result == arguments[0] ** 2 for arguments, result in results)
    [note] = notes
    assert " gets no work: it has numpy 1.0.0 instead of " in note


def test_workers_that_cannot_be_prepared_end_the_run(
    cluster: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.engines.link.UNFIT_SECONDS", 2.0)
    broken = cluster_engine(cluster.address, Preparation(tasks.refuse, {}), timeout_seconds=5.0)
    with pytest.raises(EngineError, match=r"no worker can do this: tcp://.* no good: tagger-; "):
        list(broken.run(tasks.square, [(1,)]))


def test_a_cluster_of_our_own() -> None:
    own = cluster_engine("local:2", PREPARATION, timeout_seconds=9.0)
    assert dict(own.run(tasks.square, [(3,), (4,)])) == {(3,): 9, (4,): 16}


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError) as caught:
        cluster_engine("local:2", PREPARATION, timeout_seconds=9.0)
    assert str(caught.value) == "working on a cluster needs Dask: pip install 'tagger[cluster]'"


@pytest.mark.parametrize("text", ["local:0", "local:x", "nonsense", "file:///x", ""])
def test_what_is_no_scheduler_is_refused(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        cluster_engine(text, PREPARATION, timeout_seconds=9.0)
    assert str(caught.value) == (
        f"{text!r} is no scheduler: give its address such as tcp://HOST:8786,"
        " or local:N for N workers on this machine"
    )
