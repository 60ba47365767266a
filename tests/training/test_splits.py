from __future__ import annotations

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.training.splits import divide
from tests.data import small_archive

ARCHIVE = small_archive(12)
ARTISTS = {str(track): index // 3 for index, track in enumerate(ARCHIVE.track)}


@pytest.mark.parametrize("watch", [False, True])
@pytest.mark.parametrize("name", ["slices", "tracks", "artists", "given"])
def test_what_is_judged_on_is_never_learned_from(name: str, watch: bool) -> None:
    [division] = divide(ARCHIVE, name, 0, artists=ARTISTS, watch=watch)
    assert division.train.any()
    assert division.held_out.any()
    assert not (division.train & division.held_out).any()
    assert not (division.train & division.watched).any()
    if watch:
        assert not (division.watched & division.held_out).any()
    else:
        assert (division.train | division.held_out).all()


@pytest.mark.parametrize("name", ["tracks", "artists", "given"])
def test_a_track_is_on_one_side(name: str) -> None:
    [division] = divide(ARCHIVE, name, 0, artists=ARTISTS)
    held_out = division.held_out
    assert (held_out.all(axis=1) | ~held_out.any(axis=1)).all()


def test_slices_of_one_track_are_on_both_sides_and_the_split_says_so() -> None:
    [division] = divide(ARCHIVE, "slices", 0)
    assert (division.held_out.any(axis=1) & division.train.any(axis=1)).any()
    assert "leaky" in division.held_out_name


def test_an_artist_is_on_one_side() -> None:
    [division] = divide(ARCHIVE, "artists", 0, artists=ARTISTS)
    held_out = division.held_out.any(axis=1)
    artists = np.array([ARTISTS[track] for track in ARCHIVE.track])
    assert not set(artists[held_out]) & set(artists[~held_out])


def test_a_quarter_of_each_genre_is_held_out_and_a_seed_repeats() -> None:
    [division] = divide(ARCHIVE, "tracks", 3)
    for genre in ("blues", "jazz", "rock"):
        assert division.held_out[ARCHIVE.genre == genre].mean() == pytest.approx(0.25)
    [again], [other] = divide(ARCHIVE, "tracks", 3), divide(ARCHIVE, "tracks", 4)
    assert (again.held_out == division.held_out).all()
    assert (other.held_out != division.held_out).any()


def test_folds_hold_out_every_track_once_and_artists_whole() -> None:
    divisions = divide(ARCHIVE, "artists", 0, artists=ARTISTS, folds=4)
    assert (np.sum([division.held_out for division in divisions], axis=0) == 1).all()
    artists = np.array([ARTISTS[track] for track in ARCHIVE.track])
    for division in divisions:
        held_out = division.held_out.any(axis=1)
        assert not set(artists[held_out]) & set(artists[division.train.any(axis=1)])


def test_a_given_split_has_no_folds() -> None:
    with pytest.raises(DatasetError, match="use --split artists or tracks$"):
        divide(ARCHIVE, "given", 0, folds=3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "no split 'nonsense': choose one of slices, tracks, artists, given"),
        (
            "artists",
            "--split artists needs an artist for every track: 36 have none in the list given"
            " with --artists, blues.00000 first",
        ),
    ],
)
def test_a_split_that_is_not_possible(name: str, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        divide(ARCHIVE, name, 0)
    assert str(caught.value) == message
