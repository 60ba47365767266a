"""Kill a scan at random times, again and again, and look at what is left.

    python benchmarks/kill_scans.py [--kills 50] [--files 1500] [--seed 1]

A child process scans a folder of short made-up tracks with two workers and tells of each result
as it arrives. At a random time it is killed (SIGKILL), alone or with its workers. Then the
database is checked, what had arrived is compared with what was stored, and the next child goes
on. Prints a table; exits 1 if anything was worse than promised.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROMISED_SECONDS = 2.0
RATE_HZ = 22_050


@dataclass
class Kill:
    """What one kill left behind."""

    after_seconds: float
    arrived: int
    lost: int
    oldest_lost_seconds: float
    integrity: str
    left_processes: int


def make_tracks(folder: Path, files: int) -> None:
    """Write tracks of 3 s, no two alike, in folders of fifty."""
    at = np.arange(3 * RATE_HZ) / RATE_HZ
    for number in range(files):
        path = folder / f"{number // 50:03}" / f"{number:05}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = np.sin(2 * np.pi * (100 + number) * at) * 20_000
        with wave.open(os.fspath(path), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(samples.astype("<i2").tobytes())


def scan(folder: str, database: str) -> None:
    """Be the child: scan, and print the path of each result as it arrives."""
    from tagger.engines.processes import ProcessEngine
    from tagger.library.scan import ScanOptions
    from tagger.library.scan import scan as run_scan
    from tagger.library.store import Store
    from tagger.library.worker import engine_arguments
    from tagger.model.bundle import find_bundle, load_bundle

    bundle = load_bundle(find_bundle("cnn"))
    engine = ProcessEngine(2, **engine_arguments(bundle))
    with Store(Path(database)) as store:
        run_scan(
            [folder], store, bundle, engine, ScanOptions(),
            lambda result: print(f"{time.time()} {result.path}", flush=True),
        )  # fmt: skip


def stored(database: Path) -> tuple[str, set[str]]:
    """Return what SQLite says of the database, and the paths it holds."""
    connection = sqlite3.connect(database)
    try:
        [integrity] = connection.execute("pragma integrity_check").fetchone()
        tables = connection.execute("select 1 from sqlite_master where name = 'files'").fetchone()
        rows = connection.execute("select path from files").fetchall() if tables else []
        return integrity, {os.fsdecode(path) for [path] in rows}
    finally:
        connection.close()


def processes_of(group: int) -> int:
    """Return how many processes of a process group are alive."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        count += int(fields[2]) == group and fields[0] != "Z"
    return count


def kill_once(folder: Path, database: Path, after_seconds: float, whole_group: bool) -> Kill | None:
    """Start a child and kill it; None if it was done before."""
    known = stored(database)[1] if database.exists() else set()
    command = [sys.executable, __file__, "--child", os.fspath(folder), os.fspath(database)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as child:
        time.sleep(after_seconds)
        killed_at = time.time()
        if child.poll() is not None:
            return None
        if whole_group:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
        output, _ = child.communicate()
    lines = [line.split(" ", 1) for line in output.splitlines()]
    arrived = {path: float(at) for at, path in lines}
    deadline = time.monotonic() + 10
    while (left := processes_of(child.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    integrity, now = stored(database) if database.exists() else ("ok", set())
    lost = set(arrived) - now
    oldest = max((killed_at - arrived[path] for path in lost), default=0.0)
    if known - now:
        integrity = f"{len(known - now)} rows are gone"
    return Kill(after_seconds, len(arrived), len(lost), oldest, integrity, left)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--files", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds until the last kill")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    kills: list[Kill] = []
    finished = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, database = Path(temporary, "music"), Path(temporary, "library.db")
        folder.mkdir()
        make_tracks(folder, arguments.files)
        while len(kills) < arguments.kills:
            delay = rng.uniform(0.05, arguments.longest)
            kill = kill_once(folder, database, delay, len(kills) % 2 == 0)
            if kill is None or (database.exists() and len(stored(database)[1]) == arguments.files):
                finished += 1
                database.unlink()
            if kill is not None:
                kills.append(kill)
                print(f"{len(kills):>3}  {kill}")
        scan_whole(folder, database)
        complete = len(stored(database)[1]) == arguments.files
    return summarise(kills, finished, complete)


def scan_whole(folder: Path, database: Path) -> None:
    """Scan to the end."""
    command = [sys.executable, __file__, "--child", os.fspath(folder), os.fspath(database)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def summarise(kills: list[Kill], finished: int, complete: bool) -> int:
    """Print what came out; return the exit code."""
    intact = sum(kill.integrity == "ok" for kill in kills)
    oldest = max(kill.oldest_lost_seconds for kill in kills)
    print(f"kills                          {len(kills)}")
    print(f"databases intact               {intact}")
    print(f"results that had arrived       {sum(kill.arrived for kill in kills):,}")
    print(f"of these lost                  {sum(kill.lost for kill in kills):,}")
    print(f"age of the oldest one lost     {oldest:.2f} s (promised: {PROMISED_SECONDS:.0f} s)")
    print(f"processes left behind          {sum(kill.left_processes for kill in kills)}")
    print(f"scans that became complete     {finished} and the last: {complete}")
    left = any(kill.left_processes for kill in kills)
    good = intact == len(kills) and oldest <= PROMISED_SECONDS and complete and not left
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        scan(*sys.argv[2:])
    else:
        sys.exit(main())
