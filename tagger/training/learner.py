"""What can be fitted to one part of a data set and then asked about all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tagger.sound.features import FloatArray
from tagger.training.splits import Division


@dataclass(frozen=True)
class Fit:
    """A fitted network.

    Attributes
    ----------
    outputs : float32 (n_tracks, n_slices, n_genres)
        Its probabilities for every slice of the data set.
    model : callable
        Returns it as a Keras model with outputs ``probabilities`` and ``embedding``.
    history : dict of str to list of float
        The learning curve, one value per epoch and measure; empty if it was fitted in one step.
    """

    outputs: FloatArray
    model: Callable[[], Any]
    history: dict[str, list[float]] = field(default_factory=dict)


class Learner(Protocol):
    """Fits a network to the training part of a division."""

    def fit(self, division: Division) -> Fit:
        """Return the network that learned from ``division.train``."""
        ...
