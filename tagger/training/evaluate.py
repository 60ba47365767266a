"""How well a model does: accuracy by slice and track, per genre, and calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.engines.processes import ProcessEngine
from tagger.errors import DatasetError
from tagger.library.classify import TrackResult
from tagger.library.worker import classify_task, engine_arguments
from tagger.model.bundle import Bundle
from tagger.model.classifier import Classifier, calibrate
from tagger.sound.features import FloatArray
from tagger.training.archive import Archive
from tagger.training.gtzan import Clip

ECE_BINS = 10
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Heard:
    """A model's output on labelled tracks.

    Attributes
    ----------
    label : int (n_tracks,)
        Index of the true genre.
    track : float32 (n_tracks, n_genres)
        Calibrated probabilities of the tracks.
    slices : list of float32 (n_slices, n_genres)
        Of each track's slices.
    """

    label: npt.NDArray[np.intp]
    track: FloatArray
    slices: list[FloatArray]


def hear_archive(bundle: Bundle, archive: Archive) -> Heard:
    """Run a model on an archive's tracks.

    Raises
    ------
    DatasetError
        If the archive's hop or genres are not the model's.
    """
    if archive.hop_length != bundle.features.hop_length:
        raise DatasetError(
            f"the archive's hop is {archive.hop_length}, the model's {bundle.features.hop_length}:"
            " make the archive anew with `tagger features --hop`"
        )
    label = genre_labels(archive.genre, bundle.genres)
    classifier = Classifier(bundle)
    slices = [
        classifier.slice_outputs(archive.slices(index, bundle.slice_count))[0]
        for index in range(len(archive))
    ]
    means = np.array([outputs.mean(axis=0) for outputs in slices])
    return Heard(label, calibrate(means, bundle.temperature), slices)


def hear_clips(
    bundle: Bundle,
    clips: list[Clip],
    workers: int,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> tuple[Heard, dict[str, str]]:
    """Run a model on audio files exactly as a scan does; return also what could not be heard."""
    engine = ProcessEngine(workers, **engine_arguments(bundle))
    results: dict[str, TrackResult] = {}
    unreadable: dict[str, str] = {}
    work = [(str(clip.path), bundle.slice_count) for clip in clips]
    for (path, _), outcome in progress(engine.run(classify_task, work)):
        if isinstance(outcome, TrackResult) and outcome.status == "classified":
            results[path] = outcome
        else:
            unreadable[path] = outcome.reason or "unknown"
    heard = [clip for clip in clips if str(clip.path) in results]
    if not heard:
        raise DatasetError("none of the clips could be heard")
    label = genre_labels(np.array([clip.genre for clip in heard]), bundle.genres)
    track, slices = [], []
    for clip in heard:
        result = results[str(clip.path)]
        track.append([result.probabilities[genre] for genre in bundle.genres])
        levels = np.frombuffer(result.slice_probabilities, np.uint8)
        slices.append(levels.reshape(-1, len(bundle.genres)).astype(np.float32) / np.float32(255))
    return Heard(label, np.array(track, np.float32), slices), unreadable


def genre_labels(genres: npt.NDArray[np.str_], known: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """Return each genre's index among the model's.

    Raises
    ------
    DatasetError
        If a genre is not among them.
    """
    index = {genre: number for number, genre in enumerate(known)}
    unknown = sorted(set(map(str, genres)) - set(known))
    if unknown:
        raise DatasetError(
            f"genres unknown to the model: {', '.join(unknown)} (it knows {', '.join(known)})"
        )
    return np.array([index[genre] for genre in genres])


def metrics(heard: Heard, genres: tuple[str, ...]) -> dict[str, Any]:
    """Return the whole evaluation as plain values.

    Returns
    -------
    dict
        ``tracks``, ``accuracy`` and its ``accuracy_interval`` (95 %), ``slice_accuracy``, ``ece``
        (expected calibration error, 10 bins), ``per_genre`` {genre: {tracks, precision, recall,
        recall_interval, f1}}, ``confusion`` (rows are true genres, columns heard ones, in the
        order of ``genres``), ``genres``, ``thresholds``: what calling only the tracks of at least
        some confidence gives, ``calibration``: each bin of confidence.
    """
    called = heard.track.argmax(axis=1)
    confusion = confusion_matrix(heard.label, called, len(genres))
    slice_label = np.repeat(heard.label, [len(outputs) for outputs in heard.slices])
    slice_called = np.concatenate(heard.slices).argmax(axis=1)
    return {
        "tracks": len(heard.label),
        "accuracy": round(float((called == heard.label).mean()), 4),
        "accuracy_interval": _interval(int((called == heard.label).sum()), len(called)),
        "slice_accuracy": round(float((slice_called == slice_label).mean()), 4),
        "ece": round(expected_calibration_error(heard.track, heard.label), 4),
        "per_genre": _per_genre(confusion, genres),
        "confusion": confusion.tolist(),
        "genres": list(genres),
        "thresholds": _thresholds(heard, genres),
        "calibration": _calibration(heard),
    }


def _interval(right: int, of: int) -> list[float]:
    """Return the 95 % confidence interval of a share (Wilson, JASA 22, 1927)."""
    z, of = 1.96, max(of, 1)
    middle = (right / of + z * z / (2 * of)) / (1 + z * z / of)
    reach = z / (1 + z * z / of) * (right / of * (1 - right / of) / of + (z / of / 2) ** 2) ** 0.5
    return [round(middle - reach, 4), round(middle + reach, 4)]


def _thresholds(heard: Heard, genres: tuple[str, ...]) -> dict[str, Any]:
    """Return, by least confidence, the share of tracks called and how many of those are right."""
    confidence, called = heard.track.max(axis=1), heard.track.argmax(axis=1)
    result = {}
    for threshold in THRESHOLDS:
        sure = confidence >= threshold
        right = sure & (called == heard.label)
        result[f"{threshold}"] = {
            "called": round(float(sure.mean()), 4),
            "precision": _share(right.sum(), sure.sum()),
            "per_genre": {
                genre: _share((right & (called == index)).sum(), (sure & (called == index)).sum())
                for index, genre in enumerate(genres)
            },
        }
    return result


def _share(part: int, of: int) -> float | None:
    return round(float(part / of), 4) if of else None


def _calibration(heard: Heard) -> list[dict[str, Any]]:
    """Return each bin of confidence that has tracks: how many, how sure, how often right."""
    confidence, right = heard.track.max(axis=1), heard.track.argmax(axis=1) == heard.label
    bins = confidence_bins(confidence)
    return [
        {
            "tracks": int((bins == number).sum()),
            "confidence": round(float(confidence[bins == number].mean()), 4),
            "accuracy": round(float(right[bins == number].mean()), 4),
        }
        for number in np.unique(bins)
    ]


def confusion_matrix(
    label: npt.NDArray[np.intp], called: npt.NDArray[np.intp], n_genres: int
) -> npt.NDArray[np.intp]:
    """Return int (n_genres, n_genres): rows are true genres, columns those heard."""
    confusion = np.zeros((n_genres, n_genres), np.intp)
    np.add.at(confusion, (label, called), 1)
    return confusion


def _per_genre(
    confusion: npt.NDArray[np.intp], genres: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    right, true, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = right / np.maximum(called, 1)
    recall = right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + called, 1)
    return {
        genre: {
            "tracks": int(true[index]),
            "precision": round(float(precision[index]), 4),
            "recall": round(float(recall[index]), 4),
            "recall_interval": _interval(int(right[index]), int(true[index])),
            "f1": round(float(f1[index]), 4),
        }
        for index, genre in enumerate(genres)
    }


def expected_calibration_error(track: FloatArray, label: npt.NDArray[np.intp]) -> float:
    """Return the mean gap between confidence and accuracy over ten equal bins of confidence.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    confidence, right = track.max(axis=1), track.argmax(axis=1) == label
    bins = confidence_bins(confidence)
    gaps = [
        abs(right[bins == number].mean() - confidence[bins == number].mean())
        * (bins == number).mean()
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def confidence_bins(confidence: FloatArray) -> npt.NDArray[np.intp]:
    """Return the number of the bin, 0 to 9, that each confidence falls into."""
    return np.minimum((confidence * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def fit_temperature(means: FloatArray, label: npt.NDArray[np.intp]) -> float:
    """Return the temperature that makes held-out probabilities (n_tracks, n_genres) likeliest."""
    candidates = np.geomspace(0.2, 5.0, 200)

    def loss(temperature: float) -> float:
        likelihood = calibrate(means, temperature)[np.arange(len(label)), label]
        return float(-np.log(np.maximum(likelihood, 1e-9)).mean())

    return float(min(candidates, key=loss))
