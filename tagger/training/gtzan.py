"""GTZAN and data sets of its layout: a folder per genre; artist lists; known faults."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagger.engines.processes import Failure, ProcessEngine
from tagger.errors import AudioError, DatasetError
from tagger.sound import HOP_LENGTHS
from tagger.sound.decode import hear
from tagger.sound.features import HOP_LENGTH, FeatureSettings, FloatArray
from tagger.sound.slices import log_mel_slices
from tagger.training.archive import Archive, build_archive

AUDIO_SUFFIXES = frozenset({".wav", ".au", ".flac", ".mp3", ".ogg", ".m4a", ".opus", ".aiff"})

# An artist-index line of Sturm's: "blues.00000.wav ::: John Lee Hooker ::: Boom Boom".
_INDEX_SEPARATOR = ":::"


@dataclass(frozen=True)
class Clip:
    """A labelled file of a data set."""

    path: Path
    genre: str

    @property
    def track(self) -> str:
        """The name that archives and split lists know it by: ``blues.00000``."""
        return self.path.stem


def list_clips(folder: Path) -> list[Clip]:
    """Return the audio files of a folder that has a folder per genre, in order of name.

    Raises
    ------
    DatasetError
        If it does not exist or holds no audio files in sub-folders.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist")
    clips = [
        Clip(path, path.parent.name)
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    ]
    if not clips:
        raise DatasetError(
            f"{folder} holds no audio: it needs a folder per genre with audio files in it"
        )
    return clips


def _clip_features(clip: Clip, hop_length: int) -> FloatArray | str:
    """Return the log-mel (n_frames, 128) of what a scan hears of a clip, or why it has none.

    Slices that follow one another are one stretch; those spread over a long track are joined.
    """
    settings = FeatureSettings(hop_length=hop_length)
    try:
        decoded = hear(os.fspath(clip.path), settings)
    except AudioError as error:
        return str(error)
    slices = log_mel_slices(decoded.waveforms, settings)
    return slices.reshape(-1, slices.shape[-1])


def extract(
    clips: list[Clip],
    *,
    hop_length: int = HOP_LENGTH,
    workers: int = 1,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> tuple[Archive, dict[str, str]]:
    """Hear every clip.

    Returns
    -------
    archive : Archive
    unreadable : dict of str to str
        Path to reason, of the clips that could not be heard (GTZAN's jazz.00054 is one).

    Raises
    ------
    DatasetError
        If a genre has no readable clip, or the hop is not one that features are made at.
    """
    if hop_length not in HOP_LENGTHS:
        raise DatasetError(f"--hop is {' or '.join(map(str, sorted(HOP_LENGTHS)))}")
    heard: dict[Clip, FloatArray] = {}
    unreadable: dict[str, str] = {}
    engine = ProcessEngine(workers)
    work = [(clip, hop_length) for clip in clips]
    for (clip, _), outcome in progress(engine.run(_clip_features, work)):
        if isinstance(outcome, Failure):
            unreadable[str(clip.path)] = outcome.reason
        elif isinstance(outcome, str):
            unreadable[str(clip.path)] = outcome
        else:
            heard[clip] = outcome
    missing = sorted({clip.genre for clip in clips} - {clip.genre for clip in heard})
    if missing:
        raise DatasetError(f"no readable clip in: {', '.join(missing)}")
    readable = [clip for clip in clips if clip in heard]
    pairs = [(clip.track, clip.genre) for clip in readable]
    return build_archive(pairs, [heard[clip] for clip in readable], hop_length), unreadable


def read_artists(path: Path) -> dict[str, int]:
    """Return track -> artist group from an index in the form of Sturm's GTZANindex.txt.

    Tracks are in one group if they share an artist, directly or through others: "Louis Armstrong
    and Ella Fitzgerald" joins both singers' tracks. Spellings are folded (case, accents,
    punctuation, "the"). Tracks without an artist that follow one another are one group: they may
    well be from one record.

    Source: B. L. Sturm, "An Analysis of the GTZAN Music Genre Dataset", MIRUM 2012.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DatasetError(f"{path} can't be read: {error.strerror}") from error
    tracks: list[str] = []
    names: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    unknown = ""
    for line in lines:
        parts = [part.strip() for part in line.split(_INDEX_SEPARATOR)]
        if len(parts) < 2 or line.startswith("#"):
            continue
        tracks.append(Path(parts[0]).stem)
        artists = _artist_names(parts[1])
        unknown = "" if artists else unknown or f"? {tracks[-1]}"
        numbers = (names.setdefault(name, len(names)) for name in artists or {unknown})
        pairs.extend((len(tracks) - 1, number) for number in numbers)
    if not tracks:
        raise DatasetError(f"{path} names no artist: lines are `track ::: artist ::: title`")
    size = len(tracks) + len(names)
    rows, columns = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (rows, len(tracks) + columns)), shape=(size, size))
    groups = connected_components(graph, directed=False)[1]
    return dict(zip(tracks, map(int, groups[: len(tracks)]), strict=True))


def _artist_names(credit: str) -> set[str]:
    """Return the folded names in an artist credit: "The Beatles & Billy Preston" has two."""
    plain = unicodedata.normalize("NFKD", credit.lower()).encode("ascii", "ignore").decode()
    names = re.split(r",|&|\band\b", plain)
    folded = (" ".join(re.sub(r"\bthe\b|[^a-z0-9]", " ", name).split()) for name in names)
    return {name for name in folded if name}


def read_track_list(path: Path) -> set[str]:
    """Return the tracks that a split list names, one path per line (``blues/blues.00029.wav``)."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DatasetError(f"{path} can't be read: {error.strerror}") from error
    return {Path(line.strip()).stem for line in lines if line.strip()}
