"""Fitting a network with Keras, and exporting it to LiteRT."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagger.errors import DatasetError, MissingExtraError
from tagger.model.architectures import BATCH_SLICES, LEARNING_RATE, Architecture
from tagger.training.inputs import Slices
from tagger.training.learner import Fit
from tagger.training.splits import Division

OnEpoch = Callable[[int, int, dict[str, float]], None]


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


class SliceLearner:
    """Trains a network on single slices, as the article does.

    Parameters
    ----------
    slices : Slices
        The data set.
    patience : int, optional
        Stop when the accuracy on the watched slices has not risen for so many epochs, and keep
        the best.
    start : Path, optional
        A ``.keras`` file to train on from, instead of random weights.
    """

    def __init__(
        self,
        architecture: Architecture,
        slices: Slices,
        *,
        n_genres: int,
        epochs: int,
        seed: int,
        patience: int | None = None,
        start: Path | None = None,
        on_epoch: OnEpoch = lambda epoch, epochs, logs: None,
    ) -> None:
        self._architecture, self._slices, self._n_genres = architecture, slices, n_genres
        self._epochs, self._seed, self._patience = epochs, seed, patience
        self._start, self._on_epoch = start, on_epoch

    def fit(self, division: Division) -> Fit:
        """Return the network that learned from ``division.train``."""
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(self._seed)
        tf.config.experimental.enable_op_determinism()  # the same seed gives the same network
        model = self._new_model()
        # Keras wants a target for every output, so the one with labels is trained through a view.
        view = keras.Model(model.input, model.output["probabilities"])
        view.compile(
            optimizer=keras.optimizers.RMSprop(LEARNING_RATE),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        history = view.fit(
            *self._slices.of(division.train),
            validation_data=self._slices.of(division.watched),
            batch_size=BATCH_SLICES,
            epochs=self._epochs,
            callbacks=self._callbacks(),
            verbose=0,
        )
        return Fit(
            self._slices.outputs(lambda inputs: view.predict(inputs, batch_size=256, verbose=0)),
            lambda: model,
            _measures(history.history),
        )

    def _callbacks(self) -> list[Any]:
        import keras

        def on_epoch_end(epoch: int, logs: dict[str, Any]) -> None:
            self._on_epoch(epoch + 1, self._epochs, _measures(logs))

        callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)]
        if self._patience is not None:
            stopping = keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=self._patience, restore_best_weights=True
            )
            callbacks.append(stopping)
        return callbacks

    def _new_model(self) -> Any:
        input_shape = self._slices.inputs.shape[2:]
        if self._start is not None:
            return _load(self._start, input_shape, self._n_genres)
        if self._architecture.build is None:
            raise DatasetError("this network is not trained from nothing")
        return self._architecture.build(input_shape, self._n_genres)


def _measures(logs: dict[str, Any]) -> dict[str, Any]:
    """Return Keras's log entries by our names."""
    return {key.replace("val_", "valid_"): values for key, values in logs.items()}


def _load(path: Path, input_shape: tuple[int, ...], n_genres: int) -> Any:
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
