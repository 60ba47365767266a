from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagger.engines import processes
from tagger.engines.processes import Failure, ProcessEngine, available_cores
from tagger.errors import EngineError
from tests.engines import tasks

Work = tuple[int, str]


def run(work: list[Work], workers: int = 2, timeout_seconds: float = 60.0) -> dict[int, Any]:
    engine = ProcessEngine(workers, timeout_seconds=timeout_seconds)
    return {number: outcome for (number, _), outcome in engine.run(tasks.answer, work)}


def assert_only_failure(outcomes: dict[int, Any], number: int, failure: Failure) -> None:
    assert outcomes.pop(number) == failure
    assert all(outcome[0] == number for number, outcome in outcomes.items())


def among(bad: str) -> list[Work]:
    """Return 12 tasks of which the sixth is bad."""
    return [(number, bad if number == 5 else "") for number in range(12)]


def test_every_task_is_answered_once() -> None:
    outcomes = run([(number, "") for number in range(50)])
    assert {number: answer[0] for number, answer in outcomes.items()} == dict(
        zip(range(50), range(50), strict=True)
    )
    assert len({pid for _, pid in outcomes.values()}) == 2


def test_no_work_starts_no_worker() -> None:
    assert run([]) == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("crash", "SIGSEGV"), ("kill", "SIGKILL"), ("exit", "exit code 3")],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_dying_worker_fails_its_own_task_only(bad: str, reason: str, workers: int) -> None:
    failure = Failure(f"it ended 2 workers ({reason})", deaths=2)
    assert_only_failure(run(among(bad), workers), 5, failure)


def test_a_task_gets_a_second_try_when_its_worker_dies(tmp_path: Path) -> None:
    outcomes = run(among(f"once:{tmp_path / 'mark'}"))
    assert outcomes[5][0] == 5
    assert len(outcomes) == 12


def test_a_hung_worker_is_ended_and_replaced() -> None:
    began = time.monotonic()
    outcomes = run(among("hang"), timeout_seconds=2.0)
    assert_only_failure(outcomes, 5, Failure("took longer than 2 s"))
    assert time.monotonic() - began < 15


def test_every_task_hangs_or_crashes() -> None:
    work = [(number, "hang" if number % 2 else "crash") for number in range(4)]
    outcomes = run(work, timeout_seconds=1.0)
    assert [type(outcomes[number]) for number in range(4)] == [Failure] * 4


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("raise", "unexpected ValueError: no such thing"),
        pytest.param(
            "eat",
            "needs more memory than a worker may use",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="no such limit"),
        ),
    ],
)
def test_what_a_task_raises_is_its_failure(bad: str, reason: str) -> None:
    assert_only_failure(run(among(bad)), 5, Failure(reason))


def test_a_result_that_cannot_be_sent_is_a_failure() -> None:
    outcomes = run(among("unpicklable"))
    assert outcomes[5].reason.startswith("unexpected ")
    assert len(outcomes) == 12


def test_an_idle_worker_may_be_killed() -> None:
    engine = ProcessEngine(1)
    outcomes: list[Any] = []

    def work() -> Iterator[Work]:
        yield 0, ""
        yield 1, ""
        while len(outcomes) < 2:  # the worker has nothing to do from here on
            yield 2, ""
        os.kill(outcomes[0][1], signal.SIGKILL)
        time.sleep(0.2)
        yield 3, ""

    for _, outcome in engine.run(tasks.answer, work()):
        outcomes.append(outcome)
    assert 3 in {outcome[0] for outcome in outcomes if not isinstance(outcome, Failure)}
    assert not any(isinstance(outcome, Failure) for outcome in outcomes)


def test_work_is_drawn_only_as_workers_come_free() -> None:
    drawn = 0

    def work() -> Iterator[Work]:
        nonlocal drawn
        for number in range(10_000):
            drawn += 1
            yield number, ""

    for done, _ in enumerate(ProcessEngine(2).run(tasks.answer, work()), start=1):
        assert drawn - done <= 2 * processes.TASKS_PER_PIPE
        if done == 200:
            break


def test_workers_are_recycled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TASKS_PER_WORKER", 5)
    outcomes = run([(number, "") for number in range(20)], workers=1)
    assert len(outcomes) == 20
    assert len({pid for _, pid in outcomes.values()}) == 4


def test_the_caller_hears_that_nothing_has_ended() -> None:
    idle = []
    work = [(0, "sleep:1.8")]
    list(ProcessEngine(1).run(tasks.answer, work, lambda: idle.append(time.monotonic())))
    assert len(idle) >= 2


def test_a_caller_that_stops_early_leaves_no_process() -> None:
    outcomes = ProcessEngine(2).run(tasks.answer, ((number, "") for number in range(1000)))
    pids = {next(outcomes)[1][1] for _ in range(20)}  # type: ignore[index]
    outcomes.close()  # type: ignore[attr-defined]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_that_cannot_be_prepared_end_the_run() -> None:
    with pytest.raises(EngineError) as caught:
        list(ProcessEngine(2, initializer=tasks.refuse).run(tasks.answer, [(0, "")]))
    assert str(caught.value) == "a worker can't be prepared: RuntimeError: no network here"


def test_workers_that_die_at_their_start_end_the_run() -> None:
    with pytest.raises(EngineError) as caught:
        list(ProcessEngine(2, initializer=tasks.die).run(tasks.answer, among("")))
    assert str(caught.value) == "workers die when they start (exit code 9)"


def test_a_worker_that_dies_at_its_start_loses_no_task(tmp_path: Path) -> None:
    engine = ProcessEngine(1, initializer=tasks.die_once, initargs=(str(tmp_path / "mark"),))
    assert len(list(engine.run(tasks.answer, among("")))) == 12


ORPHANS = """
from tagger.engines.processes import ProcessEngine
from tests.engines.tasks import answer
if __name__ == "__main__":
    work = [(0, ""), (1, ""), *((number, "hang") for number in range(2, 4))]
    for _, (number, pid) in ProcessEngine(2).run(answer, work):
        print(pid, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
    deadline = time.monotonic() + 10
    while pids and time.monotonic() < deadline:
        pids = {pid for pid in pids if _runs(pid)}
        time.sleep(0.05)
    assert not pids


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_available_cores_are_those_this_process_may_use() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no CPU affinity on this system")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
