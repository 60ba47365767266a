"""Fitting a network with Keras, and exporting it to LiteRT."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.errors import DatasetError, MissingExtraError
from tagger.model.architectures import BATCH_SLICES, LEARNING_RATE, Architecture
from tagger.sound.features import FloatArray

OnEpoch = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Fit:
    """A trained Keras model and its learning curve, one value per epoch and measure."""

    model: Any
    history: dict[str, list[float]]


def require_training() -> None:
    """Check that TensorFlow is there, and keep it quiet.

    Raises
    ------
    MissingExtraError
        If the ``train`` extra is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError(
            "training needs TensorFlow: install it with `pip install 'tagger[train]'`"
        ) from error
    tf.get_logger().setLevel("ERROR")


def fit_slices(
    architecture: Architecture,
    train: tuple[FloatArray, npt.NDArray[np.intp]],
    valid: tuple[FloatArray, npt.NDArray[np.intp]],
    *,
    n_genres: int,
    epochs: int,
    seed: int,
    patience: int | None = None,
    start: Path | None = None,
    on_epoch: OnEpoch = lambda epoch, epochs, logs: None,
) -> Fit:
    """Train a network on single slices, as the article does.

    Parameters
    ----------
    train, valid : (float32 (n, frames, values), int (n,))
        Slices and the index of each one's genre.
    patience : int, optional
        Stop when the accuracy on ``valid`` has not risen for so many epochs, and keep the best.
    start : Path, optional
        A ``.keras`` file to train on from, instead of random weights.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()  # the same seed gives the same network
    if start is None:
        model = architecture.build(train[0].shape[1:], n_genres)
    else:
        model = _load(start, train[0].shape[1:], n_genres)
    # Keras wants a target for every output, so the one with labels is trained through a view.
    view = keras.Model(model.input, model.output["probabilities"])
    view.compile(
        optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1, epochs, _measures(logs))
        )
    ]
    if patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=patience, restore_best_weights=True
            )
        )
    history = view.fit(
        *train,
        validation_data=valid,
        batch_size=BATCH_SLICES,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return Fit(model, _measures(history.history))


def _measures(logs: dict[str, Any]) -> dict[str, Any]:
    """Return Keras's log entries by our names."""
    return {key.replace("val_", "valid_"): values for key, values in logs.items()}


def _load(path: Path, input_shape: tuple[int, int], n_genres: int) -> Any:
    import keras

    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} can't be resumed from: {error}") from error
    shapes = model.input_shape[1:], model.output["probabilities"].shape[-1]
    if shapes != (input_shape, n_genres):
        raise DatasetError(f"{path} was trained on slices {shapes[0]} and {shapes[1]} genres")
    return model


def export_network(model: Any, path: Path) -> None:
    """Write a Keras model as a LiteRT network whose outputs keep their names."""
    import keras
    import tensorflow as tf

    unrolled = _unrolled(model)
    archive = keras.export.ExportArchive()
    archive.track(unrolled)
    archive.add_endpoint(
        "serve",
        lambda slices: unrolled(slices, training=False),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="slices")],
    )
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())


def _unrolled(model: Any) -> Any:
    """Return the model with its recurrent layers unrolled: LiteRT has no loop of open length."""
    import keras

    def unroll(layer: Any) -> Any:
        config = layer.get_config()
        if "unroll" in config:
            config["unroll"] = True
        return layer.__class__.from_config(config)

    if not any("unroll" in layer.get_config() for layer in model.layers):
        return model
    copy = keras.models.clone_model(model, clone_function=unroll)
    copy.set_weights(model.get_weights())
    return copy
