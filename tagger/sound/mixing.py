"""Decoded frames -> one mono float32 waveform."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.sound.features import FloatArray

# FFmpeg's sample formats (a "p" at the end: each channel in a plane of its own).
_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_FULL_SCALE = {"u1": 128.0, "i2": 32_768.0, "i4": 2_147_483_648.0, "i8": 2.0**63}

# Frames are mixed down together: one by one, numpy's overhead costs as much as decoding does.
# No more than this waits for it (8 MiB of float32), however many channels there are.
SAMPLES_AT_ONCE = 2**21


class Mixer:
    """Collects PyAV audio frames and mixes them down.

    The mean of the channels, as librosa does it: FFmpeg's own downmix of floats is 3 dB louder.
    """

    def __init__(self) -> None:
        self._kind: tuple[str, int] = ("", 0)
        self._frames: list[Any] = []
        self._samples = 0
        self._parts: list[FloatArray] = []

    def add(self, frame: Any) -> None:
        """Take a frame; a file may change its format or its channels midway."""
        kind = (frame.format.name, frame.layout.nb_channels)
        if kind != self._kind or self._samples * kind[1] >= SAMPLES_AT_ONCE:
            self._mix()
            self._kind = kind
        self._frames.append(frame)
        self._samples += frame.samples

    def mono(self) -> FloatArray:
        """Return what was collected: float32 (n_samples,), full scale at 1.0."""
        self._mix()
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)

    def _mix(self) -> None:
        if self._frames:
            self._parts.append(_mean_of_channels(self._frames, *self._kind))
        self._frames, self._samples = [], 0


def _mean_of_channels(frames: list[Any], format_name: str, channels: int) -> FloatArray:
    dtype = _DTYPES[format_name.removesuffix("p")]
    if format_name.endswith("p"):
        planes: list[npt.NDArray[Any]] = [
            np.concatenate(
                [np.frombuffer(frame.planes[channel], dtype, frame.samples) for frame in frames]
            )
            for channel in range(channels)
        ]
    else:
        packed = [np.frombuffer(f.planes[0], dtype, f.samples * channels) for f in frames]
        planes = list(np.concatenate(packed).reshape(-1, channels).T)
    mono: FloatArray = planes[0].astype(np.float32)
    for plane in planes[1:]:
        mono += plane
    if dtype == "u1":
        mono -= np.float32(_FULL_SCALE[dtype] * channels)
    mono *= np.float32(1.0 / (channels * _FULL_SCALE.get(dtype, 1.0)))
    return mono
