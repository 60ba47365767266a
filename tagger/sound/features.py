"""Waveform -> log-mel -> MFCC: the one definition that training and scanning share.

The numbers are librosa's defaults, which the article uses too: ``librosa.feature.melspectrogram``
followed by ``librosa.power_to_db`` and an orthonormal DCT-II. They are computed here without
librosa because its first call costs seconds in every worker, and slice by slice it is ten times
slower. The tests hold this module to librosa within 1e-3 dB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.errors import BundleError
from tagger.sound import HOP_LENGTHS

SAMPLE_RATE_HZ = 22_050
N_FFT = 2_048
HOP_LENGTH = HOP_LENGTHS[0]  # 46 ms: half the work of the article's 23 ms, and as good
N_MELS = 128
N_MFCC = 13
TOP_DB = 80.0
AMIN = 1e-10  # power_to_db's floor
BLOCK_BANDS = 32  # mel bands multiplied at once

# A slice of 2.9 s, in whole hops: 62 frames at hop 1024 and 124 at hop 512.
SLICE_SECONDS = 2.9

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FeatureSettings:
    """What a network hears: stored in its bundle, used alike by training and scanning.

    Attributes
    ----------
    kind : {"log_mel", "mfcc"}
        What one frame of the network's input is: ``n_mels`` dB values or ``n_mfcc`` coefficients.
    hop_length : int
        Samples between frames.
    """

    kind: str = "log_mel"
    hop_length: int = HOP_LENGTH
    sample_rate_hz: int = SAMPLE_RATE_HZ
    n_fft: int = N_FFT
    n_mels: int = N_MELS
    n_mfcc: int = N_MFCC

    def __post_init__(self) -> None:
        known = FeatureSettings.__dataclass_fields__
        fixed = ("sample_rate_hz", "n_fft", "n_mels")
        if any(getattr(self, name) != known[name].default for name in fixed):
            raise BundleError(f"these feature settings are not supported: {self}")
        if self.kind not in ("log_mel", "mfcc") or self.hop_length not in HOP_LENGTHS:
            raise BundleError(f"these feature settings are not supported: {self}")

    @property
    def slice_frames(self) -> int:
        """Frames in one slice: 62 at hop 1024."""
        return int(SLICE_SECONDS * self.sample_rate_hz / self.hop_length)

    @property
    def slice_samples(self) -> int:
        """Samples under one slice's frames, first hop to last: 63,488 (2.88 s) at hop 1024."""
        return self.slice_frames * self.hop_length

    @property
    def input_shape(self) -> tuple[int, int]:
        """Frames and values per frame of one slice: (62, 128) or (62, 13) at hop 1024."""
        return self.slice_frames, self.n_mels if self.kind == "log_mel" else self.n_mfcc

    def network_input(self, log_mel_db: FloatArray) -> FloatArray:
        """Return what the network takes in, from log-mel slices (n_slices, frames, 128) in dB."""
        return log_mel_db if self.kind == "log_mel" else mfcc(log_mel_db, self.n_mfcc)


def settings_from_json(values: dict[str, Any]) -> FeatureSettings:
    """Return the settings stored in a bundle or an archive.

    Raises
    ------
    BundleError
        If a field is unknown or has a value that this version can't compute.
    """
    try:
        return FeatureSettings(**values)
    except TypeError as error:
        raise BundleError(f"unknown feature settings: {error}") from error


@lru_cache(maxsize=1)
def mel_filter_bank() -> FloatArray:
    """Return the Slaney mel filter bank, float32 (n_fft // 2 + 1, n_mels) = (1025, 128).

    Triangles on Slaney's scale (linear below 1 kHz, logarithmic above), each scaled to unit
    area: ``librosa.filters.mel(sr=22050, n_fft=2048, n_mels=128)``, transposed.

    Source: M. Slaney, "Auditory Toolbox", Interval Research technical report 1998-010.
    """
    linear_hz_per_mel, break_hz = 200.0 / 3, 1000.0
    break_mel, log_step = break_hz / linear_hz_per_mel, np.log(6.4) / 27.0
    top_mel = break_mel + np.log(SAMPLE_RATE_HZ / 2 / break_hz) / log_step
    mels = np.linspace(0.0, top_mel, N_MELS + 2)
    edges_hz = np.where(
        mels < break_mel,
        mels * linear_hz_per_mel,
        break_hz * np.exp(log_step * (mels - break_mel)),
    )
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))).astype(np.float32)


@lru_cache(maxsize=1)
def _filter_bank_blocks() -> list[tuple[slice, slice, FloatArray]]:
    """Return the filter bank in blocks of bands: (bins, bands, weights) where it is not zero.

    The low bands are narrow, so three quarters of the matrix need not be multiplied.
    """
    bank = mel_filter_bank()
    blocks = []
    for first in range(0, N_MELS, BLOCK_BANDS):
        bands = slice(first, first + BLOCK_BANDS)
        used = np.flatnonzero(bank[:, bands].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        blocks.append((bins, bands, np.ascontiguousarray(bank[bins, bands])))
    return blocks


@lru_cache(maxsize=1)
def _hann_window() -> FloatArray:
    """Return the periodic Hann window, float32 (n_fft,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)


def mel_power(padded: FloatArray, hop_length: int) -> FloatArray:
    """Return the mel power of every frame that fits into already padded waveforms.

    Parameters
    ----------
    padded : float32 (..., n_samples)
        Mono waveforms at 22,050 Hz, each with its n_fft // 2 samples of context on both sides.
    hop_length : int
        Samples between frames.

    Returns
    -------
    float32 (..., 1 + (n_samples - n_fft) // hop_length, 128)
    """
    n_frames = 1 + (padded.shape[-1] - N_FFT) // hop_length
    mel = np.empty((*padded.shape[:-1], n_frames, N_MELS), np.float32)
    for index in np.ndindex(padded.shape[:-1]):  # a slice at a time stays in the cache
        power = power_spectrum(padded[index], hop_length)
        for bins, bands, weights in _filter_bank_blocks():
            mel[index][:, bands] = power[:, bins] @ weights
    return mel


def power_spectrum(padded: FloatArray, hop_length: int) -> FloatArray:
    """Return the power of every frame by frequency, float32 (..., n_frames, 1025).

    The same frames as ``mel_power``'s, of the same waveforms.
    """
    from scipy import fft

    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=-1)[..., ::hop_length, :]
    spectrum = fft.rfft(frames * _hann_window(), axis=-1)
    power: FloatArray = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    return power


def power_to_db(power: FloatArray) -> FloatArray:
    """Return power in dB re 1.0, clipped to 80 dB below the loudest value of the whole array."""
    db = 10.0 * np.log10(np.maximum(power, np.float32(AMIN)))
    clipped: FloatArray = np.maximum(db, db.max(initial=-np.inf) - np.float32(TOP_DB))
    return clipped.astype(np.float32, copy=False)


def log_mel(waveform: FloatArray, hop_length: int = HOP_LENGTH) -> FloatArray:
    """Return the log-mel spectrogram of a whole clip, as librosa computes it.

    Parameters
    ----------
    waveform : float32 (n_samples,)
        Mono, 22,050 Hz, full scale at 1.0.
    hop_length : int
        Samples between frames.

    Returns
    -------
    float32 (1 + n_samples // hop_length, 128)
        dB re 1.0, at most 80 dB below the clip's loudest value.
    """
    return power_to_db(mel_power(np.pad(waveform, N_FFT // 2), hop_length))


@lru_cache(maxsize=4)
def dct_matrix(n_mfcc: int) -> FloatArray:
    """Return the first rows of the orthonormal DCT-II, transposed: float32 (n_mels, n_mfcc)."""
    band, coefficient = np.arange(N_MELS)[:, None] + 0.5, np.arange(n_mfcc)[None, :]
    matrix = np.sqrt(2.0 / N_MELS) * np.cos(np.pi * coefficient * band / N_MELS)
    matrix[:, 0] = np.sqrt(1.0 / N_MELS)
    return np.asarray(matrix, np.float32)


def mfcc(log_mel_db: FloatArray, n_mfcc: int = N_MFCC) -> FloatArray:
    """Return mel-frequency cepstral coefficients, float32 (..., n_mfcc), of dB (..., 128).

    Source: Davis and Mermelstein (1980), in librosa's form: orthonormal DCT-II, no liftering.
    """
    coefficients: FloatArray = log_mel_db @ dct_matrix(n_mfcc)
    return coefficients
