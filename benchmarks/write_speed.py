"""How long planned, proved, journaled writes take, beside bare copying plus mutagen.

    python benchmarks/write_speed.py [FOLDER] [--files 1000] [--seconds 30]

Takes the audio files of FOLDER, or synthesises MP3, FLAC, M4A and Ogg files with ffmpeg; copies
them until there are as many as wanted; writes a genre into each in both ways; prints a table.
The bare way is what a careful script does: copy the file, set the genre with mutagen, rename.
On a machine that is busy with other work, compare the processor's time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import mutagen
from mutagen.id3 import TCON

from tagger.library.classify import TrackResult
from tagger.library.journal import Journal
from tagger.library.store import Store
from tagger.tags.apply import undo_all, write_all
from tagger.tags.plan import Mode, Policy, Verdict, make_plan

SUFFIXES = {".mp3", ".flac", ".m4a", ".ogg", ".opus", ".wav", ".aiff", ".wv", ".mpc", ".wma"}


def synthesise(folder: Path, seconds: float) -> list[Path]:
    """Make one file each of the formats that most collections consist of."""
    paths = [folder / f"tone.{suffix}" for suffix in ("mp3", "flac", "m4a", "ogg")]
    for path in paths:
        source = f"anoisesrc=color=pink:sample_rate=44100:duration={seconds}"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2"]
        subprocess.run([*command, "-metadata", "title=A title", str(path)], check=True)
    return paths


def fill(folder: Path, sources: list[Path], files: int) -> list[Path]:
    """Copy sources, in albums of twelve, until there are enough."""
    paths = []
    for number in range(files):
        source = sources[number % len(sources)]
        path = folder / f"album {number // 12:03}" / f"{number:04}{source.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        paths.append(path)
    return paths


def write_bare(paths: list[Path]) -> None:
    """Copy, set the genre with mutagen, rename: nothing is flushed, checked or remembered."""
    for path in paths:
        copy = path.with_name(f"copy{path.suffix}")
        shutil.copy2(path, copy)
        audio = mutagen.File(copy)
        if audio.tags is None:
            audio.add_tags()
        kind = type(audio).__name__
        if kind in ("MP3", "WAVE", "AIFF"):
            audio.tags.setall("TCON", [TCON(encoding=3, text=["Rock"])])
        else:
            audio.tags[{"MP4": "\xa9gen", "ASF": "WM/Genre"}.get(kind, "genre")] = ["Rock"]
        audio.save()
        copy.replace(path)


def record(store: Store, paths: list[Path]) -> None:
    """Store a made-up prediction for each file, as a scan would."""
    store.add_model("made-up", "made-up", ["rock"], "{}")
    scan_id = store.start_scan([], "made-up")
    with store.transaction():
        for path in paths:
            with av.open(os.fspath(path), metadata_errors="replace") as container:
                name = container.format.name.split(",")[0]
                codec = container.streams.audio[0].codec_context.name
            state = path.stat()
            result = TrackResult(
                str(path), "classified", state.st_size, state.st_mtime_ns,
                container="mp4" if name == "mov" else name, codec=codec,
                probabilities={"rock": 0.9},
            )  # fmt: skip
            store.add_result(result, "made-up", scan_id)


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return how many seconds some work takes, and how many of a processor."""
    os.sync()
    begun, cpu_begun = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - cpu_begun


def main() -> None:
    """Run both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as temp:
            run(Path(temp), options)


def run(temp: Path, options: argparse.Namespace) -> None:
    """Measure one round in an empty folder."""
    if options.folder:
        sources = sorted(p for p in options.folder.iterdir() if p.suffix in SUFFIXES)
    else:
        sources = synthesise(temp, options.seconds)
    mean_bytes = sum(path.stat().st_size for path in sources) / len(sources)
    bare = fill(temp / "bare", sources, options.files)
    bare_took = timed(lambda: write_bare(bare))
    shutil.rmtree(temp / "bare")
    ours = fill(temp / "ours", sources, options.files)
    with Store(temp / "tagger.db") as store:
        record(store, ours)
        journal = Journal(store)
        failures: list[str] = []

        def write() -> None:
            plan = list(make_plan(journal.candidates(), Policy(mode=Mode.REPLACE)))
            wanted = [decision for decision in plan if decision.verdict is Verdict.WRITE]
            failures.extend(d.reason or "" for d in plan if d.verdict is Verdict.FAIL)
            failures.extend(o.reason for o in write_all(journal, wanted, options={}) if o.reason)

        def undo() -> None:
            writes = journal.writes_of(journal.last_run() or 0)
            failures.extend(o.reason for o in undo_all(journal, writes) if o.reason)

        took = timed(write)
        undo_took = timed(undo)
    print(
        f"{options.files:,} files of {mean_bytes / 1e6:.2f} MB on average, {len(failures)} failures"
    )
    print("                 seconds  ms a file  times    processor ms a file  times")
    for name, (seconds, cpu) in (
        ("copy + mutagen", bare_took), ("tagger", took), ("undo", undo_took),
    ):  # fmt: skip
        each, cpu_each = 1000 * seconds / options.files, 1000 * cpu / options.files
        times, cpu_times = seconds / bare_took[0], cpu / bare_took[1]
        print(
            f"{name:15} {seconds:8.2f} {each:10.2f} {times:6.2f} {cpu_each:22.2f} {cpu_times:6.2f}"
        )
    if failures:
        sys.exit(f"failed: {failures[0]}")


if __name__ == "__main__":
    main()
