"""The default network: MusiCNN's ear, kept as it is, and a linear head fitted to the genres.

640 clips by fewer than 300 artists are too few to train an ear on: every fine-tuning lost
accuracy on unseen artists. What serves is a linear discriminant on good features. It models each
genre by its mean and all genres by one covariance, strongly shrunk, and so learns little of
single artists; it takes seconds. docs/model.md has what was tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.model.bundle import find_bundle, load_start
from tagger.model.musicnn import build_musicnn
from tagger.sound.features import FloatArray, dct_matrix
from tagger.training.inputs import Slices
from tagger.training.learner import Fit
from tagger.training.splits import Division

N_CEPSTRA = 24

# A feature that varies less than this, over all slices, says nothing.
LEAST_DEVIATION = 1e-2

# The principal axes of the training tracks' features that are kept: a track's embedding.
N_EMBEDDING = 200

# How far the covariance within genres is drawn towards that of a sphere.
SHRINKAGE = 0.6

# A slice's discriminants are divided by this before the softmax: one slice tells far less than
# the tracks that the head is fitted to, and an average of overconfident slices loses what the
# hesitant ones know.
SLICE_TEMPERATURE = 15.0


@dataclass(frozen=True)
class Head:
    """Standardise, squash, project, and weigh: a linear classifier of slices' features.

    Attributes
    ----------
    scale, shift : float32 (n_features,)
        Applied before the tanh.
    axes : float32 (n_features, n_embedding)
    origin : float32 (n_embedding,)
    kernel : float32 (n_embedding, n_genres)
    bias : float32 (n_genres,)
    """

    scale: FloatArray
    shift: FloatArray
    axes: FloatArray
    origin: FloatArray
    kernel: FloatArray
    bias: FloatArray

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Return the probabilities (..., n_genres) of slices' features (..., n_features)."""
        embedding = np.tanh(features * self.scale + self.shift) @ self.axes + self.origin
        scores = embedding @ self.kernel + self.bias
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float32)


class TransferLearner:
    """Fits a head to a bundled network's features.

    Parameters
    ----------
    start : str
        The bundled network.
    slices : Slices
        The data set, as log-mel at the hop that the network hears.
    """

    def __init__(self, start: str, slices: Slices, n_genres: int) -> None:
        self._ear = build_ear(load_start(find_bundle(start)))
        self._slices, self._n_genres = slices, n_genres
        self._features = slices.outputs(
            lambda inputs: self._ear.predict(inputs, batch_size=256, verbose=0)
        )

    def fit(self, division: Division) -> Fit:
        """Return the network that learned from ``division.train``."""
        chosen = division.train & self._slices.present
        head = fit_head(self._features, chosen, self._slices.label, self._n_genres)
        return Fit(head.probabilities(self._features), lambda: self._with_head(head))

    def _with_head(self, head: Head) -> Any:
        """Return the ear and the head as one Keras model."""
        import keras
        from keras import layers, ops

        scaled = layers.Rescaling(head.scale.tolist(), head.shift.tolist())(self._ear.output)
        project = layers.Dense(len(head.origin), name="embedding")
        embedding = project(ops.tanh(scaled))
        weigh = layers.Dense(self._n_genres, activation="softmax", name="probabilities")
        probabilities = weigh(embedding)
        project.set_weights([head.axes, head.origin])
        weigh.set_weights([head.kernel, head.bias])
        return keras.Model(
            self._ear.input, {"probabilities": probabilities, "embedding": embedding}
        )


def build_ear(weights: dict[str, FloatArray]) -> Any:
    """Return the frozen network from log-mel slices (n, 62, 128) to features (n, n_features).

    MusiCNN's pooled channels and embedding; and of the first 24 cepstral coefficients the mean,
    the deviation and the mean step over time, for what MusiCNN's 0-8 kHz bands leave out.
    """
    import keras
    from keras import layers, ops

    network = build_musicnn(weights)
    transform = layers.Dense(N_CEPSTRA, use_bias=False, name="cepstra")
    cepstra = transform(network.input)
    transform.set_weights([dct_matrix(N_CEPSTRA)])
    mean = ops.mean(cepstra, axis=1, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(cepstra - mean), axis=1) + 1e-6)
    step = ops.mean(ops.absolute(cepstra[:, 1:] - cepstra[:, :-1]), axis=1)
    outputs = [network.output["pooled"], network.output["embedding"], mean[:, 0], deviation, step]
    return keras.Model(network.input, layers.Concatenate()(outputs))


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
    mean, deviation = features[chosen].mean(axis=0), features[chosen].std(axis=0)
    told = deviation > LEAST_DEVIATION
    scale = np.where(told, 1 / np.maximum(deviation, LEAST_DEVIATION), 0.0)
    squashed = np.tanh((features - mean) * scale) * chosen[..., None]
    used = chosen.any(axis=1)
    tracks = squashed[used].sum(axis=1, dtype=np.float64) / chosen[used].sum(axis=1)[:, None]
    label = label[used]
    # Standardised once more: of what varies between slices, less is left between tracks.
    centre, spread = tracks.mean(axis=0), tracks.std(axis=0)
    unit = np.where(told, 1 / np.maximum(spread, 1e-6), 0.0)
    tracks = (tracks - centre) * unit
    axes = _principal_axes(tracks)
    centroids = np.stack([tracks[label == genre].mean(axis=0) for genre in range(n_genres)])
    noise = np.square(tracks - centroids[label]).sum() / len(tracks) / max(told.sum(), 1)
    kernel, bias = _discriminants(tracks @ axes, label, n_genres, noise)
    axes = unit[:, None] * axes
    arrays = (scale, -mean * scale, axes, -centre @ axes, kernel, bias)
    return Head(*(np.asarray(array, np.float32) for array in arrays))


def _principal_axes(tracks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the axes of largest variance of centred tracks (n, n_features), a column each."""
    vectors = np.linalg.eigh(tracks.T @ tracks)[1][:, ::-1][:, :N_EMBEDDING]
    largest = np.abs(vectors).argmax(axis=0)
    axes: npt.NDArray[np.float64] = vectors * np.sign(vectors[largest, np.arange(len(largest))])
    return axes


def _discriminants(
    tracks: npt.NDArray[np.float64], label: npt.NDArray[np.intp], n_genres: int, noise: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the kernel (n_embedding, n_genres) and bias of the genres' discriminants."""
    centroids = np.stack([tracks[label == genre].mean(axis=0) for genre in range(n_genres)])
    within = tracks - centroids[label]
    covariance = (1 - SHRINKAGE) * within.T @ within / len(within)
    covariance += SHRINKAGE * noise * np.eye(len(covariance))
    kernel = np.linalg.solve(covariance, centroids.T)
    bias = -0.5 * (centroids.T * kernel).sum(axis=0)
    return kernel / SLICE_TEMPERATURE, bias / SLICE_TEMPERATURE
