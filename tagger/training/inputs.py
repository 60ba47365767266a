"""A whole archive as what a network takes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagger.errors import DatasetError
from tagger.sound.features import FeatureSettings, FloatArray
from tagger.sound.slices import SLICE_COUNT
from tagger.training.archive import Archive
from tagger.training.evaluate import genre_labels


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

    def outputs(self, run: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Return what ``run`` makes of every slice: float32 (n_tracks, n_slices, n_values)."""
        flat = self.inputs.reshape(-1, *self.inputs.shape[2:])
        return run(flat).reshape(*self.present.shape, -1)


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
