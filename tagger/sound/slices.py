"""Where slices lie in a track, and turning them into what a network hears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tagger.sound.features import (
    N_FFT,
    SAMPLE_RATE_HZ,
    FeatureSettings,
    FloatArray,
    mel_power,
    power_to_db,
)

SLICE_COUNT = 10  # as the article cuts a 30 s clip

# GTZAN's clips last 30.0 to 30.65 s; up to here slices follow one another from the start.
CLIP_SECONDS = 30.7

# Quieter than the least 16-bit step (-90 dB) over every slice: nothing was played.
SILENCE_PEAK = 1.0 / 32_768

CONTEXT_SAMPLES = N_FFT // 2  # a centred frame reaches this far to both sides


@dataclass(frozen=True)
class Window:
    """A stretch of a track, in samples at 22,050 Hz; it may reach past either end."""

    start_samples: int
    stop_samples: int

    @property
    def start_seconds(self) -> float:
        """Where the slice inside the window starts in the track."""
        return (self.start_samples + CONTEXT_SAMPLES) / SAMPLE_RATE_HZ


def slice_starts(n_samples: int, settings: FeatureSettings, count: int = SLICE_COUNT) -> list[int]:
    """Return the first sample of each slice of a track of ``n_samples``.

    A clip (up to 30.7 s) is cut as the article does: slices follow one another from its start.
    A longer track is divided into ``count`` equal parts with a slice in the middle of each, so
    that the whole track is heard, not just its intro. A short one gets the slices that fit, at
    least one.
    """
    length = settings.slice_samples
    if n_samples <= CLIP_SECONDS * SAMPLE_RATE_HZ or n_samples < count * length:
        fitting = min(count, max(1, n_samples // length))
        return [index * length for index in range(fitting)]
    part = n_samples / count
    return [round((index + 0.5) * part - length / 2) for index in range(count)]


def slice_window(start_samples: int, settings: FeatureSettings) -> Window:
    """Return what must be decoded for a slice: its frames and their context.

    Frames are centred on multiples of the hop, counted from ``start_samples``, so the window
    starts half an FFT earlier: the same frames that ``features.log_mel`` finds in a whole clip.
    """
    reach = (settings.slice_frames - 1) * settings.hop_length
    return Window(start_samples - CONTEXT_SAMPLES, start_samples + reach + CONTEXT_SAMPLES)


def log_mel_slices(waveforms: FloatArray, settings: FeatureSettings) -> FloatArray:
    """Return the log-mel of all slices of one track.

    Parameters
    ----------
    waveforms : float32 (n_slices, window samples)
        What lies under each slice's window; 22,050 Hz mono.
    settings : FeatureSettings

    Returns
    -------
    float32 (n_slices, slice_frames, 128)
        dB re 1.0, at most 80 dB below the loudest value of all slices together.
    """
    return power_to_db(mel_power(waveforms, settings.hop_length))


def is_silent(waveforms: FloatArray) -> bool:
    """Tell whether nothing is to be heard in float32 waveforms of any shape."""
    return float(np.abs(waveforms).max(initial=0.0)) < SILENCE_PEAK
