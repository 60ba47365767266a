"""One M3U8 playlist per genre."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote_from_bytes

from tagger.genres import MIN_CONFIDENCE, tag_name
from tagger.library.store import display_text
from tagger.sound.remote import is_url

Row = dict[str, Any]

# What a file name can't hold somewhere (Windows knows the most), for genres of people's models.
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


@dataclass(frozen=True)
class Playlists:
    """What was written: tracks by playlist, and how many were left out as not sure."""

    tracks: dict[Path, int]
    unsure: int


def write_playlists(
    rows: Iterable[Row], folder: Path, min_confidence: float = MIN_CONFIDENCE
) -> Playlists:
    """Write ``Rock.m3u8`` and so on into a folder, of the tracks heard surely enough.

    Tracks are in order of path, named relative to the folder, so that playlists and music can
    move together. An M3U8 file is UTF-8 with one track a line: a name that is no UTF-8, has a
    line end in it or ends in a space stands there as a ``file:`` URL of its very bytes instead.
    """
    heard: dict[str, list[Row]] = defaultdict(list)
    unsure = 0
    for row in rows:
        if row["genre"] is None:
            continue
        if row["confidence"] < min_confidence:
            unsure += 1
        else:
            heard[row["genre"]].append(row)
    folder.mkdir(parents=True, exist_ok=True)
    base = os.fsencode(folder.absolute())
    tracks = {}
    for genre, members in sorted(heard.items()):
        path = folder / playlist_name(genre)
        lines = ["#EXTM3U", f"#PLAYLIST:{_one_line(tag_name(genre))}"]
        for row in members:
            lines += [_extinf(row), entry(row["path"], base)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        tracks[path] = len(members)
    return Playlists(tracks, unsure)


def playlist_name(genre: str) -> str:
    """Return a genre's file name."""
    return _NOT_IN_NAMES.sub("_", tag_name(genre)).strip(". ") + ".m3u8"


def entry(path: bytes, base: bytes) -> str:
    """Return how a playlist in the folder ``base`` names a file."""
    if is_url(os.fsdecode(path)):
        return _one_line(os.fsdecode(path))
    try:
        name = os.path.relpath(path, base).decode("utf-8")
    except ValueError:  # not UTF-8; or, on Windows, on another drive
        name = ""
    if not name or name != _one_line(name) or len(name.splitlines()) > 1:
        return _url(path)
    # "#..." would be a comment, and "scheme:..." an address.
    return f"./{name}" if name.startswith("#") or ":" in PurePath(name).parts[0] else name


def _url(path: bytes) -> str:
    if os.name == "nt":
        return Path(os.fsdecode(path)).as_uri()
    return f"file://{quote_from_bytes(path)}"


def _extinf(row: Row) -> str:
    """Return the line with a track's length in seconds (-1: not known) and its name."""
    seconds = round(row["duration_seconds"]) if row["duration_seconds"] else -1
    title = row["title"] or os.path.splitext(os.path.basename(row["path_text"]))[0]  # noqa: PTH119, PTH122
    name = f"{row['artist']} - {title}" if row["artist"] else title
    return f"#EXTINF:{seconds},{_one_line(display_text(name))}"


def _one_line(text: str) -> str:
    """Return text as a player reads it from a line: without spaces around it."""
    return " ".join(text.splitlines()).strip()
