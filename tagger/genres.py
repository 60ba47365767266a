"""The ten genres of GTZAN, how each is written in a tag, and a person's own names for them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tagger.errors import OptionError

GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)

# As players, Discogs and the ID3v1 list write them: ID3v1 knows all ten in this spelling.
TAG_NAMES = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}

# "Not sure" is an answer: a track whose best genre is less probable than this gets none.
MIN_CONFIDENCE = 0.5

# ID3v2.3 and v2.2 know no several values; players expect them joined so.
ID3V23_SEPARATOR = "/"


def tag_name(genre: str) -> str:
    """Return a genre label as it is written in a tag: ``hiphop`` becomes ``Hip-Hop``."""
    return TAG_NAMES.get(genre, genre.replace("_", " ").title())


def find_genre(text: str, known: Sequence[str]) -> str:
    """Return the label that a person means: ``Hip-Hop`` is ``hiphop``.

    Raises
    ------
    OptionError
        If there is no such genre.
    """
    labels = {_letters(name): label for label in known for name in (label, tag_name(label))}
    if _letters(text) not in labels:
        raise OptionError(f"no genre {text!r}; the genres are {', '.join(known)}")
    return labels[_letters(text)]


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def find_genres(texts: Iterable[str], known: Sequence[str]) -> frozenset[str]:
    """Return the labels that a person means; see ``find_genre``."""
    return frozenset(find_genre(text, known) for text in texts)


def load_names(path: Path, known: Sequence[str]) -> dict[str, str]:
    """Read a person's own names from a TOML file of lines such as ``metal = "Heavy Metal"``.

    Returns
    -------
    dict of str to str
        Label to name; an empty name means that the genre is not to be written.

    Raises
    ------
    OptionError
        If the file can't be read, or names no known genre.
    """
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise OptionError(f"{path} is not TOML: {error}") from error
    names = {}
    for text, name in entries.items():
        if not isinstance(name, str) or not (name.isprintable() or not name):
            raise OptionError(f'{path}: {text} must be a name in quotes, or "" for nothing')
        names[find_genre(text, known)] = name.strip()
    return names
