"""The library as one self-contained HTML page: an overview, and the whole table below it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tagger
from tagger.genres import MIN_CONFIDENCE, tag_name
from tagger.library.store import display_text, now
from tagger.report.columns import columns
from tagger.report.overview import HISTOGRAM_BINS, Row, is_sure, overview

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

# Told apart by hue and lightness on white and on near-black; numbers stand beside every colour.
COLOURS = (
    "#4477aa", "#ee8866", "#228833", "#aa4499", "#ccbb44", "#66ccee", "#aa3333", "#bb88dd",
    "#44aa99", "#888888",
)  # fmt: skip


@dataclass(frozen=True)
class PageOptions:
    """What shapes a page.

    Attributes
    ----------
    min_confidence : float
        Tracks heard less surely count as "not sure".
    folder : Path or None
        Where the page will lie: files at or below it are linked relative to it.
    title : str
    """

    min_confidence: float = MIN_CONFIDENCE
    folder: Path | None = None
    title: str = "Music library"


def render_page(
    rows: Iterable[Row],
    genres: list[str],
    models: dict[str, dict[str, Any]],
    options: PageOptions = PageOptions(),
) -> str:
    """Return the page.

    Parameters
    ----------
    rows : iterable of dict
        The store's.
    genres : list of str
        Every genre that a model knows.
    models : dict of str to dict
        The store's model cards by id.
    options : PageOptions
    """
    known = list(rows)
    rows = [row for row in known if row["status"] != "missing"]
    folder = os.fsencode(options.folder.absolute()) if options.folder else None
    values, blobs = columns(
        rows, genres, {model_id: card["genres"] for model_id, card in models.items()}, folder
    )
    values |= {
        "genres": genres,
        "genreNames": [tag_name(genre) for genre in genres],
        "sure": "".join("01"[is_sure(row, options.min_confidence)] for row in rows),
    }
    environment = _environment()
    script = (TEMPLATES / "page.js").read_text("utf-8")
    used = {row["model_id"] for row in rows}
    return environment.get_template("page.html").render(
        title=options.title,
        facts=overview(rows, options.min_confidence),
        gone=len(known) - len(rows),
        models={model_id: card for model_id, card in models.items() if model_id in used},
        min_confidence=options.min_confidence,
        bins=HISTOGRAM_BINS,
        colours={genre: COLOURS[n % len(COLOURS)] for n, genre in enumerate(genres)},
        made_at=now(),
        version=tagger.__version__,
        style=(TEMPLATES / "page.css").read_text("utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        columns=script_json(values),
        blobs=blobs,
    )


def script_json(value: Any) -> str:
    """Return JSON that can't end the script element that it stands in, nor begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _environment() -> Environment:
    """Return Jinja2 with everything escaped unless a template says ``safe``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "percent": lambda share: f"{100 * share:.0f} %",
        "genre": tag_name,
        "shown": display_text,
    }
    return environment
