"""Feature archives: the log-mel of a whole data set in one ``.npz`` file.

What ``tagger features`` writes and ``tagger train`` and ``tagger evaluate`` read. Values are kept
as 256 levels between a track's loudest value and 80 dB below it: one level is at most 0.31 dB.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tagger.errors import DatasetError
from tagger.sound import HOP_LENGTHS
from tagger.sound.features import (
    N_FFT,
    N_MELS,
    SAMPLE_RATE_HZ,
    FeatureSettings,
    FloatArray,
)
from tagger.sound.slices import SLICE_COUNT

LEVELS = 256

# What `meta` must say for its values to be those of sound/features.py.
_META = {"sample_rate": SAMPLE_RATE_HZ, "n_fft": N_FFT, "n_mels": N_MELS}


@dataclass(frozen=True)
class Archive:
    """Log-mel spectrograms of labelled tracks.

    Attributes
    ----------
    track, genre, split : str (n_tracks,)
    level : uint8 (n_tracks, 128, n_columns)
    n_frames : int (n_tracks,)
        Columns that are used.
    db_max, db_range : float32 (n_tracks,)
        ``value_db = db_max - db_range + (level + 0.5) / 256 * db_range``.
    hop_length : int
        Samples between frames, at 22,050 Hz.
    """

    track: npt.NDArray[np.str_]
    genre: npt.NDArray[np.str_]
    split: npt.NDArray[np.str_]
    level: npt.NDArray[np.uint8]
    n_frames: npt.NDArray[np.int64]
    db_max: FloatArray
    db_range: FloatArray
    hop_length: int

    def __len__(self) -> int:
        return len(self.track)

    def select(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Archive:
        """Return the archive of some of the tracks, given a mask or indices."""
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        return replace(self, **arrays)

    def log_mel_db(self, index: int) -> FloatArray:
        """Return a track's log-mel, float32 (n_frames, 128), in dB re 1.0."""
        level = self.level[index, :, : self.n_frames[index]].T.astype(np.float32)
        low = self.db_max[index] - self.db_range[index]
        log_mel_db: FloatArray = low + (level + np.float32(0.5)) / LEVELS * self.db_range[index]
        return log_mel_db

    def slices(self, index: int, count: int = SLICE_COUNT) -> FloatArray:
        """Return a track's slices, float32 (n_slices, slice_frames, 128), in dB re 1.0.

        They follow one another from the start, as ``slices.slice_starts`` cuts a clip.
        """
        length = FeatureSettings(hop_length=self.hop_length).slice_frames
        log_mel = self.log_mel_db(index)
        n_slices = min(count, len(log_mel) // length)
        return log_mel[: n_slices * length].reshape(n_slices, length, N_MELS)


_ARRAYS = ("track", "genre", "split", "level", "n_frames", "db_max", "db_range")


def quantise(log_mel_db: FloatArray) -> tuple[npt.NDArray[np.uint8], float, float]:
    """Return (level, db_max, db_range) of a log-mel spectrogram (n_frames, 128)."""
    db_max = float(log_mel_db.max())
    db_range = max(db_max - float(log_mel_db.min()), 1e-3)
    level = np.floor((log_mel_db - (db_max - db_range)) / db_range * LEVELS)
    return np.clip(level, 0, LEVELS - 1).astype(np.uint8), db_max, db_range


def build_archive(
    tracks: list[tuple[str, str]], log_mels: list[FloatArray], hop_length: int
) -> Archive:
    """Return an archive of (track, genre) pairs and their log-mels (n_frames, 128)."""
    n_frames = np.array([len(log_mel) for log_mel in log_mels])
    level = np.zeros((len(tracks), N_MELS, n_frames.max()), np.uint8)
    db_max, db_range = np.zeros((2, len(tracks)), np.float32)
    for index, log_mel in enumerate(log_mels):
        quantised, db_max[index], db_range[index] = quantise(log_mel)
        level[index, :, : len(log_mel)] = quantised.T
    names, genres = (np.array(column, dtype=np.str_) for column in zip(*tracks, strict=True))
    split = np.full(len(tracks), "", dtype="U16")
    return Archive(names, genres, split, level, n_frames, db_max, db_range, hop_length)


def save_archive(archive: Archive, path: Path) -> None:
    """Write an archive to exactly ``path``."""
    meta = _META | {
        "hop_length": archive.hop_length,
        "window": "hann",
        "center": True,
        "mel": "slaney",
        "decibel": "power_to_db(ref=1.0, top_db=80)",
        "value": "db_max - db_range + (level + 0.5) / 256 * db_range",
    }
    arrays = {name: getattr(archive, name) for name in _ARRAYS}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays, meta=np.array(json.dumps(meta)))


def load_archive(path: Path) -> Archive:
    """Read and check an archive.

    Raises
    ------
    DatasetError
        If it is no archive, or its arrays are not of one length and the right shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            meta = json.loads(str(file["meta"]))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist") from error
    except KeyError as error:
        raise DatasetError(f"{path} is not a feature archive: it lacks {error}") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is not a feature archive: {error}") from error
    wrong = _fault(arrays, meta)
    if wrong:
        raise DatasetError(f"{path} can't be used: {wrong}; make it with `tagger features`")
    arrays["n_frames"] = arrays["n_frames"].astype(np.int64)
    return Archive(**arrays, hop_length=int(meta["hop_length"]))


def _fault(arrays: dict[str, npt.NDArray[np.generic]], meta: dict[str, object]) -> str | None:
    """Return what is wrong with an archive's arrays, if anything is."""
    level = arrays["level"]
    if level.ndim != 3 or level.shape[1] != N_MELS or level.dtype != np.uint8:
        return f"level is {level.dtype} {level.shape}, not uint8 (tracks, {N_MELS}, frames)"
    if len(level) == 0:
        return "it holds no track"
    for name in _ARRAYS:
        if arrays[name].shape[:1] != level.shape[:1]:
            return f"{name} has {arrays[name].shape[:1]} entries for {len(level)} tracks"
    n_frames = arrays["n_frames"]
    if not np.issubdtype(n_frames.dtype, np.integer) or n_frames.max() > level.shape[2]:
        return "n_frames does not fit level"
    if any(meta.get(key) != value for key, value in _META.items()):
        return f"its features are not {_META}"
    if meta.get("hop_length") not in HOP_LENGTHS:
        return f"its hop_length is {meta.get('hop_length')}"
    return None
