"""CPU time per track: hearing it whole, against only decoding the same windows with PyAV.

    python -m benchmarks.cost FOLDER...

Alternates the two over all files, several rounds, in one process with one thread.
"""

from __future__ import annotations

import os
import sys

# As in a worker: set before numpy is loaded.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import av

from tagger.engines.serving import reuse_memory
from tagger.library.classify import classify_file
from tagger.library.discover import AUDIO_SUFFIXES
from tagger.model.bundle import find_bundle, load_bundle
from tagger.model.classifier import Classifier
from tagger.sound.decode import hear
from tagger.sound.features import SAMPLE_RATE_HZ
from tagger.sound.slices import Window, log_mel_slices

ROUNDS = 3


def decode_only(path: str, windows: list[Window], *, to_arrays: bool = False) -> None:
    """Seek to each window and decode its frames; nothing else, or into arrays too."""
    with av.open(path, metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        base, origin = float(stream.time_base or 1), stream.start_time or 0
        reached = -1.0
        for window in windows:
            start, stop = (
                max(0, samples) / SAMPLE_RATE_HZ
                for samples in (window.start_samples, window.stop_samples)
            )
            if not 0 <= start - reached < 1.0:
                container.seek(int(start / base) + origin, stream=stream)
            for frame in container.decode(stream):
                if to_arrays:
                    frame.to_ndarray()
                if frame.pts is None:
                    continue
                reached = (frame.pts - origin) * base + frame.samples / frame.sample_rate
                if reached >= stop:
                    break


def stages_of(path: str, classifier: Classifier) -> dict[str, Callable[[], object]]:
    """Return what is timed of one file, by name."""
    decoded = hear(path, classifier.settings)
    slices = log_mel_slices(decoded.waveforms, classifier.settings)
    return {
        "decode only": lambda: decode_only(path, decoded.windows),
        "to arrays": lambda: decode_only(path, decoded.windows, to_arrays=True),
        "scan": lambda: classify_file(path, classifier),
        "hear": lambda: hear(path, classifier.settings),
        "features": lambda: log_mel_slices(decoded.waveforms, classifier.settings),
        "network": lambda: classifier.predict(slices),
    }


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of one call."""
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def main(folders: list[str]) -> None:
    """Measure every audio file below the folders and print a table."""
    files = sorted(
        path
        for top in folders
        for path in Path(top).rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
    )
    reuse_memory()
    classifier = Classifier(load_bundle(find_bundle()))
    stages = {path: stages_of(str(path), classifier) for path in files}
    times: dict[Path, dict[str, list[float]]] = {path: defaultdict(list) for path in files}
    for _ in range(ROUNDS):
        for path in files:
            for name, work in stages[path].items():
                times[path][name].append(cpu_ms(work))
    names = list(stages[files[0]])
    medians = {path: [statistics.median(times[path][name]) for name in names] for path in files}
    print(f"{'CPU ms (median)':<34}" + "".join(f"{name:>13}" for name in names) + "  ratios")
    for path in files:
        print_row(path.name, medians[path])
    means = [statistics.mean(column) for column in zip(*medians.values(), strict=True)]
    print_row(f"mean of {len(files)}", means)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def print_row(name: str, values: list[float]) -> None:
    """Print one line; the ratios are of the third column to the first and the second."""
    cells = "".join(f"{value:>13.1f}" for value in values)
    print(f"{name:<34}{cells}{values[2] / values[0]:>8.2f}{values[2] / values[1]:>8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
