"""The store's rows as compact columns, which the page's script reads.

Texts that repeat stand once in a list and are referred to by number. Probabilities are bytes in
255ths, in base64: the script decodes those of the one track that is opened.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from tagger.library.store import display_path
from tagger.report.overview import agrees, find_copies
from tagger.sound.remote import is_url

Row = dict[str, Any]

STATUSES = ("classified", "skipped", "failed")
START_STEPS = 65_535  # slice starts are kept as 16-bit shares of the duration


class _Words:
    """A column of texts that repeat."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._column: list[int] = []

    def add(self, text: str | None) -> None:
        self._column.append(-1 if not text else self._numbers.setdefault(text, len(self._numbers)))

    def as_json(self) -> dict[str, Any]:
        return {"words": list(self._numbers), "rows": self._column}


def columns(
    rows: list[Row],
    genres: list[str],
    model_genres: dict[str, list[str]],
    page_folder: bytes | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the table's columns, and its binary ones as base64.

    Parameters
    ----------
    rows : list of dict
        The store's.
    genres : list of str
        Every genre, in the order used throughout the page.
    model_genres : dict of str to list of str
        By ``model_id``: in which order its ``slice_probabilities`` are.
    page_folder : bytes or None
        Where the page will lie: files below it are linked relative to it.
    """
    words = {name: _Words() for name in ("artist", "album", "existing_genre", "reason")}
    for row in rows:
        for name, column in words.items():
            column.add(row[name])
    known = {genre: number for number, genre in enumerate(genres)}
    values = {
        "genre": [known.get(row["genre"], -1) for row in rows],
        "confidence": [_permille(row["confidence"]) for row in rows],
        "title": [row["title"] or 0 for row in rows],
        "seconds": [round(row["duration_seconds"] or 0) for row in rows],
        "status": [STATUSES.index(row["status"]) for row in rows],
        "disagrees": [number for number, row in enumerate(rows) if _disagrees(row)],
        "copies": _copies(rows),
        **_paths(rows, page_folder),
        **{name: column.as_json() for name, column in words.items()},
    }
    return values, _blobs(rows, known, model_genres)


def _disagrees(row: Row) -> bool:
    heard, existing = row["genre"], row["existing_genre"]
    return bool(heard and existing) and not agrees(existing, heard)


def _permille(probability: float | None) -> int:
    return -1 if probability is None else round(1000 * probability)


def _copies(rows: list[Row]) -> list[list[int]]:
    """Return the row numbers of files that hold the same audio, group by group."""
    number = {row["path"]: index for index, row in enumerate(rows)}
    return [[number[row["path"]] for row in group] for group in find_copies(rows)]


def _paths(rows: list[Row], page_folder: bytes | None) -> dict[str, Any]:
    """Return folders and names as text, and where a link to a file leads.

    A name that text can't carry, since its bytes are no UTF-8 or would act on the reader's
    screen, is shown with escapes; its link is made of the very bytes.
    """
    folders: dict[bytes, int] = {}
    shown, links = [], []
    names, odd = [], {}
    folder_of = []
    for number, row in enumerate(rows):
        folder, name = os.path.split(row["path"])
        if folder not in folders:
            folders[folder] = len(folders)
            shown.append(display_path(os.fsdecode(folder)))
            links.append(folder_link(folder, page_folder))
        folder_of.append(folders[folder])
        names.append(display_path(os.fsdecode(name)))
        if names[-1].encode() != name:
            odd[number] = quote_from_bytes(name, safe="")
    return {"folders": shown, "links": links, "folder": folder_of, "name": names, "odd": odd}


def folder_link(folder: bytes, page_folder: bytes | None) -> str:
    """Return the URL of a folder with a slash at its end, relative if it is below the page's."""
    if is_url(os.fsdecode(folder)):
        return f"{quote_from_bytes(folder, safe='/:')}/"
    if page_folder is not None and folder == page_folder:
        return "./"
    if page_folder is not None and folder.startswith(page_folder.rstrip(b"/") + b"/"):
        below = folder[len(page_folder.rstrip(b"/")) + 1 :]
        return f"./{quote_from_bytes(below)}/"
    if os.name == "nt":
        return Path(os.fsdecode(folder)).as_uri() + "/"
    return f"file://{quote_from_bytes(folder).rstrip('/')}/"


def _blobs(
    rows: list[Row], known: dict[str, int], model_genres: dict[str, list[str]]
) -> dict[str, str]:
    """Return probabilities, and those of each slice with where it starts.

    ``track``: uint8 (n_rows, n_genres); ``slices``: uint8 (all slices of all rows, n_genres);
    ``starts``: uint16 little-endian (all slices), shares of the duration; ``count``: uint8
    (n_rows), slices of each row.
    """
    track = np.zeros((len(rows), len(known)), np.uint8)
    count = np.zeros(len(rows), np.uint8)
    slices, starts = [], []
    for number, row in enumerate(rows):
        for genre, probability in row["probabilities"].items():
            track[number, known[genre]] = round(255 * probability)
        own = model_genres.get(row["model_id"] or "", [])
        heard = _slices(row, own)
        count[number] = len(heard)
        in_order = np.zeros((len(heard), len(known)), np.uint8)
        in_order[:, [known[genre] for genre in own]] = heard
        slices.append(in_order)
        starts.append(_starts(row, len(heard)))
    return {
        "track": _base64(track),
        "count": _base64(count),
        "slices": _base64(np.concatenate([np.zeros((0, len(known)), np.uint8), *slices])),
        "starts": _base64(np.concatenate([np.zeros(0, np.uint16), *starts]).astype("<u2")),
    }


def _slices(row: Row, genres: list[str]) -> np.ndarray[Any, Any]:
    """Return a row's slices as uint8 (n_slices, n_genres) of its model; none if garbled."""
    stored = np.frombuffer(row["slice_probabilities"] or b"", np.uint8)
    if not genres or stored.size % len(genres) or stored.size // len(genres) > 255:
        stored = stored[:0]
    return stored.reshape(-1, max(1, len(genres)))[:, : len(genres)]


def _starts(row: Row, n_slices: int) -> np.ndarray[Any, Any]:
    seconds = np.zeros(n_slices)
    stored = json.loads(row["slice_seconds"] or "[]")[:n_slices]
    seconds[: len(stored)] = stored
    share = np.clip(seconds / (row["duration_seconds"] or 1.0), 0, 1)
    return np.round(share * START_STEPS).astype(np.uint16)


def _base64(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
