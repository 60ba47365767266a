"""A whole track at a glance, for pictures: decoded in pieces, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tagger.errors import AudioError
from tagger.sound.decode import refuse_other_files
from tagger.sound.features import (
    HOP_LENGTH,
    N_FFT,
    SAMPLE_RATE_HZ,
    FloatArray,
    power_spectrum,
)
from tagger.sound.sources import AudioInfo, Source, open_source

PIECE_SECONDS = 30.0

# As many as a picture has room for; a longer track's frames are averaged into these.
MAX_COLUMNS = 1_200


@dataclass(frozen=True)
class TrackView:
    """A track in columns of equal length, averaged where it has more frames than columns.

    Attributes
    ----------
    info : AudioInfo
    column_samples : int
        Samples at 22,050 Hz from one column to the next.
    n_samples : int
        The track's length at 22,050 Hz.
    peaks : float32 (n_columns, 2)
        Lowest and highest sample under each column, full scale at 1.0.
    power : float32 (n_columns, 1025)
        By frequency, 0 Hz to 11,025 Hz.
    """

    info: AudioInfo
    column_samples: int
    n_samples: int
    peaks: FloatArray
    power: FloatArray


def view_track(path: str, max_columns: int = MAX_COLUMNS) -> TrackView:
    """Decode a whole track and keep what a picture shows of it.

    Raises
    ------
    AudioError
        If nothing can be heard; the message is the reason.
    """
    refuse_other_files(path)
    with open_source(path) as source:
        frames = source.info.duration_seconds * SAMPLE_RATE_HZ / HOP_LENGTH
        columns = _Columns(max(1, int(np.ceil(frames / max_columns))))
        for piece in _pieces(source):
            columns.add(piece)
        if not columns.n_samples:
            raise AudioError("no audio could be decoded from it")
        peaks, power = columns.finish()
        return TrackView(source.info, columns.samples, columns.n_samples, peaks, power)


def _pieces(source: Source) -> Iterator[FloatArray]:
    """Yield a track's waveform, mono at 22,050 Hz, to where it ends or can't be decoded."""
    import soxr

    rate_hz = source.info.sample_rate_hz
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    length = round(PIECE_SECONDS * rate_hz)
    end = round(source.info.duration_seconds * rate_hz)
    start = 0
    while start < end:
        stop = min(start + length, end)
        position, samples = source.read(start, stop)
        samples = samples[max(0, start - position) :]
        if position > start:  # a gap, or a seek that lands late: keep the clock right
            samples = np.pad(samples, (min(position, stop) - start, 0))
        samples = np.nan_to_num(samples[: stop - start], posinf=0.0, neginf=0.0)
        start = stop if len(samples) == stop - start else end
        yield resampler.resample_chunk(samples, last=start >= end)


class _Columns:
    """Collects a waveform, piece by piece, into columns of ``pool`` frames each."""

    def __init__(self, pool: int) -> None:
        self._pool = pool
        self.samples = pool * HOP_LENGTH
        self.n_samples = 0
        self._peaks: list[FloatArray] = []
        self._power: list[FloatArray] = []
        # A centred frame reaches half an FFT to both sides of where it is.
        self._rest = np.zeros(N_FFT // 2, np.float32)

    def add(self, piece: FloatArray) -> None:
        self.n_samples += len(piece)
        self._take(np.concatenate([self._rest, piece]))

    def finish(self) -> tuple[FloatArray, FloatArray]:
        """Return peaks and power; the last column may reach past the track's end."""
        missing = -self.n_samples % self.samples
        # The last frame's half behind its hop: nothing where a hop is half an FFT, as here.
        self._take(np.pad(self._rest, (0, missing + N_FFT // 2 - HOP_LENGTH)))
        return np.concatenate(self._peaks), np.concatenate(self._power)

    def _take(self, waveform: FloatArray) -> None:
        frames = 1 + (len(waveform) - N_FFT) // HOP_LENGTH
        columns = max(0, frames // self._pool)
        stop = columns * self.samples
        inside = waveform[N_FFT // 2 : N_FFT // 2 + stop].reshape(columns, self.samples)
        self._peaks.append(np.stack([inside.min(axis=1), inside.max(axis=1)], axis=1))
        if columns:
            power = power_spectrum(waveform[: stop - HOP_LENGTH + N_FFT], HOP_LENGTH)
            self._power.append(power.reshape(columns, self._pool, -1).mean(axis=1))
        self._rest = waveform[stop:]
