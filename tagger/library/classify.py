"""What one worker does with one file, start to end."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from tagger.errors import AudioError
from tagger.library.identity import fingerprint
from tagger.sound import remote
from tagger.sound.decode import decode_source, refuse_other_files, truncation
from tagger.sound.regions import Layout, read_layout
from tagger.sound.remote import is_url, open_bytes
from tagger.sound.slices import SLICE_COUNT, is_silent, log_mel_slices
from tagger.sound.sources import open_source

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier
    from tagger.sound.decode import Decoded
    from tagger.sound.features import FeatureSettings
    from tagger.sound.sources import AudioInfo, Source

# Ogg and Matroska: they say where their sound lies all over the file.
_PAGED = (b"OggS", b"\x1aE\xdf\xa3")


@dataclass(frozen=True)
class TrackResult:
    """What became of one file: plain values only, so that it crosses any process boundary.

    Attributes
    ----------
    status : {"classified", "same", "skipped", "failed"}
        ``same``: the audio is what it was when it was last heard; see ``classify_file``.
    reason : str or None
        Why it was not classified, or what was odd although it was.
    probabilities : dict of str to float
        Genre to calibrated probability, averaged over the slices.
    slice_seconds : list of float
        Where each slice starts.
    slice_probabilities : bytes
        uint8 (n_slices, n_genres), in 255ths.
    embedding : bytes
        float16, averaged over the slices.
    """

    path: str
    status: str
    size: int = 0
    mtime_ns: int = 0
    reason: str | None = None
    identity: str | None = None
    duration_seconds: float | None = None
    container: str | None = None
    codec: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    date: str | None = None
    existing_genre: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    slice_seconds: list[float] = field(default_factory=list)
    slice_probabilities: bytes = b""
    embedding: bytes = b""


def classify_file(
    path: str,
    classifier: Classifier,
    slice_count: int = SLICE_COUNT,
    known_identity: str | None = None,
) -> TrackResult:
    """Decode a file, hear it, and return what became of it; a failure is a value too.

    If the file's audio is still that of ``known_identity``, only its tags are read again and the
    status is ``same``.
    """
    size, mtime_ns = 0, 0
    try:
        size, mtime_ns = _regular_file(path)
        result = _hear_file(path, classifier, slice_count, known_identity)
        if trouble := remote.trouble(path):
            raise AudioError(trouble)
        if _regular_file(path) != (size, mtime_ns):
            raise AudioError("changed while it was read; scan again")
    except AudioError as error:
        trouble = remote.trouble(path)
        if trouble is not None:
            size = mtime_ns = 0  # no fault of the file: the next scan tries again
        return TrackResult(path, "failed", size, mtime_ns, reason=trouble or str(error))
    return replace(result, size=size, mtime_ns=mtime_ns)


def _regular_file(path: str) -> tuple[int, int]:
    """Return a file's size and mtime; nothing but a regular file may be opened."""
    if is_url(path):
        found = remote.look(path)
        return found.size, found.mtime_ns
    try:
        state = os.stat(path)  # noqa: PTH116 - a str may hold undecodable bytes
    except OSError as error:
        raise AudioError(f"can't be read: {error.strerror}") from error
    if not stat.S_ISREG(state.st_mode):
        raise AudioError("not a regular file")
    return state.st_size, state.st_mtime_ns


def _hear_file(
    path: str, classifier: Classifier, slice_count: int, known_identity: str | None
) -> TrackResult:
    refuse_other_files(path)
    try:
        with open_bytes(path) as file:
            layout = _layout(path, file)
            with _opened(path, layout) as source:
                identity = _identity(path, file, layout, source.info)
                if identity is not None and identity == known_identity:
                    return TrackResult(path, "same", identity=identity, **_facts(source.info))
                decoded = decode_source(source, classifier.settings, slice_count)
    except OSError as error:
        raise AudioError(f"can't be read: {error.strerror or error}") from error
    facts = {"identity": identity, **_facts(decoded.info)}
    if is_silent(decoded.waveforms):
        return TrackResult(path, "skipped", reason="silence", **facts)
    prediction = classifier.predict(log_mel_slices(decoded.waveforms, classifier.settings))
    return TrackResult(
        path,
        "classified",
        reason=decoded.note or _lack(layout, decoded) or _shortness(decoded, classifier.settings),
        probabilities=prediction.probabilities,
        slice_seconds=[window.start_seconds for window in decoded.windows],
        slice_probabilities=prediction.slice_probabilities,
        embedding=prediction.embedding,
        **facts,
    )


def _layout(path: str, file: BinaryIO) -> Layout:
    """Return where the sound lies; of a remote file only if not all of it is fetched for that."""
    if is_url(path) and file.read(4) in _PAGED:
        return Layout([])
    return read_layout(file)


def _identity(path: str, file: BinaryIO, layout: Layout, info: AudioInfo) -> str | None:
    """Return the identity of the audio, or what stands for it where reading all costs too much."""
    if is_url(path) and layout.md5 is None:
        return remote.version_identity(path)
    return fingerprint(file, layout, info)


def _opened(path: str, layout: Layout) -> Source:
    try:
        return open_source(path)
    except AudioError as error:
        raise AudioError(layout.damage or str(error)) from error


def _lack(layout: Layout, decoded: Decoded) -> str | None:
    """Return how much of a file is missing, where its header tells but its decoder does not."""
    if layout.stated_bytes and layout.size and layout.stated_bytes > layout.size * 1.001:
        seconds = decoded.info.duration_seconds
        return truncation(seconds, seconds * layout.stated_bytes / layout.size)
    return layout.damage


def _shortness(decoded: Decoded, settings: FeatureSettings) -> str | None:
    seconds = decoded.info.duration_seconds
    if seconds * settings.sample_rate_hz >= settings.slice_samples:
        return None
    return f"only {seconds:.1f} s long: less than one slice, padded with silence"


def _facts(info: AudioInfo) -> dict[str, Any]:
    """Return what the file says of itself, as TrackResult's fields."""
    names = {"title": "title", "artist": "artist", "album": "album", "date": "date",
             "album_artist": "album_artist", "existing_genre": "genre"}  # fmt: skip
    tags = {field: info.tags.get(tag, "").strip() or None for field, tag in names.items()}
    return {
        "duration_seconds": round(info.duration_seconds, 3),
        "container": info.container,
        "codec": info.codec,
        "sample_rate_hz": info.sample_rate_hz,
        "channels": info.channels,
        **tags,
    }
