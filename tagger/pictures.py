"""Matplotlib figures: of a training run, and of a track."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tagger.errors import MissingExtraError
from tagger.genres import MIN_CONFIDENCE, tag_name
from tagger.sound.features import (
    N_FFT,
    N_MELS,
    N_MFCC,
    SAMPLE_RATE_HZ,
    mel_filter_bank,
    mfcc,
    power_to_db,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tagger.sound.whole import TrackView

DPI = 110


def learning_curve(history: dict[str, list[float]], path: Path) -> None:
    """Draw loss and accuracy by epoch, of training and validation, into a PNG."""
    figure, axes = _figure(1, 2, width_inches=9.0, height_inches=3.4)
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axis, measure in zip(axes.flat, ("accuracy", "loss"), strict=True):
        axis.plot(epochs, history[measure], label="training")
        if f"valid_{measure}" in history:
            axis.plot(epochs, history[f"valid_{measure}"], label="validation")
        axis.set(xlabel="epoch", ylabel=f"{measure} (slices)")
        axis.grid(alpha=0.3)
        axis.legend()
    _save(figure, path)


def confusion_matrix(
    confusion: npt.NDArray[np.intp], genres: tuple[str, ...], path: Path, title: str
) -> None:
    """Draw a confusion matrix (true genre by heard genre, in tracks) into a PNG."""
    figure, axes = _figure(1, 1, width_inches=6.2, height_inches=5.6)
    axis = axes[0, 0]
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    positions = np.arange(len(genres))
    axis.set_xticks(positions, genres, rotation=45, ha="right")
    axis.set_yticks(positions, genres)
    axis.set_title(title, fontsize="medium", wrap=True)
    axis.set(xlabel="heard genre", ylabel="true genre")
    for row, column in zip(*np.nonzero(confusion), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, confusion[row, column], ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the true genre's tracks")
    _save(figure, path)


@dataclass(frozen=True)
class HeardSlices:
    """What a network heard in a track, slice by slice.

    Attributes
    ----------
    genres : tuple of str
        In the network's order.
    probabilities : float (n_genres,)
        Of the whole track, calibrated.
    starts_seconds : float (n_slices,)
    slice_seconds : float
        How long each slice is.
    slice_probabilities : float (n_slices, n_genres)
        Before calibration.
    """

    genres: tuple[str, ...]
    probabilities: npt.NDArray[Any]
    starts_seconds: npt.NDArray[Any]
    slice_seconds: float
    slice_probabilities: npt.NDArray[Any]


def calibration(bins: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw how often a model is right against how sure it is, a point per bin, into a PNG.

    ``bins`` are ``evaluate.metrics``'s ``calibration``.
    """
    figure, axes = _figure(1, 1, width_inches=5.0, height_inches=4.6)
    axis = axes[0, 0]
    confidence, accuracy, tracks = (
        np.array([each[key] for each in bins]) for key in ("confidence", "accuracy", "tracks")
    )
    axis.plot([0, 1], [0, 1], linestyle="--", color="grey", label="perfectly honest")
    axis.scatter(confidence, accuracy, s=10 + tracks, label="tracks (area: how many)")
    axis.set_title(title, fontsize="medium", wrap=True)
    axis.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left")
    _save(figure, path)


def track_pictures(view: TrackView, heard: HeardSlices, title: str, path: Path) -> None:
    """Draw a track as the article does, into a PNG or an SVG.

    Waveform, mel filter bank, spectrogram on a linear and on a logarithmic axis, mel spectrogram,
    MFCC, and the genres over time and of the whole track.

    Raises
    ------
    MissingExtraError
        If librosa or matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from librosa.display import specshow
    except ImportError as error:
        raise MissingExtraError(
            "pictures need librosa and matplotlib: install them with"
            " `pip install 'tagger[train]'`, or see the text with --text"
        ) from error
    mpl.rcParams["svg.hashsalt"] = "tagger"
    figure, axes = _figure(4, 2, width_inches=13.0, height_inches=13.0)
    # A file's name is no formula, and may be in any script.
    figure.suptitle(title, parse_math=False)
    _draw_waveform(axes[0, 0], view, heard)
    _draw_filter_bank(axes[0, 1])
    level_db = power_to_db(view.power)
    mel_db = power_to_db(view.power @ mel_filter_bank())
    coefficients = mfcc(mel_db)
    # The first coefficient is the level, far from the others: it may leave the scale.
    reach = float(np.abs(coefficients[:, 1:]).max())
    mfcc_colours = {"cmap": "coolwarm", "vmin": -reach, "vmax": reach}
    spectrograms = (
        (axes[1, 0], level_db, "linear", "Spectrogram", {"cmap": "magma"}),
        (axes[1, 1], level_db, "log", "Spectrogram, logarithmic axis", {"cmap": "magma"}),
        (axes[2, 0], mel_db, "mel", f"Mel spectrogram, {N_MELS} bands", {"cmap": "magma"}),
        (axes[2, 1], coefficients, None, "MFCC", mfcc_colours),
    )
    for axis, values, scale, name, colours in spectrograms:
        image = specshow(
            values.T, sr=SAMPLE_RATE_HZ, hop_length=view.column_samples, n_fft=N_FFT,
            x_axis="time", y_axis=scale, ax=axis, rasterized=True, **colours,
        )  # fmt: skip
        axis.set(title=name, ylabel="frequency (Hz)", xlabel=_time_label(view))
        is_mfcc = scale is None
        figure.colorbar(
            image, ax=axis, label="value (dB)" if is_mfcc else "power (dB re 1.0)",
            extend="both" if is_mfcc else "neither",
        )  # fmt: skip
    axes[2, 1].set(ylabel="coefficient (number)", yticks=range(0, N_MFCC, 2))
    _draw_genres_over_time(figure, axes[3, 0], view, heard)
    _draw_genres(axes[3, 1], heard)
    _save(figure, path)


def _time_label(view: TrackView) -> str:
    """Return the label of librosa's time axis, which counts minutes from one minute on."""
    return "time (s)" if view.n_samples < 60 * SAMPLE_RATE_HZ else "time (min:s)"


def _set_time_axis(axis: Axes, view: TrackView) -> None:
    from librosa.display import TimeFormatter

    axis.xaxis.set_major_formatter(TimeFormatter(lag=False))
    axis.set(xlim=(0, view.n_samples / SAMPLE_RATE_HZ), xlabel=_time_label(view))


def _draw_waveform(axis: Axes, view: TrackView, heard: HeardSlices) -> None:
    starts = np.arange(len(view.peaks)) * view.column_samples / SAMPLE_RATE_HZ
    lowest, highest = view.peaks.T
    axis.fill_between(starts, lowest, highest, step="post", linewidth=0.2, rasterized=True)
    for number, start in enumerate(heard.starts_seconds):
        label = "slices that are heard" if number == 0 else None
        axis.axvspan(start, start + heard.slice_seconds, color="orange", alpha=0.35, label=label)
    axis.legend(loc="lower right", fontsize="small")
    axis.set(title="Waveform", ylabel="amplitude (full scale = 1)")
    _set_time_axis(axis, view)


def _draw_filter_bank(axis: Axes) -> None:
    bank = mel_filter_bank()
    frequency_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(bank))
    axis.plot(frequency_hz, bank[:, ::4], linewidth=0.9)
    axis.set(
        title=f"Mel filter bank (every fourth of {bank.shape[1]})",
        xlabel="frequency (Hz)",
        ylabel="weight (1/Hz)",
        xlim=(0, SAMPLE_RATE_HZ / 2),
        ylim=(0, None),
    )


def _draw_genres_over_time(figure: Figure, axis: Axes, view: TrackView, heard: HeardSlices) -> None:
    rows = np.arange(len(heard.genres) + 1) - 0.5
    for start, probabilities in zip(heard.starts_seconds, heard.slice_probabilities, strict=True):
        image = axis.pcolormesh(
            [start, start + heard.slice_seconds], rows, probabilities[:, None],
            vmin=0, vmax=1, cmap="Blues", edgecolors="grey", linewidth=0.2,
        )  # fmt: skip
    axis.set_yticks(range(len(heard.genres)), [tag_name(genre) for genre in heard.genres])
    axis.invert_yaxis()
    axis.set(title="Genre over time, slice by slice", ylabel="genre")
    _set_time_axis(axis, view)
    figure.colorbar(image, ax=axis, label="probability (before calibration)")


def _draw_genres(axis: Axes, heard: HeardSlices) -> None:
    bars = axis.barh([tag_name(genre) for genre in heard.genres], heard.probabilities)
    axis.bar_label(bars, [f"{share:.0%}" for share in heard.probabilities], padding=3)
    axis.invert_yaxis()
    axis.set(
        title="Genre of the track (dashed: sure from here on)",
        xlabel="probability",
        ylabel="genre",
        xlim=(0, 1.12),
    )
    axis.axvline(MIN_CONFIDENCE, color="grey", linestyle="--", linewidth=0.8)


def _figure(
    rows: int, columns: int, *, width_inches: float, height_inches: float
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return a figure that needs no screen, and its axes (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained", dpi=DPI)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Figure, path: Path) -> None:
    # Without the version and date that matplotlib adds, the same figure gives the same bytes.
    figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else {"Date": None})
