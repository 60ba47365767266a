"""Makers of small training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tagger.sound.features import log_mel
from tagger.training.archive import Archive, build_archive, save_archive
from tests.conftest import chord, write_wav

# Genres that a network can tell apart at once: by pitch.
PITCHES_HZ = {"blues": 110.0, "jazz": 440.0, "rock": 1760.0}


def clip(genre: str, number: int, seconds: float = 29.5) -> np.ndarray:
    """Return a waveform float32 (n_samples,) that is of a genre."""
    rng = np.random.default_rng(number)
    return chord(seconds, pitch_hz=PITCHES_HZ[genre] * rng.uniform(0.9, 1.1)) * np.float32(
        rng.uniform(0.5, 1.5)
    )


def small_archive(tracks_per_genre: int = 8) -> Archive:
    """Return an archive of three genres; the last quarter of each is marked valid."""
    names, log_mels, split = [], [], []
    for genre in PITCHES_HZ:
        for number in range(tracks_per_genre):
            names.append((f"{genre}.{number:05}", genre))
            log_mels.append(log_mel(clip(genre, number)))
            split.append("valid" if number >= tracks_per_genre * 3 // 4 else "train")
    archive = build_archive(names, log_mels, 1024)
    archive.split[:] = split
    return archive


def write_small_archive(path: Path) -> Path:
    save_archive(small_archive(), path)
    return path


def write_genre_folders(folder: Path, clips_per_genre: int = 2) -> Path:
    """Write a data set in GTZAN's layout."""
    for genre in PITCHES_HZ:
        (folder / genre).mkdir(parents=True)
        for number in range(clips_per_genre):
            write_wav(folder / genre / f"{genre}.{number:05}.wav", clip(genre, number))
    return folder
