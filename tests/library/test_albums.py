from __future__ import annotations

from typing import Any

import pytest

from tagger.library.albums import find_albums, main_artist, with_album_genres


def row(path: str, rock: float, **tags: Any) -> dict[str, Any]:
    """Return a store's row of a track heard as rock with this probability, else as jazz."""
    ranked = sorted({"rock": rock, "jazz": 1 - rock}.items(), key=lambda item: -item[1])
    (genre, confidence), (second, second_confidence) = ranked
    return {
        "path": path.encode(),
        "genre": genre,
        "confidence": confidence,
        "second_genre": second,
        "second_confidence": second_confidence,
        "probabilities": dict(ranked),
        "album": "Blue",
        "artist": None,
        "album_artist": None,
    } | tags


def test_the_surer_tracks_weigh_more() -> None:
    rows = [row(f"/{n}", p, album_artist="A") for n, p in enumerate((0.9, 0.45, 0.45))]
    [album] = find_albums(rows)
    assert (album.genre, album.agreeing) == ("rock", 1)
    expected = (0.9 * 0.9 + 2 * 0.55 * 0.45) / (0.9 + 2 * 0.55)
    assert album.confidence == pytest.approx(expected)
    assert sum(album.probabilities.values()) == pytest.approx(1)


def test_every_track_of_an_album_gets_its_genre() -> None:
    rows = [row(f"/{n}", p, album_artist="A") for n, p in enumerate((0.9, 0.8, 0.3))]
    voted = list(with_album_genres(rows))
    assert [track["genre"] for track in voted] == ["rock"] * 3
    assert len({track["confidence"] for track in voted}) == 1
    assert voted[2]["second_genre"] == "jazz"
    assert [track["path"] for track in voted] == [track["path"] for track in rows]
    assert rows[2]["genre"] == "jazz"  # what was given stays as it was


@pytest.mark.parametrize("name", ["Various Artists", "VARIOUS", "V.A.", "Verschiedene Interpreten"])
def test_a_compilation_named_so_keeps_each_track_as_it_is(name: str) -> None:
    rows = [row(f"/{n}", p, album_artist=name) for n, p in enumerate((0.9, 0.8, 0.3))]
    [album] = find_albums(rows)
    assert album.is_compilation
    assert (album.genre, album.confidence) == (None, None)
    assert list(with_album_genres(rows)) == rows


def test_several_artists_in_one_folder_are_a_compilation() -> None:
    rows = [row(f"/a/{artist}", 0.9, artist=artist) for artist in "XYZ"]
    [album] = find_albums(rows)
    assert album.is_compilation


def test_guests_make_no_compilation() -> None:
    rows = [row("/a/1", 0.9, artist="X"), row("/a/2", 0.2, artist="X feat. Y")]
    [album] = find_albums(rows)
    assert (album.artist, album.is_compilation, len(album.rows)) == ("X", False, 2)


def test_discs_in_two_folders_are_one_album() -> None:
    rows = [row(f"/a/CD{n}/1", 0.9, album_artist="X", artist=f"X & {n}") for n in (1, 2)]
    assert [len(album.rows) for album in find_albums(rows)] == [2]


def test_albums_of_one_title_by_two_artists_stay_two() -> None:
    rows = [row(f"/{artist}/1", 0.9, artist=artist, album="Greatest Hits") for artist in "XY"]
    assert [album.artist for album in find_albums(rows)] == ["X", "Y"]


def test_an_album_without_any_artist_is_its_folder() -> None:
    rows = [row("/a/1", 0.9), row("/a/2", 0.9), row("/b/1", 0.9)]
    assert sorted(len(album.rows) for album in find_albums(rows)) == [1, 2]
    assert not any(album.is_compilation for album in find_albums(rows))


def test_names_differ_by_case_and_punctuation_only() -> None:
    rows = [
        row("/1", 0.9, album_artist="AC/DC", album="Let There Be Rock"),
        row("/2", 0.9, album_artist="AC-DC", album="Let there be Rock!"),
    ]
    assert [album.title for album in find_albums(rows)] == ["Let There Be Rock"]


def test_what_was_not_classified_or_has_no_album_belongs_to_none() -> None:
    rows = [row("/1", 0.9, genre=None), row("/2", 0.9, album=None)]
    assert find_albums(rows) == []
    assert list(with_album_genres(rows)) == rows


@pytest.mark.parametrize(
    ("artist", "main"),
    [
        ("A feat. B", "A"),
        ("A (feat. B & C)", "A"),
        ("A ft B", "A"),
        ("A featuring B", "A"),
        ("Left", "Left"),
        ("Feat", "Feat"),
        ("Ft. Lauderdale", "Ft. Lauderdale"),
        ("Little Feat", "Little Feat"),
    ],
)
def test_main_artist(artist: str, main: str) -> None:
    assert main_artist(artist) == main
