"""MusiCNN on our log-mel, as a Keras model: what the default network starts from.

The network is MSD_musicnn (J. Pons and X. Serra, "musicnn: pre-trained convolutional neural
networks for music audio tagging", 2019; ISC licence), distilled to a hop of 46 ms. Of its 714
front-end channels few are alive; the others, whose kernels are about 1e-30, give a constant, and
``prune`` removes them.

In the front end bias, ReLU and batch norm come after the maximum over frequency, on a thirtieth of
the numbers or less. That gives the same because all three are monotonic; where a batch norm's
scale is negative, the kernel's sign is turned before the maximum and back after it (the layers
named ``gate``). Batch norms are frozen: each is a scale and a shift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.sound.features import N_MELS, FeatureSettings

Arrays = Mapping[str, npt.NDArray[np.float32]]

SLICE_FRAMES = FeatureSettings().slice_frames  # 62
N_BANDS = 96  # the bands MusiCNN was trained on: 0-8 kHz at 16 kHz
POWER_RATIO = 11.6  # power of our 2048-point STFT over MusiCNN's 512-point STFT
LOG_GAIN = 1e4  # MusiCNN's log10(1 + 10000 * power)
BATCH_NORM_EPSILON = 1e-3
FRONT_LAYERS = 5  # conv0 and conv1 timbral; conv2..conv4 temporal
MID_LAYERS = 3  # conv5..conv7: 1-D over time, residual
PRUNE_BELOW = 1e-2  # a channel with no weight above this gives next to a constant


def build_musicnn(arrays: Arrays, n_frames: int = SLICE_FRAMES) -> Any:
    """Return the network with the sizes and weights of ``arrays``.

    Without a ``bands.kernel`` among them it is a teacher for ``training/distil.py``, which hears
    MusiCNN's own bands (n, n_frames, 96) instead of our log-mel.

    Parameters
    ----------
    arrays : mapping of str to float32 array
        Named ``layer.weight``, as ``from_original`` and ``prune`` give them.

    Returns
    -------
    keras.Model
        From log-mel slices (n, 62, 128), dB re 1.0, to ``pooled`` (n, 2 * channels), ``embedding``
        (n, 200) and ``tags`` (n, 50), the probabilities of MSD_musicnn's tags.
    """
    import keras
    from keras import layers, ops

    student = "bands.kernel" in arrays
    inputs = keras.Input((n_frames, N_MELS if student else N_BANDS), name="slices")
    bands = _bands(inputs) if student else inputs
    image = _affine("bn0")(layers.Reshape((n_frames, N_BANDS, 1))(bands))
    front = layers.Concatenate()([_front(arrays, index, image) for index in range(FRONT_LAYERS)])
    stages = [front]
    hidden = None
    for index in range(FRONT_LAYERS, FRONT_LAYERS + MID_LAYERS):
        kernel = arrays[f"conv{index}.kernel"]
        convolution = layers.Conv1D(
            kernel.shape[-1], kernel.shape[0], padding="same", activation="relu",
            name=f"conv{index}",
        )  # fmt: skip
        step = _affine(f"bn{index + 1}")(convolution(front if hidden is None else hidden))
        hidden = step if hidden is None else layers.Add()([hidden, step])
        stages.append(hidden)
    stacked = layers.Concatenate()(stages)
    both = ops.stack([ops.max(stacked, axis=1), ops.mean(stacked, axis=1)], axis=-1)
    pooled = _affine("bn9")(layers.Flatten()(both))
    units = arrays["dense.kernel"].shape[-1]
    dense = layers.Dense(units, activation="relu", name="dense")(pooled)
    embedding = _affine("bn10")(dense)
    n_tags = arrays["dense_1.kernel"].shape[-1]
    tags = layers.Dense(n_tags, activation="sigmoid", name="dense_1")(embedding)
    model = keras.Model(inputs, {"pooled": pooled, "embedding": embedding, "tags": tags})
    _set_weights(model, arrays)
    return model


def _bands(inputs: Any) -> Any:
    """Return MusiCNN's bands (n, frames, 96) of log-mel slices in dB (n, frames, 128).

    ``log10(1 + 1e4 * 10^(x / 10) / 11.6)``, where x is the dB interpolated at the band centres.
    """
    from keras import layers, ops

    decibels = layers.Dense(N_BANDS, use_bias=False, name="bands")(inputs)
    power = ops.exp(decibels * float(np.log(10.0) / 10.0))
    return ops.log(1.0 + power * (LOG_GAIN / POWER_RATIO)) * float(1.0 / np.log(10.0))


def _front(arrays: Arrays, index: int, image: Any) -> Any:
    """Return one front-end layer's channels over time: (n, frames, channels)."""
    from keras import layers, ops

    kernel = arrays[f"conv{index}.kernel"]
    timbral = kernel.shape[1] > 1
    padded = layers.ZeroPadding2D(((kernel.shape[0] // 2,) * 2, (0, 0)))(image)
    channels = layers.Conv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        padding="valid" if timbral else "same",
        use_bias=False,
        name=f"conv{index}",
    )(padded if timbral else image)
    loudest = _affine(f"gate{index}")(ops.max(channels, axis=2))
    return _affine(f"bn{index + 1}")(ops.relu(loudest))


def _affine(name: str) -> Callable[[Any], Any]:
    """Return a layer ``x * scale + shift`` over the last axis: a batch norm, statistics frozen."""
    from keras import layers

    norm = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=name)
    return lambda values: norm(values, training=False)


# What Keras calls a batch norm's weights, by our names; its statistics have no say.
_NORM_WEIGHTS = {"gamma": "scale", "beta": "shift"}
_NORM_STATISTICS = {"moving_mean": 0.0, "moving_variance": 1.0 - BATCH_NORM_EPSILON}


def _set_weights(model: Any, arrays: Arrays) -> None:
    """Set every layer's weights from the arrays; all must fit."""
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in _NORM_STATISTICS:
                weight.assign(np.full(weight.shape, _NORM_STATISTICS[weight.name], np.float32))
            else:
                name = _NORM_WEIGHTS.get(weight.name, weight.name)
                weight.assign(arrays[f"{layer.name}.{name}"])


def get_weights(model: Any) -> dict[str, npt.NDArray[np.float32]]:
    """Return a network's weights as the arrays that ``build_musicnn`` takes."""
    return {
        f"{layer.name}.{_NORM_WEIGHTS.get(weight.name, weight.name)}": np.asarray(weight)
        for layer in model.layers
        for weight in layer.weights
        if weight.name not in _NORM_STATISTICS
    }


def from_published(arrays: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights in the published form (each batch norm with its four) in ours, none left out.

    A front-end bias becomes the shift of a ``gate``, whose scale is the batch norm's sign.
    """
    ours = {name: array for name, array in arrays.items() if not name.startswith("bn")}
    for name in sorted({name.split(".")[0] for name in arrays if name.startswith("bn")}):
        deviation = np.sqrt(arrays[f"{name}.moving_variance"] + BATCH_NORM_EPSILON)
        scale = arrays[f"{name}.gamma"] / deviation
        ours[f"{name}.scale"] = scale
        ours[f"{name}.shift"] = arrays[f"{name}.beta"] - arrays[f"{name}.moving_mean"] * scale
    for index in range(FRONT_LAYERS):
        sign = np.where(ours[f"bn{index + 1}.scale"] < 0, -1.0, 1.0).astype(np.float32)
        ours[f"conv{index}.kernel"] = ours[f"conv{index}.kernel"] * sign
        ours[f"gate{index}.scale"] = sign
        ours[f"gate{index}.shift"] = ours.pop(f"conv{index}.bias")
    return ours


def prune(arrays: Arrays, below: float = PRUNE_BELOW) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights without the front-end channels that are the same whatever the input.

    What those give goes into the biases of the layers that hear them; at the edges of a slice,
    where ``conv5`` pads with zeros, that bias is a tap or two off.
    """
    pruned: dict[str, npt.NDArray[Any]] = dict(arrays)
    alive, constants = [], []
    for index in range(FRONT_LAYERS):
        kernel = arrays[f"conv{index}.kernel"]
        loudest = np.maximum(arrays[f"gate{index}.shift"], 0.0)
        norm = f"bn{index + 1}"
        constants.append(loudest * arrays[f"{norm}.scale"] + arrays[f"{norm}.shift"])
        kept = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0) > below
        alive.append(kept)
        pruned[f"conv{index}.kernel"] = kernel[..., kept]
        for name in (f"gate{index}.scale", f"gate{index}.shift", f"{norm}.scale", f"{norm}.shift"):
            pruned[name] = arrays[name][kept]
    keep = np.concatenate(alive)
    dead = np.where(keep, 0.0, np.concatenate(constants))
    kernel = arrays["conv5.kernel"]
    pruned["conv5.kernel"] = kernel[:, keep]
    pruned["conv5.bias"] = arrays["conv5.bias"] + np.einsum("tco,c->o", kernel, dead)
    # Maximum and mean of each channel stand side by side in `pooled`.
    middle = MID_LAYERS * kernel.shape[-1]
    wide_keep = np.repeat(np.append(keep, np.ones(middle, bool)), 2)
    wide_dead = np.repeat(np.append(dead, np.zeros(middle)), 2)
    constant = np.where(wide_keep, 0.0, wide_dead * arrays["bn9.scale"] + arrays["bn9.shift"])
    pruned["dense.bias"] = arrays["dense.bias"] + constant @ arrays["dense.kernel"]
    for name in ("dense.kernel", "bn9.scale", "bn9.shift"):
        pruned[name] = arrays[name][wide_keep]
    return {name: np.asarray(array, np.float32) for name, array in pruned.items()}
