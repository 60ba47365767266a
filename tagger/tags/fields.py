"""What the tags of all containers have in common."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO, Protocol

# The field that says where a genre came from, in every container.
PROVENANCE = "TAGGER_GENRE"

# What restores a genre field exactly; plain JSON values, made and read by the same class.
Raw = dict[str, Any]

NO_TAIL = sys.maxsize


class TagFile(Protocol):
    """The tag of one open file.

    Attributes
    ----------
    multiple : bool
        It can hold several genres as separate values.
    tail : int
        From this byte on the file holds nothing but tags; ``NO_TAIL`` where they lie elsewhere.
    """

    multiple: bool
    tail: int

    def genres(self) -> list[str]:
        """Return the genres as people read them."""
        ...

    def put(self, genres: list[str], provenance: str | None) -> None:
        """Set the genres, and where they come from unless that is None."""
        ...

    def raw(self) -> Raw:
        """Return the fields that ``put`` changes, exactly."""
        ...

    def restore(self, raw: Raw) -> None:
        """Set those fields to what ``raw`` returned once, or remove them."""
        ...

    def others(self) -> dict[str, object]:
        """Return all that ``put`` must not change; None is a thing that is not there yet."""
        ...

    def save(self) -> None:
        """Write the tag into the file."""
        ...


def read_genre(text: str) -> list[str]:
    """Return a genre as people read it: ``17`` and ``(17)`` as Rock."""
    from mutagen.id3 import TCON

    return [genre.strip() for genre in TCON(encoding=3, text=[text]).genres if genre.strip()]


def keep_padding(info: Any) -> int:
    """Tell mutagen how much padding to leave: what is left of it, or a little anew."""
    return int(info.padding if info.padding >= 0 else info.get_default_padding())


def mutagen_open(file: BinaryIO, kind: str, class_name: str) -> Any:
    """Open a file with one of mutagen's classes, chosen by content and not by its name."""
    from importlib import import_module

    file.seek(0)
    return getattr(import_module(kind), class_name)(file)


def open_with_tag(file: BinaryIO, kind: str, class_name: str) -> tuple[Any, bool]:
    """Open a file, with an empty tag where it has none; tell also whether it had one."""
    audio = mutagen_open(file, kind, class_name)
    had_tag = audio.tags is not None
    if not had_tag:
        audio.add_tags()
    return audio, had_tag
