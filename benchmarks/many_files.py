"""What a very large collection costs the parent: listing, planning, storing, reporting.

    python benchmarks/many_files.py [--files 10000 100000]

Makes folders of tiny files and scans them with an engine that answers at once with made-up
results: everything is real but the hearing. Each step runs in a process of its own, whose
largest resident size is read. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

FILES_PER_FOLDER = 100


class InstantEngine:
    """Answers each task with a made-up result."""

    def __init__(self, genres: tuple[str, ...], embedding_bytes: int) -> None:
        self._shares = [(number + 1) / 55 for number in range(len(genres))]
        self._genres, self._embedding_bytes = genres, embedding_bytes

    def run(
        self,
        function: Callable[..., Any],  # noqa: ARG002 - an engine is called so
        work: Iterable[tuple[Any, ...]],
        on_idle: Callable[[], None] = lambda: None,  # noqa: ARG002
    ) -> Iterator[tuple[Any, Any]]:
        """See ``engines.processes.ProcessEngine``."""
        from tagger.library.classify import TrackResult

        for number, arguments in enumerate(work):
            state = Path(arguments[0]).stat()
            yield (
                arguments,
                TrackResult(
                    arguments[0], "classified", state.st_size, state.st_mtime_ns,
                    identity=f"{number:024x}", duration_seconds=187.345, container="mp3",
                    codec="mp3float", sample_rate_hz=44_100, channels=2,
                    title=f"A title of common length {number}", artist="An artist or two",
                    album="The album it is from", date="1994", existing_genre="Rock",
                    probabilities=dict(zip(self._genres, self._shares, strict=False)),
                    slice_seconds=[n * 18.7345 for n in range(10)],
                    slice_probabilities=bytes(10 * len(self._genres)),
                    embedding=bytes(self._embedding_bytes),
                ),
            )  # fmt: skip


def make_files(folder: Path, files: int) -> None:
    """Write tiny files, named as people name them."""
    for number in range(files):
        place = folder / f"Artist {number // 1_000:03}" / f"Album {number // FILES_PER_FOLDER:04}"
        if number % FILES_PER_FOLDER == 0:
            place.mkdir(parents=True)
        name = f"{number % FILES_PER_FOLDER:02} - A title of common length {number}.mp3"
        (place / name).write_bytes(b"%d" % number)


def step(name: str, folder: str, database: str) -> dict[str, float]:
    """Be a child: do one step; return its figures."""
    began = time.perf_counter()
    if name == "list":
        from tagger.library.discover import Walk

        count = sum(1 for _ in Walk([folder]))
    else:
        count = _scan(folder, Path(database))
    return {
        "files": count,
        "seconds": time.perf_counter() - began,
        "CPU": time.process_time(),
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _scan(folder: str, database: Path) -> int:
    from tagger.library.scan import ScanOptions, scan
    from tagger.library.store import Store
    from tagger.model.bundle import find_bundle, load_bundle

    bundle = load_bundle(find_bundle())
    with Store(database) as store:
        engine: Any = InstantEngine(bundle.genres, 256)
        return scan([folder], store, bundle, engine, ScanOptions()).found


def run_step(name: str, folder: Path, database: Path) -> dict[str, float]:
    """Run a step in a process of its own."""
    command = [sys.executable, __file__, "--step", name, os.fspath(folder), os.fspath(database)]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def run_report(database: Path) -> dict[str, float]:
    """Write the CSV report to nowhere."""
    command = [sys.executable, "-m", "tagger", "report", "--db", os.fspath(database)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    cpu_seconds = usage.ru_utime + usage.ru_stime
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "CPU": cpu_seconds, "MB": usage.ru_maxrss / 1024}


def print_row(title: str, figures: dict[str, float]) -> None:
    """Print the seconds on the clock, the seconds of CPU, and the memory of one step."""
    row = f"{figures['seconds']:7.2f} s {figures['CPU']:7.2f} s CPU {figures['MB']:7.0f} MB"
    print(f"  {title:<30} {row}")


def bytes_per_track(database: Path) -> float:
    """Return the size of the database, less the embeddings, for each track."""
    connection = sqlite3.connect(database)
    connection.execute("pragma wal_checkpoint(truncate)")
    [tracks, embeddings] = connection.execute(
        "select count(*), sum(length(embedding)) from predictions"
    ).fetchone()
    connection.close()
    return (database.stat().st_size - int(embeddings)) / int(tracks)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    arguments = parser.parse_args()
    for files in arguments.files:
        with tempfile.TemporaryDirectory() as temporary:
            folder, database = Path(temporary, "music"), Path(temporary, "library.db")
            make_files(folder, files)
            print(f"{files:,} files")
            for title, name in (
                ("list", "list"), ("first scan, hearing nothing", "scan"),
                ("unchanged rescan", "scan"), ("unchanged rescan", "scan"),
            ):  # fmt: skip
                figures = run_step(name, folder, database)
                print_row(title, figures)
            print_row("report to CSV", run_report(database))
            print(f"  {'database beside embeddings':<30} {bytes_per_track(database):7.0f} B/track")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(json.dumps(step(*sys.argv[2:])))
    else:
        main()
