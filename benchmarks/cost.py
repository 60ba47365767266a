"""CPU time per track: hearing it whole, against only decoding the same windows with PyAV.

    python -m benchmarks.cost FOLDER...

Alternates the two over all files, several rounds, in one process with one thread.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import resource
import statistics
import sys
import time
from collections.abc import Callable

import av

from tagger.library.classify import classify_file
from tagger.library.discover import AUDIO_SUFFIXES
from tagger.model.bundle import find_bundle, load_bundle
from tagger.model.classifier import Classifier
from tagger.sound.decode import hear
from tagger.sound.features import SAMPLE_RATE_HZ
from tagger.sound.slices import Window, log_mel_slices

ROUNDS = 3


def decode_only(path: str, windows: list[Window]) -> None:
    """Seek to each window and decode its frames: nothing else."""
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
                if frame.pts is None:
                    continue
                reached = (frame.pts - origin) * base + frame.samples / frame.sample_rate
                if reached >= stop:
                    break


def cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def main(folders: list[str]) -> None:
    files = sorted(
        os.path.join(folder, name)
        for top in folders
        for folder, _, names in os.walk(top)
        for name in names
        if os.path.splitext(name)[1] in AUDIO_SUFFIXES
    )
    classifier = Classifier(load_bundle(find_bundle()))
    heard = {path: hear(path, classifier.settings) for path in files}
    slices = log_mel_slices(heard[files[0]].waveforms, classifier.settings)
    times: dict[str, dict[str, list[float]]] = {path: {} for path in files}
    for _ in range(ROUNDS):
        for path in files:
            decoded = heard[path]
            stages = {
                "decode only": lambda: decode_only(path, decoded.windows),
                "scan": lambda: classify_file(path, classifier),
                "hear": lambda: hear(path, classifier.settings),
                "features": lambda: log_mel_slices(decoded.waveforms, classifier.settings),
                "network": lambda: classifier.predict(slices),
            }
            for name, work in stages.items():
                times[path].setdefault(name, []).append(cpu_ms(work))
    print(f"{'CPU ms (median)':<34}" + "".join(f"{name:>13}" for name in stages) + "   ratio")
    totals = dict.fromkeys(stages, 0.0)
    for path in files:
        medians = {name: statistics.median(values) for name, values in times[path].items()}
        totals = {name: totals[name] + medians[name] for name in stages}
        print_row(os.path.basename(path), medians)
    print_row(f"mean of {len(files)}", {name: total / len(files) for name, total in totals.items()})
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def print_row(name: str, values: dict[str, float]) -> None:
    ratio = values["scan"] / values["decode only"]
    print(f"{name:<34}" + "".join(f"{value:>13.1f}" for value in values.values()) + f"{ratio:>8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
