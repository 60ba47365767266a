"""What the cluster engine costs: against the local pool, and per task.

    python -m benchmarks.cluster_overhead tracks FOLDER    two workers each, alternating
    python -m benchmarks.cluster_overhead stubs [COUNT]    tasks that do nothing, results stored

The scheduler and the workers are processes of their own on loopback.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import cluster_overhead
from tagger.engines import Engine, Preparation, cluster_engine
from tagger.engines.processes import ProcessEngine
from tagger.genres import GENRES
from tagger.library.classify import TrackResult
from tagger.library.discover import Walk
from tagger.library.store import Store
from tagger.library.worker import classify_task, engine_arguments, preparation
from tagger.model.bundle import find_bundle, load_bundle
from tests.cluster.machines import Machines, machines

WORKERS = 2
ROUNDS = 9
TRACKS = 56
COMMIT_RESULTS = 1_000


def tracks(folder: str) -> None:
    """Print tracks/s of both engines, round by round, from the first result to the last."""
    bundle = load_bundle(find_bundle())
    paths = [found.path for found in Walk([folder]) if found.problem is None]
    work = [(paths[number % len(paths)], bundle.slice_count) for number in range(TRACKS)]
    rates: dict[str, list[float]] = {"local pool": [], "cluster": []}
    own_ms: dict[str, float] = dict.fromkeys(rates, 0.0)
    with tempfile.TemporaryDirectory() as scratch, machines(Path(scratch), WORKERS) as cluster:
        engines: dict[str, Engine] = {
            "local pool": ProcessEngine(WORKERS, **engine_arguments(bundle)),
            "cluster": cluster_engine(cluster.address, preparation(bundle), timeout_seconds=60),
        }
        for number in range(ROUNDS):
            for name, engine in engines.items():
                began = time.process_time()
                rates[name].append(_rate(engine.run(classify_task, work)))
                own_ms[name] += 1000 * (time.process_time() - began) / (ROUNDS * TRACKS)
            local, dask = (values[-1] for values in rates.values())
            print(f"round {number + 1}: local pool {local:5.1f}, cluster {dask:5.1f} tracks/s,"
                  f" {dask / local:4.0%}")  # fmt: skip
        assert cluster.scheduler is not None
        scheduler_ms, workers_ms = (
            1000 * sum(_cpu_seconds(process.pid) for process in processes) / (ROUNDS * TRACKS)
            for processes in ([cluster.scheduler], cluster.workers)
        )
    local, dask = (statistics.median(values) for values in rates.values())
    ratio = statistics.median(b / a for a, b in zip(*rates.values(), strict=True))
    print(f"median:  local pool {local:5.1f}, cluster {dask:5.1f} tracks/s, {ratio:4.0%}")
    print(
        f"CPU a track beside the hearing: local pool's parent {own_ms['local pool']:.1f} ms;"
        f" cluster's parent {own_ms['cluster']:.1f} ms, scheduler {scheduler_ms:.1f} ms,"
        f" Dask workers {workers_ms:.1f} ms (with their start)"
    )


def _rate(outcomes: Iterator[Any]) -> float:
    """Return results per second, not counting the start: it is the same however many follow."""
    ends = [time.perf_counter() for _ in outcomes]
    warm = 2 * WORKERS
    return (len(ends) - 1 - warm) / (ends[-1] - ends[warm])


def stub(number: int) -> TrackResult:
    """Return a result of the usual size at once."""
    return TrackResult(
        f"/archive/{number % 1000:03}/{number:09}.flac", "classified", 30_000_000, number, None,
        f"{number:032x}", 240.0, "flac", "flac", 44_100, 2, f"Title {number}", "Artist", "Album",
        None, "2020", "Rock", dict.fromkeys(GENRES, 0.1), [24.0 * n for n in range(10)],
        bytes(100), bytes(400),
    )  # fmt: skip


def nothing(folder: str) -> None:
    """Prepare nothing."""


def stubs(count: int) -> None:
    """Print the rate and the memory of each process as stub tasks go through."""
    with tempfile.TemporaryDirectory() as scratch, machines(Path(scratch), WORKERS) as cluster:
        engine = cluster_engine(
            cluster.address, Preparation(cluster_overhead.nothing, {}), timeout_seconds=60
        )
        database = Path(scratch) / "a.db"
        began = time.perf_counter()
        with Store(database) as store:
            store.add_model("stub", "stub", [], "{}")
            for done, batch in _batches(engine, count):
                with store.transaction():
                    for result in batch:
                        store.add_result(result, "stub", 1)
                if done % max(COMMIT_RESULTS, count // 10) == 0:
                    _print_usage(cluster, done, done / (time.perf_counter() - began))
        size = database.stat().st_size
        print(f"database: {size / 1e6:.1f} MB, {size / count:.0f} bytes a track")


def _batches(engine: Engine, count: int) -> Iterator[tuple[int, list[TrackResult]]]:
    batch: list[TrackResult] = []
    work = ((number,) for number in range(count))
    for done, (_, result) in enumerate(engine.run(cluster_overhead.stub, work), 1):
        assert isinstance(result, TrackResult)
        batch.append(result)
        if len(batch) == COMMIT_RESULTS or done == count:
            yield done, batch
            batch = []


def _print_usage(cluster: Machines, done: int, rate: float) -> None:
    assert cluster.scheduler is not None
    pids = {"parent": os.getpid(), "scheduler": cluster.scheduler.pid}
    pids |= {f"worker {number}": worker.pid for number, worker in enumerate(cluster.workers, 1)}
    usage = ", ".join(
        f"{name} {_resident_mb(pid):.0f} MB {1000 * _cpu_seconds(pid) / done:.2f} ms"
        for name, pid in pids.items()
    )
    print(f"{done:9,} tasks, {rate:4.0f}/s; memory and CPU time a task: {usage}", flush=True)


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1] == "tracks":
        tracks(sys.argv[2])
    else:
        stubs(int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
