"""Keras builders by name. Training only: TensorFlow is imported when one is built.

Every network takes slices (frames, values) and has two outputs: ``probabilities`` over the
genres and ``embedding``, the activations that they are computed from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tagger.errors import DatasetError

DEFAULT_ARCHITECTURE = "musicnn"

DROPOUT = 0.3
LEARNING_RATE = 1e-3  # RMSprop, the article's
BATCH_SLICES = 32

Builder = Callable[[tuple[int, int], int], Any]


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained by name.

    Attributes
    ----------
    about : str
        What it is, for people.
    feature_kind : str
        What the network hears, ``FeatureSettings.kind``.
    build : callable or None
        (input shape, number of genres) -> keras.Model with outputs probabilities and embedding.
        None for a network that is built on the bundled one it starts from.
    epochs : int
        Trained for, unless told otherwise.
    start : str or None
        The bundled network that it starts from (``training/transfer.py``), if it does.
    licence : str or None
        Of a network so made, if it is not ours alone.
    """

    about: str
    feature_kind: str
    build: Builder | None = None
    epochs: int = 30
    start: str | None = None
    licence: str | None = None


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
    "musicnn": Architecture(
        "MusiCNN's ear on log-mel slices, with a head for the genres",
        "log_mel",
        start="musicnn-msd",
        licence="ISC (MusiCNN, J. Pons and X. Serra) and MIT (tagger); GTZAN's recordings belong"
        " to their owners and are not included",
    ),
    "mlp": Architecture("the article's MLP on 13 MFCCs", "mfcc", build_mlp, epochs=50),
    "cnn": Architecture("the article's CNN on 13 MFCCs", "mfcc", build_cnn),
    "lstm": Architecture("the article's LSTM on 13 MFCCs", "mfcc", build_lstm),
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
