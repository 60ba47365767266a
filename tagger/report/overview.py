"""What the page says of a whole collection: counts, shares and groups, as plain values."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from tagger.genres import tag_name
from tagger.library.albums import Album, find_albums, main_artist

Row = dict[str, Any]

HISTOGRAM_BINS = 20  # of 5 % each
TOP_GROUPS = 15  # artists, albums and existing genres that are shown
SHOWN_DUPLICATES = 50
NO_TAG = "(no genre tag)"
OTHER_TAGS = "(other)"

_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")


@dataclass(frozen=True)
class GenreFacts:
    """One heard genre: how often, for how long, and how surely."""

    genre: str
    tracks: int
    sure: int
    hours: float
    quartiles: tuple[float, float, float]
    extent: tuple[float, float]  # the 5th and 95th percentile of the confidence

    @property
    def name(self) -> str:
        """As written in a tag."""
        return tag_name(self.genre)


@dataclass(frozen=True)
class Group:
    """Tracks that share an artist, or a decade."""

    name: str
    tracks: int
    genres: list[tuple[str, int]]


@dataclass
class Matrix:
    """How often each existing genre was heard as each genre.

    Attributes
    ----------
    counts : list of (existing, {genre: tracks}, tracks, agreeing tracks)
    """

    genres: list[str]
    counts: list[tuple[str, dict[str, int], int, int]] = field(default_factory=list)
    tagged: int = 0
    agreeing: int = 0


@dataclass(frozen=True)
class Overview:
    """All that the page shows above its table."""

    files: int
    classified: int
    sure: int
    hours: float
    gigabytes: float
    genres: list[GenreFacts]
    histogram: list[int]
    matrix: Matrix
    artists: list[Group]
    artist_count: int
    decades: list[Group]
    albums: list[Album]
    album_count: int
    problems: list[tuple[str, str, int]]  # status, reason, files
    notes: list[tuple[str, int]]  # what was odd with files that were classified
    duplicates: list[list[Row]]
    duplicate_count: int


def overview(rows: list[Row], min_confidence: float) -> Overview:
    """Count everything; ``rows`` are the store's."""
    heard = [row for row in rows if row["genre"] is not None]
    albums = [album for album in find_albums(heard) if len(album.rows) > 1]
    artists = _groups((main_artist(row["artist"]), row["genre"]) for row in heard if row["artist"])
    decades = _groups((decade, row["genre"]) for row in heard if (decade := decade_of(row["date"])))
    problems = Counter(
        (row["status"], row["reason"] or "?") for row in rows if row["status"] != "classified"
    )
    notes = Counter(row["reason"] for row in heard if row["reason"])
    duplicates = find_copies(rows)
    return Overview(
        files=len(rows),
        classified=len(heard),
        sure=sum(is_sure(row, min_confidence) for row in heard),
        hours=_hours(rows),
        gigabytes=sum(row["size"] for row in rows) / 1e9,
        genres=_genre_facts(heard, min_confidence),
        histogram=_histogram(heard),
        matrix=_matrix(heard),
        artists=artists[:TOP_GROUPS],
        artist_count=len(artists),
        decades=sorted(decades, key=lambda group: group.name),
        albums=sorted(albums, key=lambda album: -len(album.rows))[:TOP_GROUPS],
        album_count=len(albums),
        problems=[(*what, files) for what, files in problems.most_common()],
        notes=notes.most_common(),
        duplicates=duplicates[:SHOWN_DUPLICATES],
        duplicate_count=len(duplicates),
    )


def is_sure(row: Row, min_confidence: float) -> bool:
    """Tell whether a track was heard with at least this confidence."""
    return row["confidence"] is not None and row["confidence"] >= min_confidence


def _hours(rows: Iterable[Row]) -> float:
    return sum(row["duration_seconds"] or 0.0 for row in rows) / 3600


def _genre_facts(heard: list[Row], min_confidence: float) -> list[GenreFacts]:
    by_genre: dict[str, list[Row]] = defaultdict(list)
    for row in heard:
        by_genre[row["genre"]].append(row)
    facts = []
    for genre, members in by_genre.items():
        confidence = np.array([row["confidence"] for row in members])
        low, first, median, third, high = map(
            float, np.quantile(confidence, (0.05, 0.25, 0.5, 0.75, 0.95))
        )
        sure = int((confidence >= min_confidence).sum())
        facts.append(
            GenreFacts(
                genre, len(members), sure, _hours(members), (first, median, third), (low, high)
            )
        )
    return sorted(facts, key=lambda fact: (-fact.tracks, fact.genre))


def _histogram(heard: list[Row]) -> list[int]:
    confidence = [row["confidence"] for row in heard]
    counts, _ = np.histogram(confidence, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
    return [int(count) for count in counts]


def _groups(pairs: Iterable[tuple[str, str]]) -> list[Group]:
    """Count genres by name, whose spellings may differ in case; most tracks first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    spelling: dict[str, str] = {}
    for name, genre in pairs:
        key = name.casefold()
        spelling.setdefault(key, name)
        counts[key][genre] += 1
    groups = [
        Group(spelling[key], genres.total(), genres.most_common()) for key, genres in counts.items()
    ]
    return sorted(groups, key=lambda group: (-group.tracks, group.name.casefold()))


def _matrix(heard: list[Row]) -> Matrix:
    """Count existing against heard genres; what is rare goes together."""
    genres = sorted({row["genre"] for row in heard})
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    agreeing: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for row in heard:
        tag = row["existing_genre"] or NO_TAG
        key = tag.casefold()
        spelling.setdefault(key, tag)
        counts[key][row["genre"]] += 1
        agreeing[key] += bool(row["existing_genre"]) and agrees(tag, row["genre"])
    matrix = Matrix(genres)
    matrix.tagged = sum(bool(row["existing_genre"]) for row in heard)
    matrix.agreeing = agreeing.total()
    ranked = sorted(counts, key=lambda key: (key == NO_TAG, -counts[key].total()))
    rare = [key for key in ranked[TOP_GROUPS:] if key != NO_TAG]
    for key in ranked:
        if key not in rare:
            row_counts = counts[key]
            matrix.counts.append(
                (spelling[key], dict(row_counts), row_counts.total(), agreeing[key])
            )
    if rare:
        total = Counter(chain.from_iterable(counts[key].elements() for key in rare))
        agreed = sum(agreeing[key] for key in rare)
        matrix.counts.append((OTHER_TAGS, dict(total), total.total(), agreed))
    return matrix


def agrees(existing: str, genre: str) -> bool:
    """Tell whether an existing genre names the heard one: ``Hard Rock`` agrees with rock."""
    return _letters(tag_name(genre)) in _letters(existing)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def decade_of(date: str | None) -> str | None:
    """Return the decade of a date tag: ``1994-05-01`` is of the ``1990s``."""
    found = _YEAR.search(date or "")
    return f"{found[0][:3]}0s" if found else None


def find_copies(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the groups of files that hold the same audio, largest first."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["identity"]:
            groups[row["identity"]].append(row)
    copies = [group for group in groups.values() if len(group) > 1]
    return sorted(copies, key=lambda group: -len(group))
