"""``tagger train``: from an archive to a model bundle with its measured accuracy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tagger
from tagger.errors import DatasetError
from tagger.model.architectures import Architecture, find_architecture
from tagger.model.bundle import (
    CARD_FILE,
    KERAS_FILE,
    METRICS_FILE,
    NETWORK_FILE,
    Bundle,
    write_card,
)
from tagger.model.classifier import calibrate
from tagger.sound.features import FeatureSettings, FloatArray
from tagger.sound.slices import SLICE_COUNT
from tagger.training.archive import Archive
from tagger.training.evaluate import Heard, fit_temperature, genre_labels, metrics
from tagger.training.fit import Fit, OnEpoch, export_network, fit_slices, require_training
from tagger.training.splits import Division, divide

LICENCE = "MIT (the network); GTZAN's recordings belong to their owners and are not included"

# Tracks that an archive marks so (repeated, distorted or wrongly labelled) are left out.
EXCLUDED = "excluded"


@dataclass(frozen=True)
class Plan:
    """How to train: the options of ``tagger train``.

    Attributes
    ----------
    architecture : str
        A key of ``architectures.ARCHITECTURES``.
    split : str
        A key of ``splits.SPLITS``.
    epochs : int or None
        None for the architecture's own.
    patience : int or None
        Epochs without improvement after which to stop; None trains all epochs.
    artists : dict of str to str or None
        Track to artist, for ``--split artists``.
    resume : Path or None
        A bundle to train on from.
    """

    architecture: str
    split: str
    seed: int = 0
    epochs: int | None = None
    patience: int | None = None
    artists: dict[str, str] | None = None
    resume: Path | None = None


@dataclass(frozen=True)
class Slices:
    """All slices of an archive, ready for a network.

    Attributes
    ----------
    inputs : float32 (n_tracks, n_slices, frames, values)
    present : bool (n_tracks, n_slices)
        False where a track is too short for a slice.
    label : int (n_tracks,)
    """

    inputs: FloatArray
    present: npt.NDArray[np.bool_]
    label: npt.NDArray[np.intp]

    def of(self, mask: npt.NDArray[np.bool_]) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """Return the slices under a mask, and the label of each."""
        chosen = mask & self.present
        return self.inputs[chosen], np.repeat(self.label, chosen.sum(axis=1))


def train_bundle(
    archive: Archive,
    output: Path,
    plan: Plan,
    *,
    data_name: str,
    on_epoch: OnEpoch = lambda epoch, epochs, logs: None,
) -> tuple[Bundle, dict[str, Any]]:
    """Train a network, judge it on what was held out, and write its bundle to ``output``.

    Returns
    -------
    bundle : Bundle
    metrics : dict
        As ``evaluate.metrics``, on the held-out part.

    Raises
    ------
    DatasetError
        If the data does not allow the split, or ``output`` holds something else.
    MissingExtraError
        If the ``train`` extra is not installed.
    """
    require_training()
    architecture = find_architecture(plan.architecture)
    _check_output(output)
    archive = archive.select(archive.split != EXCLUDED)
    genres = tuple(sorted(set(map(str, archive.genre))))
    settings = FeatureSettings(architecture.feature_kind, archive.hop_length)
    division = divide(
        archive, plan.split, plan.seed, artists=plan.artists, watch=plan.patience is not None
    )
    slices = cut_slices(archive, genres, settings)
    fit = fit_slices(
        architecture,
        slices.of(division.train),
        slices.of(division.watched),
        n_genres=len(genres),
        epochs=plan.epochs or architecture.epochs,
        seed=plan.seed,
        patience=plan.patience,
        start=plan.resume / KERAS_FILE if plan.resume else None,
        on_epoch=on_epoch,
    )
    outputs = _outputs(fit.model, slices)
    means, label = _track_means(outputs, slices, division.held_out)
    measured = _judge(means, label, outputs, slices, division, genres)
    temperature = fit_temperature(means, label)
    about = _about(plan, architecture, division, fit, measured, data_name)
    return _write(output, plan, fit, genres, settings, temperature, about, measured), measured


def cut_slices(archive: Archive, genres: tuple[str, ...], settings: FeatureSettings) -> Slices:
    """Cut every track of an archive into what the network hears."""
    inputs = np.zeros((len(archive), SLICE_COUNT, *settings.input_shape), np.float32)
    present = np.zeros(inputs.shape[:2], bool)
    for index in range(len(archive)):
        cut = settings.network_input(archive.slices(index))
        inputs[index, : len(cut)] = cut
        present[index, : len(cut)] = True
    if not present.any():
        raise DatasetError("no track is as long as one slice (2.9 s)")
    return Slices(inputs, present, genre_labels(archive.genre, genres))


def _outputs(model: Any, slices: Slices) -> FloatArray:
    """Return the network's probabilities, float32 (n_tracks, n_slices, n_genres)."""
    flat = slices.inputs.reshape(-1, *slices.inputs.shape[2:])
    probabilities: FloatArray = model.predict(flat, batch_size=256, verbose=0)["probabilities"]
    return probabilities.reshape(*slices.present.shape, -1)


def _track_means(
    outputs: FloatArray, slices: Slices, mask: npt.NDArray[np.bool_]
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Average the chosen slices of each track that has any; return also the tracks' labels."""
    chosen = (mask & slices.present).astype(np.float32)
    used = chosen.sum(axis=1) > 0
    sums = (outputs * chosen[..., None]).sum(axis=1)
    return sums[used] / chosen[used].sum(axis=1, keepdims=True), slices.label[used]


def _judge(
    means: FloatArray,
    label: npt.NDArray[np.intp],
    outputs: FloatArray,
    slices: Slices,
    division: Division,
    genres: tuple[str, ...],
) -> dict[str, Any]:
    """Measure on the held-out slices, and on tracks by the average of their held-out slices.

    Half of the held-out tracks are calibrated by a temperature fitted on the other half, so the
    calibration error is that of tracks which the temperature has not seen.
    """
    track = np.zeros_like(means)
    half = np.arange(len(label)) % 2 == 0
    for part in (half, ~half):
        track[part] = calibrate(means[part], fit_temperature(means[~part], label[~part]))
    chosen = division.held_out & slices.present
    by_track = [each[mask] for each, mask in zip(outputs, chosen, strict=True) if mask.any()]
    measured = metrics(Heard(label, track, by_track), genres)
    return measured | {"split": division.name, "held_out": division.held_out_name}


def _about(
    plan: Plan,
    architecture: Architecture,
    division: Division,
    fit: Fit,
    measured: dict[str, Any],
    data_name: str,
) -> dict[str, Any]:
    """Return the part of ``model.json`` that is for people."""
    return {
        "about": architecture.about,
        "training": {
            "data": data_name,
            "split": division.name,
            "train_slices": int(division.train.sum()),
            "epochs": len(fit.history["loss"]),
            "seed": plan.seed,
        },
        "accuracy": {
            "held_out": division.held_out_name,
            **{key: measured[key] for key in ("tracks", "accuracy", "slice_accuracy", "ece")},
        },
        "licence": LICENCE,
        "made_with": f"tagger {tagger.__version__}",
    }


def _write(
    output: Path,
    plan: Plan,
    fit: Fit,
    genres: tuple[str, ...],
    settings: FeatureSettings,
    temperature: float,
    about: dict[str, Any],
    measured: dict[str, Any],
) -> Bundle:
    """Write all files of the bundle; one that was there before is replaced at the end."""
    from tagger import pictures

    output.mkdir(parents=True, exist_ok=True)
    (output / CARD_FILE).unlink(missing_ok=True)  # no half-written bundle can be loaded
    export_network(fit.model, output / NETWORK_FILE)
    fit.model.save(output / KERAS_FILE)
    (output / METRICS_FILE).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    pictures.learning_curve(fit.history, output / "learning-curve.png")
    title = f"{plan.architecture}, {about['accuracy']['held_out']}"
    pictures.confusion_matrix(
        np.array(measured["confusion"]), genres, output / "confusion.png", title
    )
    return write_card(
        output,
        architecture=plan.architecture,
        genres=genres,
        features=settings,
        temperature=temperature,
        about=about,
    )


def _check_output(output: Path) -> None:
    """Refuse to write into a folder that holds something other than a bundle."""
    if output.exists() and not output.is_dir():
        raise DatasetError(f"{output} is a file: choose another folder with -o")
    if output.is_dir() and any(output.iterdir()) and not (output / NETWORK_FILE).exists():
        raise DatasetError(f"{output} holds other files: choose an empty folder with -o")
