"""Dividing a data set into what a network learns from and what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagger.errors import DatasetError
from tagger.sound.slices import SLICE_COUNT
from tagger.training.archive import Archive

HELD_OUT_SHARE = 0.25  # the article's
WATCH_SHARE = 0.2  # of the rest, set aside only when training stops early by it

LEAKY = "leaky: slices of one track are on both sides"

SPLITS = {
    "slices": f"random slices, as the article does ({LEAKY})",
    "tracks": "random tracks (an artist may be on both sides)",
    "artists": "artists unseen in training",
    "given": "the archive's own, or list files",
}


@dataclass(frozen=True)
class Division:
    """Which slices are for what.

    Attributes
    ----------
    train, held_out : bool (n_tracks, n_slices)
        Learned from, and judged on.
    watched : bool (n_tracks, n_slices)
        What the learning curve shows. The held-out part itself, which nothing is chosen by;
        where training stops early by it, a part of what would have been learned from.
    name : str
        The split's name, a key of ``SPLITS``.
    held_out_name : str
        What the held-out part is, in words that go into every output.
    """

    train: npt.NDArray[np.bool_]
    watched: npt.NDArray[np.bool_]
    held_out: npt.NDArray[np.bool_]
    name: str
    held_out_name: str


def divide(
    archive: Archive,
    name: str,
    seed: int,
    *,
    artists: dict[str, str] | None = None,
    watch: bool = False,
) -> Division:
    """Divide an archive's tracks or slices.

    Parameters
    ----------
    name : str
        A key of ``SPLITS``.
    artists : dict of str to str, optional
        Track to artist, for the split ``artists``.
    watch : bool
        Set a part of the training data aside, to stop early by.

    Raises
    ------
    DatasetError
        If the split is not known, or the data does not have what it needs.
    """
    rng = np.random.default_rng(seed)
    shape = (len(archive), SLICE_COUNT)
    groups, genres, held_out, held_out_name = np.arange(len(archive)), archive.genre, None, None
    if name == "slices":
        groups, genres = np.arange(shape[0] * shape[1]), np.repeat(archive.genre, SLICE_COUNT)
    elif name == "artists":
        groups = _artist_groups(archive, artists or {})
    elif name == "given":
        train, held_out, held_out_name = _given(archive)
    elif name != "tracks":
        raise DatasetError(f"no split {name!r}: choose one of {', '.join(SPLITS)}")
    if held_out is None:
        held_out = _hold_out(groups, genres, HELD_OUT_SHARE, rng)
        train, held_out_name = ~held_out, SPLITS[name]
    watched = held_out
    if watch:
        watched = np.zeros_like(train)
        watched[train] = _hold_out(groups[train], genres[train], WATCH_SHARE, rng)
        train = train & ~watched

    def by_slice(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return np.broadcast_to(mask.reshape(len(archive), -1), shape)

    return Division(
        by_slice(train), by_slice(watched), by_slice(held_out), name, held_out_name or name
    )


def _given(archive: Archive) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], str]:
    """Divide by the archive's own ``split`` column: what is train, and test or else valid."""
    train = archive.split == "train"
    for part in ("test", "valid"):
        held_out = archive.split == part
        if train.any() and held_out.any():
            return train, held_out, f"the given {part} set"
    raise DatasetError(
        "the data gives no split: it needs tracks marked train and valid"
        " (--train-list and --valid-list, or an archive that has them)"
    )


def _artist_groups(archive: Archive, artists: dict[str, str]) -> npt.NDArray[np.intp]:
    """Return a group number per track: its artist's."""
    missing = [track for track in archive.track if track not in artists]
    if missing:
        raise DatasetError(
            f"--split artists needs an artist for every track: {len(missing)} have none in the"
            f" list given with --artists, {missing[0]} first"
        )
    names = np.array([artists[track] for track in archive.track])
    return np.unique(names, return_inverse=True)[1]


def _hold_out(
    groups: npt.NDArray[np.intp],
    genres: npt.NDArray[np.str_],
    share: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Hold out whole groups, about ``share`` of each genre, in random order."""
    held = np.zeros(len(groups), bool)
    for genre in np.unique(genres):
        of_genre = genres == genre
        wanted = share * of_genre.sum() - (held & of_genre).sum()
        for group in rng.permutation(np.unique(groups[of_genre & ~held])):
            members = groups == group
            if (members & of_genre).sum() <= wanted + 0.5:
                held |= members
                wanted -= (members & of_genre).sum()
            if wanted < 0.5:
                break
    return held
