"""Makers of a results database without any audio: for the page, playlists and their speed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tagger.genres import GENRES
from tagger.library.classify import TrackResult
from tagger.library.store import Store

MODEL_ID = "model-00000000"
CARD = {
    "about": "a model for tests",
    "accuracy": {"accuracy": 0.75, "tracks": 200, "held_out": "tracks by unseen artists"},
    "training": {"data": "made up", "split": "artists"},
    "licence": "MIT",
}
SLICES = 10
TAGS = (None, "Rock", "Jazz", "Hard Rock", "Hip Hop", "Electronic")

# Names that would be markup, addresses or line ends somewhere; some are no UTF-8.
HOSTILE_NAMES = (
    b"<script>window.hacked=1;.wav",
    b"<img src=x onerror=window.hacked=1>.wav",
    b"\"'onerror='window.hacked=1' x=\".wav",
    b"line\nend.wav",
    b"latin-1 caf\xe9.wav",
    b"100% #1? & more;.wav",
    "\u202egnp.wav".encode(),
    b"<!--<script>.wav",
    b" spaces .wav ",
    b"#comment.wav",
    b"http:.wav",
    "Sigur Rós ágætis 🎵.wav".encode(),
)
HOSTILE_TEXTS = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "\u2028`${window.hacked=1}`",
    "<!--<script>",
)


def track(number: int, path: str, **changes: Any) -> TrackResult:
    """Return what a scan would find of a made-up track; the same number gives the same."""
    rng = np.random.default_rng(number)
    shares = rng.dirichlet(np.full(len(GENRES), 0.35))
    slices = rng.dirichlet(shares * 20 + 0.01, SLICES)
    duration = 120.0 + number % 200
    values: dict[str, Any] = {
        "status": "classified",
        "size": 4_000_000 + number,
        "identity": f"{number:032x}",
        "duration_seconds": duration,
        "container": "flac",
        "codec": "flac",
        "sample_rate_hz": 44_100,
        "channels": 2,
        "title": f"Song {number}",
        "artist": f"Artist {number // 30}",
        "album": f"Album {number // 10}",
        "album_artist": f"Artist {number // 30}",
        "date": str(1960 + number % 60),
        "existing_genre": TAGS[number % len(TAGS)],
        "probabilities": dict(zip(GENRES, map(float, shares), strict=True)),
        "slice_seconds": [duration * (n + 0.5) / SLICES for n in range(SLICES)],
        "slice_probabilities": np.round(255 * slices).astype(np.uint8).tobytes(),
    }
    return TrackResult(path, **values | changes)


def failure(path: str, reason: str, status: str = "failed") -> TrackResult:
    return TrackResult(path, status, size=10, reason=reason)


def plain_tracks(count: int, root: str = "/music") -> list[TrackResult]:
    """Return tracks in folders by artist and album."""
    return [
        track(n, f"{root}/Artist {n // 30}/Album {n // 10}/{n % 10 + 1:02} Song {n}.flac")
        for n in range(count)
    ]


def write_database(path: Path, results: Iterable[TrackResult]) -> Path:
    """Store results as a scan does."""
    with Store(path) as store, store.transaction():
        store.add_model(MODEL_ID, "model", GENRES, json.dumps(CARD))
        scan_id = store.start_scan(["/music"], MODEL_ID)
        for result in results:
            store.add_result(result, MODEL_ID, scan_id)
    return path
