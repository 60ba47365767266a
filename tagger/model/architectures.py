"""Keras builders by name. Training only: TensorFlow is imported when one is built.

Every network takes slices (frames, values) and has two outputs: ``probabilities`` over the
genres and ``embedding``, the activations that they are computed from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tagger.errors import DatasetError

DEFAULT_ARCHITECTURE = "cnn"

DROPOUT = 0.3
LEARNING_RATE = 1e-3  # RMSprop, the article's
BATCH_SLICES = 32

Builder = Callable[[tuple[int, int], int], Any]


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained by name.

    Attributes
    ----------
    build : callable
        (input shape, number of genres) -> keras.Model with outputs probabilities and embedding.
    feature_kind : str
        What the network hears, ``FeatureSettings.kind``.
    epochs : int
        Trained for, unless told otherwise.
    """

    build: Builder
    feature_kind: str
    epochs: int
    about: str


def _finish(inputs: Any, embedding: Any, n_genres: int, *, dropout: float = 0.0) -> Any:
    """Close a network: the classifying layer on its embedding, and the two outputs."""
    import keras

    hidden = keras.layers.Dropout(dropout)(embedding) if dropout else embedding
    probabilities = keras.layers.Dense(n_genres, activation="softmax", name="probabilities")(hidden)
    return keras.Model(inputs, {"probabilities": probabilities, "embedding": embedding})


def build_mlp(input_shape: tuple[int, int], n_genres: int) -> Any:
    """Return the article's MLP: dense 512-512-256-128-64 on all MFCCs of a slice."""
    import keras

    inputs = keras.Input(input_shape, name="slices")
    hidden = keras.layers.Flatten()(inputs)
    for units in (512, 512, 256, 128):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    embedding = keras.layers.Dense(64, activation="relu", name="embedding")(hidden)
    return _finish(inputs, embedding, n_genres)


def build_cnn(input_shape: tuple[int, int], n_genres: int) -> Any:
    """Return the article's CNN: three convolutions of 32 with max-pooling and batch norm."""
    import keras

    inputs = keras.Input(input_shape, name="slices")
    hidden = keras.layers.Reshape((*input_shape, 1))(inputs)
    for kernel, pool in ((3, 3), (3, 3), (2, 2)):
        hidden = keras.layers.Conv2D(32, kernel, activation="relu")(hidden)
        hidden = keras.layers.MaxPooling2D(pool, strides=2, padding="same")(hidden)
        hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(DROPOUT)(keras.layers.Flatten()(hidden))
    embedding = keras.layers.Dense(64, activation="relu", name="embedding")(hidden)
    return _finish(inputs, embedding, n_genres)


def build_lstm(input_shape: tuple[int, int], n_genres: int) -> Any:
    """Return the article's LSTM: two layers of 64, dense 64, dropout."""
    import keras

    inputs = keras.Input(input_shape, name="slices")
    hidden = keras.layers.LSTM(64, return_sequences=True)(inputs)
    hidden = keras.layers.LSTM(64)(hidden)
    embedding = keras.layers.Dense(64, activation="relu", name="embedding")(hidden)
    return _finish(inputs, embedding, n_genres, dropout=DROPOUT)


ARCHITECTURES = {
    "mlp": Architecture(build_mlp, "mfcc", 50, "the article's MLP on 13 MFCCs"),
    "cnn": Architecture(build_cnn, "mfcc", 30, "the article's CNN on 13 MFCCs"),
    "lstm": Architecture(build_lstm, "mfcc", 30, "the article's LSTM on 13 MFCCs"),
}


def find_architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises
    ------
    DatasetError
        If there is none of that name.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        names = ", ".join(ARCHITECTURES)
        raise DatasetError(f"no architecture {name!r}: choose one of {names}") from None
