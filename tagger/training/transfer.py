"""The default network: MusiCNN's ear, kept as it is, and a linear head fitted to the genres.

443 clips are too few to train an ear, and even to train much of a head by gradient: of what was
tried (docs/model.md), linear discriminant analysis on what the ear gives for whole tracks is
right most often on unseen artists, and takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.model.bundle import find_bundle, load_start
from tagger.model.musicnn import build_musicnn
from tagger.sound.features import FloatArray
from tagger.training.inputs import Slices
from tagger.training.learner import Fit
from tagger.training.splits import Division

# How far the covariance within genres is drawn towards that of a sphere: 1,500 numbers of a
# network that was trained for something else are estimated from a few hundred tracks.
SHRINKAGE = 0.6

# A slice's discriminants are divided by this before the softmax. One slice is worth far less
# than the track that the head was fitted to, and averaging overconfident slices loses what the
# hesitant ones know.
SLICE_TEMPERATURE = 7.0


@dataclass(frozen=True)
class Head:
    """A linear head on standardised, squashed features.

    Attributes
    ----------
    mean, deviation : float32 (n_features,)
    kernel : float32 (n_features, n_genres)
    bias : float32 (n_genres,)
    """

    mean: FloatArray
    deviation: FloatArray
    kernel: FloatArray
    bias: FloatArray

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return the probabilities of slices (..., n_features)."""
        squashed = np.tanh((features - self.mean) / self.deviation)
        scores = squashed @ self.kernel + self.bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares: FloatArray = scores / scores.sum(axis=-1, keepdims=True)
        return shares


class TransferLearner:
    """Fits a head to a bundled network's features.

    Parameters
    ----------
    start : str
        The bundled network.
    slices : Slices
        The data set, as log-mel.
    """

    def __init__(self, start: str, slices: Slices, n_genres: int) -> None:
        self._ear = build_musicnn(load_start(find_bundle(start)))
        self._slices, self._n_genres = slices, n_genres
        self._features = slices.outputs(self._run_ear)

    def _run_ear(self, inputs: FloatArray) -> FloatArray:
        heard = self._ear.predict(inputs, batch_size=256, verbose=0)
        return np.concatenate([heard["pooled"], heard["embedding"]], axis=-1)

    def fit(self, division: Division) -> Fit:
        """Return the network that learned from ``division.train``."""
        chosen = division.train & self._slices.present
        head = fit_head(self._features, chosen, self._slices.label, self._n_genres)
        return Fit(head.probabilities(self._features), lambda: self._with_head(head))

    def _with_head(self, head: Head) -> Any:
        """Return the ear and the head as one Keras model."""
        import keras
        from keras import layers, ops

        outputs = self._ear.output
        both = layers.Concatenate()([outputs["pooled"], outputs["embedding"]])
        scale = layers.Rescaling(
            (1 / head.deviation).tolist(), (-head.mean / head.deviation).tolist()
        )
        dense = layers.Dense(self._n_genres, activation="softmax", name="probabilities")
        probabilities = dense(ops.tanh(scale(both)))
        dense.set_weights([head.kernel, head.bias])
        return keras.Model(
            self._ear.input,
            {"probabilities": probabilities, "embedding": outputs["embedding"]},
        )


def fit_head(
    features: FloatArray,
    chosen: npt.NDArray[np.bool_],
    label: npt.NDArray[np.intp],
    n_genres: int,
) -> Head:
    """Fit linear discriminants, with shrunk covariance and equal priors, to tracks' averages.

    Parameters
    ----------
    features : float32 (n_tracks, n_slices, n_features)
    chosen : bool (n_tracks, n_slices)
        The slices to learn from.
    label : int (n_tracks,)

    Source: Friedman, "Regularized Discriminant Analysis", JASA 84 (1989), with lambda = 1.
    """
    mean = features[chosen].mean(axis=0)
    deviation = features[chosen].std(axis=0) + 1e-6
    squashed = np.tanh((features - mean) / deviation) * chosen[..., None]
    used = chosen.any(axis=1)
    tracks = squashed[used].sum(axis=1) / chosen[used].sum(axis=1, keepdims=True)
    tracks, label = tracks.astype(np.float64), label[used]
    # Standardised again: averages over ten slices vary less than slices, some far less.
    centre, spread = tracks.mean(axis=0), tracks.std(axis=0) + 1e-6
    tracks = (tracks - centre) / spread
    centroids = np.stack([tracks[label == genre].mean(axis=0) for genre in range(n_genres)])
    within = tracks - centroids[label]
    covariance = within.T @ within / len(within)
    sphere = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
    weights = np.linalg.solve((1 - SHRINKAGE) * covariance + SHRINKAGE * sphere, centroids.T)
    kernel = weights / spread[:, None] / SLICE_TEMPERATURE
    bias = -0.5 * (centroids.T * weights).sum(axis=0) / SLICE_TEMPERATURE - centre @ kernel
    return Head(mean, deviation, kernel.astype(np.float32), bias.astype(np.float32))
