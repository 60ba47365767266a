"""How fast tracks are heard: the article's notebook, decoding alone, and tagger.

    python benchmarks/throughput.py FOLDER... [--rounds 3] [--model NAME]

Takes the audio files of the folders and runs, alternating, on all of them:

a       the article's pipeline: librosa.load of 29 s, ten librosa MFCCs, Keras model.predict
b       decoding alone with PyAV, the whole file
b'      decoding alone with PyAV, only the windows that tagger hears, reached by seeking
c1, c2  tagger's scan with 1 and 2 workers, its workers started before the clock

Prints the median tracks per second on the clock and per second of CPU (on a machine with other
work, only the latter means much), and what they are beside one another.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tagger.engines.processes import Failure, ProcessEngine
from tagger.library.discover import AUDIO_SUFFIXES
from tagger.library.worker import classify_task, engine_arguments
from tagger.model.bundle import Bundle, find_bundle, load_bundle
from tagger.sound.decode import hear

LOADED_SECONDS = 29.0
SLICES = 10


def audio_files(folders: list[str]) -> list[str]:
    """Return the audio files at or below the folders."""
    return sorted(
        os.fspath(path)
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
    )


def notebook(keras_path: Path) -> Callable[[list[str]], None]:
    """Return the article's pipeline, with its libraries loaded and warmed up."""
    import keras
    import librosa
    import numpy as np

    model = keras.models.load_model(keras_path)
    [_, frames, coefficients, *_] = model.input_shape

    def classify(paths: list[str]) -> None:
        for path in paths:
            signal, rate_hz = librosa.load(path, duration=LOADED_SECONDS)
            length = len(signal) // SLICES
            cepstra = np.zeros((SLICES, frames, coefficients), np.float32)
            for number in range(SLICES):
                part = signal[number * length : (number + 1) * length]
                cepstrum = librosa.feature.mfcc(y=part, sr=rate_hz, n_mfcc=min(coefficients, 13)).T
                fitting = cepstrum[:frames]
                cepstra[number, : len(fitting), : fitting.shape[1]] = fitting
            model.predict(cepstra, verbose=0)

    return classify


def decode_whole(paths: list[str]) -> None:
    """Decode each file from start to end and drop it."""
    import av

    for path in paths:
        with av.open(path, metadata_errors="replace") as container:
            stream = container.streams.audio[0]
            stream.codec_context.thread_count = 1
            for _ in container.decode(stream):
                pass


def windows_of(paths: list[str], bundle: Bundle) -> dict[str, list[tuple[float, float]]]:
    """Return (start, stop) in seconds of what tagger decodes of each file."""
    spans = {}
    for path in paths:
        windows = hear(path, bundle.features, bundle.slice_count).windows
        spans[path] = [
            (max(0.0, window.start_seconds), window.stop_samples / 22_050) for window in windows
        ]
    return spans


def decode_windows(spans: dict[str, list[tuple[float, float]]]) -> Callable[[list[str]], None]:
    """Return a pass that decodes these windows and drops them."""
    import av

    def decode(paths: list[str]) -> None:
        for path in paths:
            with av.open(path, metadata_errors="replace") as container:
                stream = container.streams.audio[0]
                stream.codec_context.thread_count = 1
                at = -1.0
                for start, stop in spans[path]:
                    if not at <= start < at + 1.0:
                        container.seek(int(start * av.time_base), backward=True)
                    for frame in container.decode(stream):
                        at = frame.time or 0.0
                        if at >= stop:
                            break

    return decode


def scan(paths: list[str], workers: int, bundle: Bundle) -> float:
    """Classify files with an engine's workers; return the seconds from their first results on."""
    engine = ProcessEngine(workers, **engine_arguments(bundle))
    began = 0.0

    def work() -> Iterator[tuple[str, int]]:
        for path in [*paths[: 4 * workers], *paths]:  # the first start and warm the workers
            yield path, bundle.slice_count

    for number, (arguments, outcome) in enumerate(engine.run(classify_task, work()), start=1):
        if isinstance(outcome, Failure) or outcome.status != "classified":
            print(f"{arguments[0]}: {outcome.reason}")
        if number == 4 * workers:
            began = time.perf_counter()
    return time.perf_counter() - began


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=1, help="hear every file so often a round")
    parser.add_argument("--model", default=None)
    arguments = parser.parse_args()
    paths = audio_files(arguments.folders) * arguments.times
    bundle = load_bundle(find_bundle(*filter(None, [arguments.model])))
    article = find_bundle("cnn") / "network.keras"
    ways: dict[str, Callable[[list[str]], Any]] = {
        "b": decode_whole,
        "b'": decode_windows(windows_of(sorted(set(paths)), bundle)),
        "c1": lambda each: scan(each, 1, bundle),
        "c2": lambda each: scan(each, 2, bundle),
        "a": notebook(article),
    }
    for name in ("a", "b", "b'"):
        ways[name](paths[:2])
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            began, cpu_before = time.perf_counter(), cpu_seconds()
            seconds = way(paths) or time.perf_counter() - began
            # What warms the workers is heard too.
            heard = len(paths) + (4 * int(name[1]) if name in ("c1", "c2") else 0)
            rates[name].append((len(paths) / seconds, heard / (cpu_seconds() - cpu_before)))
    print_table(len(paths), rates)


def print_table(files: int, rates: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians."""
    clock = {name: statistics.median(rate for rate, _ in each) for name, each in rates.items()}
    cpu = {name: statistics.median(rate for _, rate in each) for name, each in rates.items()}
    print(f"{files} tracks a round; load average {os.getloadavg()[0]:.1f}")
    print(f"{'':4}{'tracks/s':>10}{'tracks/CPU s':>14}")
    for name in sorted(rates):
        print(f"{name:4}{clock[name]:>10.1f}{cpu[name]:>14.1f}")
    for title, first, second in (
        ("c1 / a", "c1", "a"), ("c1 / b", "c1", "b"), ("c1 / b'", "c1", "b'"),
        ("c2 / c1", "c2", "c1"),
    ):  # fmt: skip
        print(f"{title:10}{clock[first] / clock[second]:>6.2f} on the clock,"
              f" {cpu[first] / cpu[second]:.2f} by CPU")  # fmt: skip


if __name__ == "__main__":
    main()
