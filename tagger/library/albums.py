"""One genre for an album: its tracks vote, the surer ones with more weight."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]

# What people and programs write as the album artist of a compilation, in letters and digits only.
COMPILATION_ARTISTS = frozenset(
    (
        "compilation", "compilations", "diverse", "diverseinterpreten", "divers", "multipleartists",
        "ost", "originalsoundtrack", "sampler", "soundtrack", "va", "varios", "variosartistas",
        "various", "variousartist", "variousartists", "variousinterprets", "verschiedene",
        "verschiedeneinterpreten", "vvaa",
    )
)  # fmt: skip

# "X feat. Y" is X's track: what follows does not make an album a compilation.
_GUEST = re.compile(r"(?<=\S)\s+[(\[]?(?:feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE)


@dataclass(frozen=True)
class Album:
    """Tracks that belong together, and what they agree on.

    Attributes
    ----------
    artist, title : str
        As the first track writes them.
    rows : list of dict
        The store's rows of its classified tracks.
    is_compilation : bool
        Of several artists: its tracks keep their own genres, and ``probabilities`` is empty.
    probabilities : dict of str to float
        Genre to the mean over the tracks, each weighted by its confidence; surest first.
    """

    artist: str
    title: str
    rows: list[Row]
    is_compilation: bool
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def genre(self) -> str | None:
        """The album's genre; None for a compilation."""
        return next(iter(self.probabilities), None)

    @property
    def confidence(self) -> float | None:
        """How sure the vote is; None for a compilation."""
        return next(iter(self.probabilities.values()), None)

    @property
    def agreeing(self) -> int:
        """How many tracks were heard as the album's genre when heard alone."""
        return sum(row["genre"] == self.genre for row in self.rows)


def find_albums(rows: Iterable[Row]) -> list[Album]:
    """Return the albums among the store's rows, in order of artist and title.

    An album is what has one title and one album artist. Where tracks name no album artist, those
    in one folder belong together: of one artist they are that artist's album, of several a
    compilation. Tracks without an album, and those not classified, belong to none.
    """
    groups: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    unnamed: dict[tuple[bytes, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["genre"] is None or not row["album"]:
            continue
        title = _key(row["album"])
        if row["album_artist"]:
            artist = _key(row["album_artist"])
            groups[artist, title, artist in COMPILATION_ARTISTS].append(row)
        else:
            unnamed[os.path.dirname(row["path"]), title].append(row)  # noqa: PTH120
    for (folder, title), members in unnamed.items():
        artists = {_key(main_artist(row["artist"])) for row in members if row["artist"]}
        if len(artists) == 1:
            artist = artists.pop()
            groups[artist, title, artist in COMPILATION_ARTISTS].extend(members)
        else:
            # Without an artist, or with several, only the folder tells whose album this is.
            groups[os.fsdecode(folder), title, len(artists) > 1].extend(members)
    albums = [_album(members, compilation) for (*_, compilation), members in groups.items()]
    return sorted(albums, key=lambda album: (album.artist.casefold(), album.title.casefold()))


def with_album_genres(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the store's rows, those of an album with its genre in place of their own.

    ``genre``, ``confidence``, ``second_genre``, ``second_confidence`` and ``probabilities`` are
    the album's; tracks of compilations and of no album stay as they are.
    """
    rows = list(rows)
    voted = {
        row["path"]: album
        for album in find_albums(rows)
        if not album.is_compilation
        for row in album.rows
    }
    for row in rows:
        album = voted.get(row["path"])
        yield row | _values(album) if album else row


def main_artist(artist: str) -> str:
    """Return an artist without guests: ``A feat. B`` is ``A``."""
    return _GUEST.sub("", artist)


def _key(text: str) -> str:
    """Return what of a name tells it from others: letters and digits, without case."""
    return "".join(letter for letter in text.casefold() if letter.isalnum()) or text.casefold()


def _album(rows: list[Row], is_compilation: bool) -> Album:
    first = rows[0]
    artist = first["album_artist"] or ("" if is_compilation else main_artist(first["artist"] or ""))
    probabilities = {} if is_compilation else vote(rows)
    return Album(artist, first["album"], rows, is_compilation, probabilities)


def vote(rows: Iterable[Row]) -> dict[str, float]:
    """Return the mean of rows' probabilities, weighted by confidence, surest genre first."""
    sums: dict[str, float] = defaultdict(float)
    weight = 0.0
    for row in rows:
        weight += row["confidence"]
        for genre, probability in row["probabilities"].items():
            sums[genre] += row["confidence"] * probability
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return {genre: total / weight for genre, total in ranked} if weight else {}


def _values(album: Album) -> Row:
    (genre, confidence), second = [*album.probabilities.items(), (None, None)][:2]
    return {
        "genre": genre,
        "confidence": confidence,
        "second_genre": second[0],
        "second_confidence": second[1],
        "probabilities": album.probabilities,
    }
