"""Kill the writer at random moments, and look at what it left.

    python benchmarks/kill_writes.py [--kills 200] [--files 60] [--seed 0]

Synthesises MP3, FLAC, M4A, Ogg, WAV and WavPack files; again and again starts a process that
writes their genre or takes it back, and ends it with SIGKILL after a random time. After each
kill every file must be, byte for byte, either as it was before or as it is when written; after
the next run's tidying the journal must know which, and no temporary copy may be left. At the end
all is undone: every file must be what it was at the start, and decode.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av

from tagger.library.classify import TrackResult
from tagger.library.journal import Journal
from tagger.library.lock import writer_lock
from tagger.library.store import Store
from tagger.tags.apply import recover, undo_all, write_all
from tagger.tags.plan import Decision, Mode, Policy, Verdict, make_plan

# Suffix, FFmpeg's encoder, FFmpeg's container, and the container and codec that a scan stores.
KINDS = (
    ("mp3", "libmp3lame", "mp3", "mp3", "mp3"),
    ("flac", "flac", "flac", "flac", "flac"),
    ("m4a", "aac", "ipod", "mp4", "aac"),
    ("ogg", "libopus", "ogg", "ogg", "opus"),
    ("wav", "pcm_s16le", "wav", "wav", "pcm_s16le"),
    ("wv", "wavpack", "wv", "wv", "wavpack"),
)
RATE_HZ = 48_000


def work(database: Path, direction: str) -> None:
    """Be the process that is killed: write everything, or take the last run back."""
    with Store(database) as store, writer_lock(database, direction):
        journal = Journal(store)
        recover(journal)
        run = journal.last_run()
        if direction == "undo" and run is not None:
            list(undo_all(journal, journal.writes_of(run)))
        else:
            list(write_all(journal, wanted(journal), options={}))


def wanted(journal: Journal) -> list[Decision]:
    """Return the plan's files to write."""
    plan = make_plan(journal.candidates(), Policy(mode=Mode.REPLACE, provenance=True))
    return [decision for decision in plan if decision.verdict is Verdict.WRITE]


def synthesise(path: Path, codec: str, container_format: str) -> None:
    """Make three seconds of noise."""
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((2, 3 * RATE_HZ)).astype(np.float32) * 0.1
    with av.open(os.fspath(path), "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=RATE_HZ, layout="stereo")
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", RATE_HZ)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def make_library(folder: Path, database: Path, files: int) -> list[Path]:
    """Make files of every kind in turn, with a made-up prediction each."""
    paths: list[Path] = []
    with Store(database) as store:
        store.add_model("made-up", "made-up", ["rock"], "{}")
        scan_id = store.start_scan([], "made-up")
        for number in range(files):
            suffix, codec, container_format, container, scanned = KINDS[number % len(KINDS)]
            path = folder / f"{number:03}.{suffix}"
            if number < len(KINDS):
                synthesise(path, codec, container_format)
            else:
                shutil.copyfile(paths[number - len(KINDS)], path)
            state = path.stat()
            result = TrackResult(
                str(path), "classified", state.st_size, state.st_mtime_ns,
                container=container, codec=scanned, probabilities={"rock": 0.9},
            )  # fmt: skip
            store.add_result(result, "made-up", scan_id)
            paths.append(path)
    return paths


def decodes(path: Path) -> bool:
    """Tell whether a file decodes to its three seconds."""
    with av.open(os.fspath(path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        rate_hz = container.streams.audio[0].codec_context.sample_rate
    return abs(samples / rate_hz - 3.0) < 0.1


def run_killed(database: Path, direction: str, seconds: float) -> bool:
    """Start a run and kill it after some time; tells whether it was still at work."""
    command = [sys.executable, __file__, "--database", str(database), "--direction", direction]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
    return killed


class Tally:
    """What was found after the kills."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.old = {path: path.read_bytes() for path in paths}
        self.new: dict[Path, bytes] = {}
        self.counts: Counter[str] = Counter()

    def look(self, database: Path, folder: Path) -> None:
        """Check every file, then the tidying and the journal."""
        leftovers = len(list(folder.glob(".tagger-*")))
        self.counts["leftovers"] += leftovers
        self.counts["kills with leftovers"] += bool(leftovers)
        states = {path: self.state(path) for path in self.old}
        self.counts.update(states.values())
        with Store(database) as store:
            journal = Journal(store)
            settled = recover(journal)
            self.counts["rows settled"] += len(settled)
            known = {
                write.path for run in range(1, (journal.last_run() or 0) + 1)
                for write in journal.writes_of(run)
            }  # fmt: skip
            self.counts["unsettled rows"] += len(journal.unsettled())
        self.counts["leftovers after tidying"] += len(list(folder.glob(".tagger-*")))
        for path, state in states.items():
            self.counts["journal wrong"] += (str(path) in known) != (state == "wholly new")

    def state(self, path: Path) -> str:
        """Return whether a file is as before, as written, or harmed."""
        data = path.read_bytes()
        if data == self.old[path]:
            return "wholly old"
        return "wholly new" if data == self.new[path] else "harmed"


def main() -> None:
    """Kill, look, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--direction", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.direction:
        print("ready", flush=True)
        work(options.database, options.direction)
        return
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temp:
        sys.exit(try_all(Path(temp), options))


def try_all(temp: Path, options: argparse.Namespace) -> int:
    """Run all kills in an empty folder; returns the exit code."""
    folder, database = temp / "music", temp / "tagger.db"
    folder.mkdir()
    tally = Tally(make_library(folder, database, options.files))
    begun = time.perf_counter()
    work(database, "write")
    seconds = time.perf_counter() - begun
    tally.new = {path: path.read_bytes() for path in tally.old}
    random_ = random.Random(options.seed)
    kills = runs = 0
    while kills < options.kills:
        direction = random_.choice(["write", "undo"])
        kills += run_killed(database, direction, random_.uniform(0, seconds))
        runs += 1
        tally.look(database, folder)
    for _ in range(runs + 1):  # a run may be partly undone: each takes back the last one's rest
        with Store(database) as store:
            if Journal(store).last_run() is None:
                break
        work(database, "undo")
    tally.counts["not as at the start"] = sum(
        path.read_bytes() != data for path, data in tally.old.items()
    )
    tally.counts["do not decode"] = sum(not decodes(path) for path in tally.old)
    return tell(tally.counts, kills, runs, len(tally.old))


def tell(counts: Counter[str], kills: int, runs: int, files: int) -> int:
    """Print the account; returns 1 if anything was harmed."""
    print(f"{kills} kills in {runs} runs over {files} files of {len(KINDS)} containers")
    for name in ("wholly old", "wholly new", "kills with leftovers", "leftovers", "rows settled"):
        print(f"{counts[name]:7,}  {name}")
    bad = ("harmed", "journal wrong", "unsettled rows", "leftovers after tidying",
           "not as at the start", "do not decode")  # fmt: skip
    for name in bad:
        print(f"{counts[name]:7,}  {name}")
    return int(any(counts[name] for name in bad))


if __name__ == "__main__":
    main()
