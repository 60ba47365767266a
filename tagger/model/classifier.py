"""Inference with LiteRT, slice averaging, and calibrated confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.errors import BundleError, MissingExtraError
from tagger.model.bundle import Bundle
from tagger.model.native import native_stderr_off
from tagger.sound.features import FeatureSettings, FloatArray


@dataclass(frozen=True)
class Prediction:
    """What a network heard in one track: plain values.

    Attributes
    ----------
    probabilities : dict of str to float
        Calibrated, averaged over the slices, in the order of the model's genres.
    slice_probabilities : bytes
        uint8 (n_slices, n_genres), in 255ths; before calibration.
    embedding : bytes
        float16, averaged over the slices.
    """

    probabilities: dict[str, float]
    slice_probabilities: bytes
    embedding: bytes


class Classifier:
    """A loaded network: one interpreter with one thread, for one process.

    Raises
    ------
    BundleError
        If the network can't be loaded or does not fit its description.
    MissingExtraError
        If no LiteRT runtime is installed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        interpreter_class = _interpreter_class()
        try:
            interpreter = interpreter_class(model_path=str(bundle.network_path), num_threads=1)
            self._run = interpreter.get_signature_runner()
            [(self._input, details)] = self._run.get_input_details().items()
            outputs = self._run.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"model {bundle.folder}: the network can't be loaded") from error
        expected = bundle.features.input_shape
        if tuple(details["shape"][1:]) != expected or set(outputs) != {
            "probabilities",
            "embedding",
        }:
            raise BundleError(f"model {bundle.folder}: the network is not of the shape described")
        with native_stderr_off():  # the runtime greets ("Created … delegate")
            self._run(**{self._input: np.zeros((bundle.slice_count, *expected), np.float32)})

    @property
    def settings(self) -> FeatureSettings:
        """What the network hears."""
        return self.bundle.features

    def slice_outputs(self, log_mel_db: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Run the network on slices.

        Parameters
        ----------
        log_mel_db : float32 (n_slices, frames, 128)
            dB re 1.0, as ``slices.log_mel_slices`` gives it.

        Returns
        -------
        probabilities : float32 (n_slices, n_genres)
        embedding : float32 (n_slices, n_dimensions)
        """
        outputs = self._run(**{self._input: self.settings.network_input(log_mel_db)})
        return outputs["probabilities"], outputs["embedding"]

    def predict(self, log_mel_db: FloatArray) -> Prediction:
        """Classify one track from its slices; see ``slice_outputs`` for the input."""
        slice_probabilities, embedding = self.slice_outputs(log_mel_db)
        track = calibrate(slice_probabilities.mean(axis=0), self.bundle.temperature)
        return Prediction(
            dict(zip(self.bundle.genres, map(float, track), strict=True)),
            np.round(slice_probabilities * 255).astype(np.uint8).tobytes(),
            embedding.mean(axis=0).astype(np.float16).tobytes(),
        )


def calibrate(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return probabilities (..., n_genres) with their logarithms divided by a temperature.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, applied to the
    track's average instead of one network's logits.
    """
    scaled = np.log(np.maximum(probabilities, 1e-9)) / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    calibrated: FloatArray = (scaled / scaled.sum(axis=-1, keepdims=True)).astype(np.float32)
    return calibrated


def _interpreter_class() -> Any:
    """Return LiteRT's interpreter, or TensorFlow's copy of it where LiteRT has no wheel."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tensorflow.lite import Interpreter
        except ImportError as error:
            raise MissingExtraError(
                "no LiteRT runtime: install ai-edge-litert, or tensorflow where it has no wheel"
            ) from error
    return Interpreter
