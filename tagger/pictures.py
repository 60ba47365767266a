"""Matplotlib figures: of a training run, and of a track."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    axis.set(xlabel="heard genre", ylabel="true genre", title=title)
    for row, column in zip(*np.nonzero(confusion), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, confusion[row, column], ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the true genre's tracks")
    _save(figure, path)


def _figure(
    rows: int, columns: int, *, width_inches: float, height_inches: float
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return a figure that needs no screen, and its axes (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained", dpi=DPI)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Figure, path: Path) -> None:
    # Without the version that matplotlib adds, the same figure gives the same bytes.
    figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)
