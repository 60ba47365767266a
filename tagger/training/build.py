"""``tagger train``: from an archive to a model bundle with its measured accuracy."""

from __future__ import annotations

import json
import shutil
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
    LICENCE_FILE,
    METRICS_FILE,
    NETWORK_FILE,
    Bundle,
    find_bundle,
    write_card,
)
from tagger.model.classifier import calibrate
from tagger.sound.features import FeatureSettings, FloatArray
from tagger.training.archive import Archive
from tagger.training.evaluate import Heard, fit_temperature, metrics
from tagger.training.fit import OnEpoch, SliceLearner, export_network, require_training
from tagger.training.inputs import Slices, cut_slices
from tagger.training.learner import Fit, Learner
from tagger.training.splits import Division, divide, everything
from tagger.training.transfer import TransferLearner

LICENCE = "MIT (the network); GTZAN's recordings belong to their owners and are not included"

# Tracks that an archive marks so (repeated, distorted or wrongly labelled) are left out.
EXCLUDED = "excluded"

# What of the evaluation the model card repeats.
_CARD_MEASURES = (
    "tracks", "accuracy", "accuracy_interval", "slice_accuracy", "ece", "per_genre", "thresholds"
)  # fmt: skip

# The calibration error is measured with temperatures fitted on the other parts.
CALIBRATION_PARTS = 2


@dataclass(frozen=True)
class Plan:
    """How to train: the options of ``tagger train``.

    Attributes
    ----------
    architecture : str
        A key of ``architectures.ARCHITECTURES``.
    split : str
        A key of ``splits.SPLITS``.
    folds : int or None
        Hold out each of so many parts in turn; then learn from all tracks.
    epochs : int or None
        None for the architecture's own.
    patience : int or None
        Epochs without improvement after which to stop; None trains all epochs.
    artists : dict of str to int or None
        Track to artist group, for ``--split artists``.
    resume : Path or None
        A bundle to train on from.
    """

    architecture: str
    split: str
    seed: int = 0
    folds: int | None = None
    epochs: int | None = None
    patience: int | None = None
    artists: dict[str, int] | None = None
    resume: Path | None = None


def train_bundle(
    archive: Archive,
    output: Path,
    plan: Plan,
    *,
    data_name: str,
    on_epoch: OnEpoch = lambda epoch, epochs, logs: None,
) -> tuple[Bundle, dict[str, Any]]:
    """Train a network, judge it on what was held out, and write its bundle to ``output``.

    A network that starts from a bundled one learns once more, from all tracks, after it was
    judged; so does any network after folds. The bundle's figures are always those of tracks that
    the judged network had not learned from.

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
    divisions = divide(
        archive,
        plan.split,
        plan.seed,
        artists=plan.artists,
        folds=plan.folds,
        watch=plan.patience is not None,
    )
    slices = cut_slices(archive, genres, settings)
    learner = _learner(architecture, slices, genres, plan, on_epoch)
    fit, outputs, held_out = _cross_fit(learner, slices, divisions)
    means, label = track_means(outputs, slices, held_out)
    measured = _judge(means, label, outputs, slices, held_out, genres)
    measured |= {"split": divisions[0].name, "held_out": divisions[0].held_out_name}
    learned_from = divisions[0].train & slices.present
    if architecture.start or plan.folds:
        fit = learner.fit(everything(archive, divisions[0]))
        learned_from = slices.present
    about = _about(plan, architecture, int(learned_from.sum()), fit, measured, data_name)
    temperature = fit_temperature(means, label)
    return _write(
        output, architecture, plan, fit, genres, settings, temperature, about, measured
    ), measured


def _learner(
    architecture: Architecture,
    slices: Slices,
    genres: tuple[str, ...],
    plan: Plan,
    on_epoch: OnEpoch,
) -> Learner:
    """Return what fits the network that is wanted."""
    if architecture.start:
        if plan.epochs or plan.patience or plan.resume:
            raise DatasetError(
                f"{plan.architecture} is fitted in one step:"
                " --epochs, --patience and --resume have no meaning for it"
            )
        return TransferLearner(architecture.start, slices, len(genres))
    return SliceLearner(
        architecture,
        slices,
        n_genres=len(genres),
        epochs=plan.epochs or architecture.epochs,
        seed=plan.seed,
        patience=plan.patience,
        start=plan.resume / KERAS_FILE if plan.resume else None,
        on_epoch=on_epoch,
    )


def _cross_fit(
    learner: Learner, slices: Slices, divisions: list[Division]
) -> tuple[Fit, FloatArray, npt.NDArray[np.bool_]]:
    """Fit each division; return the last fit, and the outputs on all that was held out."""
    held_out = np.zeros(slices.present.shape, bool)
    outputs = np.zeros((*slices.present.shape, int(slices.label.max()) + 1), np.float32)
    for division in divisions:
        fit = learner.fit(division)
        chosen = division.held_out & slices.present
        outputs[chosen] = fit.outputs[chosen]
        held_out |= chosen
    return fit, outputs, held_out


def track_means(
    outputs: FloatArray, slices: Slices, chosen: npt.NDArray[np.bool_]
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Average the chosen slices of each track that has any; return also the tracks' labels."""
    weights = (chosen & slices.present).astype(np.float32)
    used = weights.sum(axis=1) > 0
    sums = (outputs * weights[..., None]).sum(axis=1)
    return sums[used] / weights[used].sum(axis=1, keepdims=True), slices.label[used]


def _judge(
    means: FloatArray,
    label: npt.NDArray[np.intp],
    outputs: FloatArray,
    slices: Slices,
    held_out: npt.NDArray[np.bool_],
    genres: tuple[str, ...],
) -> dict[str, Any]:
    """Measure on the held-out slices, and on tracks by the average of their held-out slices.

    The tracks of each part are calibrated by a temperature fitted on the others, so the
    calibration error is that of tracks which the temperature has not seen.
    """
    track = np.zeros_like(means)
    parts = np.arange(len(label)) % CALIBRATION_PARTS
    for number in range(CALIBRATION_PARTS):
        part = parts == number
        track[part] = calibrate(means[part], fit_temperature(means[~part], label[~part]))
    chosen = held_out & slices.present
    by_track = [each[mask] for each, mask in zip(outputs, chosen, strict=True) if mask.any()]
    return metrics(Heard(label, track, by_track), genres)


def _about(
    plan: Plan,
    architecture: Architecture,
    n_slices: int,
    fit: Fit,
    measured: dict[str, Any],
    data_name: str,
) -> dict[str, Any]:
    """Return the part of ``model.json`` that is for people."""
    training = {
        "data": data_name,
        "split": plan.split,
        "folds": plan.folds,
        "learned_from_slices": n_slices,
        "epochs": len(fit.history.get("loss", [])) or None,
        "seed": plan.seed,
        "start": architecture.start,
    }
    return {
        "about": architecture.about,
        "training": {key: value for key, value in training.items() if value is not None},
        "accuracy": {
            "held_out": measured["held_out"],
            **{key: measured[key] for key in _CARD_MEASURES},
        },
        "licence": architecture.licence or LICENCE,
        "made_with": f"tagger {tagger.__version__}",
    }


def _write(
    output: Path,
    architecture: Architecture,
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
    model = fit.model()
    export_network(model, output / NETWORK_FILE)
    model.save(output / KERAS_FILE)
    (output / METRICS_FILE).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    if fit.history:
        pictures.learning_curve(fit.history, output / "learning-curve.png")
    title = f"{plan.architecture}, {measured['held_out']}"
    confusion = np.array(measured["confusion"])
    pictures.confusion_matrix(confusion, genres, output / "confusion.png", title)
    if architecture.start:  # its licence goes with what is made from it
        shutil.copyfile(find_bundle(architecture.start) / LICENCE_FILE, output / LICENCE_FILE)
    pictures.calibration(measured["calibration"], output / "calibration.png", title)
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
