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
    artists: dict[str, int] | None = None,
    folds: int | None = None,
    watch: bool = False,
) -> list[Division]:
    """Divide an archive's tracks or slices: once, or into folds that are held out in turn.

    Parameters
    ----------
    name : str
        A key of ``SPLITS``.
    artists : dict of str to int, optional
        Track to artist group, for the split ``artists``.
    folds : int, optional
        How many parts; each is held out once. Not for ``given``.
    watch : bool
        Set a part of the training data aside, to stop early by.

    Raises
    ------
    DatasetError
        If the split is not known, or the data does not have what it needs.
    """
    rng = np.random.default_rng(seed)
    if name == "given":
        if folds:
            raise DatasetError("--folds divides the tracks itself: use --split artists or tracks")
        groups, genres = np.arange(len(archive)), archive.genre
        held_out, held_out_name, used = _given(archive)
        parts = [held_out]
    else:
        groups, genres = _groups(archive, name, artists or {})
        held_out_name, used = SPLITS[name], np.ones(len(groups), bool)
        if folds:
            parts = _folds(groups, genres, folds, seed)
            held_out_name = f"{held_out_name}, each of {folds} parts in turn"
        else:
            parts = [_hold_out(groups, genres, HELD_OUT_SHARE, rng)]

    def by_slice(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return np.broadcast_to(mask.reshape(len(archive), -1), (len(archive), SLICE_COUNT))

    divisions = []
    for held_out in parts:
        train, watched = used & ~held_out, held_out
        if watch:
            watched = np.zeros_like(train)
            watched[train] = _hold_out(groups[train], genres[train], WATCH_SHARE, rng)
            train = train & ~watched
        columns = by_slice(train), by_slice(watched), by_slice(held_out)
        divisions.append(Division(*columns, name, held_out_name))
    return divisions


def everything(archive: Archive, division: Division) -> Division:
    """Return the division that learns from every track, for a network that is already judged."""
    every = np.ones((len(archive), SLICE_COUNT), bool)
    return Division(every, division.watched, division.held_out, division.name, "nothing")


def _groups(
    archive: Archive, name: str, artists: dict[str, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.str_]]:
    """Return what stays on one side, as a group number each, and the genre of each."""
    if name == "slices":
        genres = np.repeat(archive.genre, SLICE_COUNT)
        return np.arange(len(genres)), genres
    if name == "tracks":
        return np.arange(len(archive)), archive.genre
    if name == "artists":
        return _artist_groups(archive, artists), archive.genre
    raise DatasetError(f"no split {name!r}: choose one of {', '.join(SPLITS)}")


def _folds(
    groups: npt.NDArray[np.intp], genres: npt.NDArray[np.str_], folds: int, seed: int
) -> list[npt.NDArray[np.bool_]]:
    """Return masks of parts with whole groups in each and genres spread evenly."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = []
    for _, held_out in splitter.split(groups, genres, groups):
        mask = np.zeros(len(groups), bool)
        mask[held_out] = True
        parts.append(mask)
    return parts


def _given(archive: Archive) -> tuple[npt.NDArray[np.bool_], str, npt.NDArray[np.bool_]]:
    """Return what is held out by the archive's own ``split`` column, its name, and all used."""
    train = archive.split == "train"
    for part in ("test", "valid"):
        held_out = archive.split == part
        if train.any() and held_out.any():
            return held_out, f"the given {part} set", train | held_out
    raise DatasetError(
        "the data gives no split: it needs tracks marked train and valid"
        " (--train-list and --valid-list, or an archive that has them)"
    )


def _artist_groups(archive: Archive, artists: dict[str, int]) -> npt.NDArray[np.intp]:
    """Return a group number per track: its artist's."""
    missing = [track for track in archive.track if track not in artists]
    if missing:
        raise DatasetError(
            f"--split artists needs an artist for every track: {len(missing)} have none in the"
            f" list given with --artists, {missing[0]} first"
        )
    return np.array([artists[track] for track in archive.track])


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
