"""Any container -> windows of a mono float32 waveform: the only place that knows a decoder.

PyAV (FFmpeg) opens nearly everything; what it can't open is offered to soundfile. Windows are
reached by seeking, and only they are decoded, so a 90-minute mix costs what a song costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tagger.errors import AudioError
from tagger.sound.features import SAMPLE_RATE_HZ, FeatureSettings, FloatArray
from tagger.sound.remote import open_bytes
from tagger.sound.slices import SLICE_COUNT, Window, slice_starts, slice_window
from tagger.sound.sources import AudioInfo, Source, open_source

# Windows nearer than this are decoded in one go: a seek costs about as much as a second of audio.
SEEK_GAP_SECONDS = 1.0

# A window that lacks more than this at the end of its track does not count as heard.
TOLERANCE_SECONDS = 0.25

# A file that lacks more than this of what it states is truncated.
SHORTFALL_SECONDS = 0.5

# Files of floats may go beyond full scale (1.0), but what is 60 dB beyond it is no sound.
MAX_SAMPLE = 1_000.0


@dataclass(frozen=True)
class Decoded:
    """The windows of one file.

    Attributes
    ----------
    info : AudioInfo
        With the duration that was found true.
    windows : list of Window
        The windows that were heard.
    waveforms : float32 (n_windows, window samples)
        Mono, 22,050 Hz, full scale at 1.0; zeros where a window reaches past the track.
    note : str or None
        What was wrong with the file although it could be heard, such as ``truncated``.
    """

    info: AudioInfo
    windows: list[Window]
    waveforms: FloatArray
    note: str | None = None


def hear(path: str, settings: FeatureSettings, slice_count: int = SLICE_COUNT) -> Decoded:
    """Decode the slices of a file: what scanning and training both hear of it.

    Raises
    ------
    AudioError
        If nothing can be heard; the message is the reason.
    """
    refuse_other_files(path)
    with open_source(path) as source:
        return decode_source(source, settings, slice_count)


def decode_source(source: Source, settings: FeatureSettings, slice_count: int) -> Decoded:
    """Decode the slices of an open file; see ``hear``."""
    stated_seconds = source.info.duration_seconds
    decoded = _decode(source, settings, slice_count, stated_seconds)
    if decoded is not None:
        return decoded
    real_seconds = source.measure_seconds()
    if real_seconds > 0:
        decoded = _decode(source, settings, slice_count, real_seconds, needs_all=False)
    if real_seconds <= 0 or decoded is None:
        raise AudioError("no audio could be decoded from it")
    if real_seconds < stated_seconds - SHORTFALL_SECONDS:
        return replace(decoded, note=truncation(real_seconds, stated_seconds))
    return decoded


def truncation(real_seconds: float, stated_seconds: float) -> str:
    """Return the note on a file that ends before it should."""
    return f"truncated after {real_seconds:.0f} s of {stated_seconds:.0f} s"


def _decode(
    source: Source,
    settings: FeatureSettings,
    slice_count: int,
    seconds: float,
    *,
    needs_all: bool = True,
) -> Decoded | None:
    """Decode the slices of a track of ``seconds``; None if they could not be heard.

    With ``needs_all`` the first that is missing ends it: the track may be shorter than it says.
    """
    info = replace(source.info, duration_seconds=seconds)
    n_samples = round(seconds * SAMPLE_RATE_HZ)
    starts = slice_starts(n_samples, settings, slice_count)
    windows = [slice_window(start, settings) for start in starts]
    heard: list[tuple[Window, FloatArray]] = []
    for group in _group(windows):
        stretch = _decode_stretch(
            source, group[0].start_samples, min(group[-1].stop_samples, n_samples)
        )
        if needs_all and not all(stretch.covers(each, n_samples) for each in group):
            return None
        heard += [(each, _cut(stretch, each)) for each in group if stretch.covers(each, n_samples)]
    if not heard:
        return None
    note = None
    if len(heard) < len(windows):
        note = f"only {len(heard)} of {len(windows)} slices could be decoded"
    waveforms = np.stack([waveform for _, waveform in heard])
    return Decoded(info, [window for window, _ in heard], waveforms, note)


def _group(windows: list[Window]) -> list[list[Window]]:
    """Group windows so that those near one another are decoded in one go."""
    gap_samples = SEEK_GAP_SECONDS * SAMPLE_RATE_HZ
    groups = [[window] for window in windows[:1]]
    for before, window in pairwise(windows):
        if window.start_samples - before.stop_samples < gap_samples:
            groups[-1].append(window)
        else:
            groups.append([window])
    return groups


@dataclass(frozen=True)
class _Stretch:
    """Decoded samples at 22,050 Hz; those before ``heard_from`` are only there for the clock."""

    first: int
    heard_from: int
    waveform: FloatArray

    def covers(self, window: Window, n_samples: int) -> bool:
        """Tell whether what a window has of a track of ``n_samples`` was heard, or nearly."""
        start, stop = max(window.start_samples, 0), min(window.stop_samples, n_samples)
        heard_from, heard_to = max(self.heard_from, start), self.first + len(self.waveform)
        missing = heard_from - start + max(0, stop - heard_to)
        return heard_from < heard_to and missing < TOLERANCE_SECONDS * SAMPLE_RATE_HZ


def _decode_stretch(source: Source, start: int, stop: int) -> _Stretch:
    """Decode a stretch given in samples at 22,050 Hz.

    The file's own samples are read from a position that falls on a whole output sample, so that
    a stretch is resampled to the same values wherever it begins.
    """
    import soxr

    rate_hz = source.info.sample_rate_hz
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    block_in, block_out = rate_hz // common, SAMPLE_RATE_HZ // common
    first_block = max(0, start) // block_out
    own_start, own_stop = first_block * block_in, -(-stop * block_in // block_out)
    position, samples = source.read(own_start, own_stop)
    late = max(0, position - own_start)
    samples = _sane(samples[max(0, own_start - position) : own_stop - position])
    if late and len(samples):  # a seek that lands late: keep the clock right
        samples = np.pad(samples, (late, 0))
    if rate_hz != SAMPLE_RATE_HZ and len(samples):
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    first = first_block * block_out
    return _Stretch(first, first + late * block_out // block_in, samples)


def _sane(samples: FloatArray) -> FloatArray:
    """Return samples with silence for what is no number or no sound (files of floats hold it)."""
    if np.abs(samples).max(initial=0.0) <= MAX_SAMPLE:  # false for NaN
        return samples
    return np.where(np.abs(samples) <= MAX_SAMPLE, samples, np.float32(0.0))


def _cut(stretch: _Stretch, window: Window) -> FloatArray:
    """Cut a window out of a stretch, with zeros outside it."""
    first, waveform = stretch.first, stretch.waveform
    result = np.zeros(window.stop_samples - window.start_samples, np.float32)
    start = max(window.start_samples, first)
    part = waveform[start - first : max(0, window.stop_samples - first)]
    offset = start - window.start_samples
    result[offset : offset + len(part)] = part
    return result


HEAD_BYTES = 4_096

# What people's folders hold under an audio file's name; FFmpeg hears noise in some of these.
_OTHER_FILES = {
    b"\x7fELF": "ELF program",
    b"MZ": "Windows program",
    b"PK\x03\x04": "ZIP archive",
    b"%PDF": "PDF document",
    b"\x89PNG": "PNG picture",
    b"\xff\xd8\xff": "JPEG picture",
    b"GIF8": "GIF picture",
    b"SQLite format 3": "SQLite database",
    b"Rar!": "RAR archive",
    b"7z\xbc\xaf": "7-Zip archive",
    b"\x1f\x8b": "gzip file",
    b"<!DOCTYPE": "web page",
    b"<html": "web page",
    b"#!": "script",
    b"#EXTM3U": "playlist",
    b"\x00\x05\x16\x07": "AppleDouble file",
}


def refuse_other_files(path: str) -> None:
    """Raise AudioError for an empty file or one that plainly is something else."""
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise AudioError(f"can't be read: {error.strerror or error}") from error
    if not head:
        raise AudioError("empty file")
    if not head.strip(b"\0"):  # a download that never came; FFmpeg would look for sound to its end
        raise AudioError("not an audio file: nothing but zeros")
    for magic, kind in _OTHER_FILES.items():
        if head.startswith(magic):
            raise AudioError(f"not an audio file: {kind}")
