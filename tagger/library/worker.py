"""The task that engines run: classify one file with a network that each worker loads once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tagger.engines import Preparation
from tagger.library.classify import TrackResult, classify_file
from tagger.model.bundle import CARD_FILE, NETWORK_FILE, Bundle, load_bundle
from tagger.model.classifier import Classifier

# What decides results beside our own code.
RESULT_PACKAGES = ("ai-edge-litert", "av", "numpy", "scipy", "soundfile", "soxr")

_classifier: Classifier | None = None


def engine_arguments(bundle: Bundle) -> dict[str, Any]:
    """Return what an engine needs to prepare its workers for ``classify_task``."""
    return {"initializer": load_worker, "initargs": (str(bundle.folder),)}


def preparation(bundle: Bundle) -> Preparation:
    """Return what workers on other machines need to prepare themselves for ``classify_task``."""
    files = {name: (bundle.folder / name).read_bytes() for name in (CARD_FILE, NETWORK_FILE)}
    return Preparation(load_worker, files, RESULT_PACKAGES)


def load_worker(folder: str) -> None:
    """Load the network, once in each worker."""
    global _classifier
    _classifier = Classifier(load_bundle(Path(folder)))


def classify_task(path: str, slice_count: int, known_identity: str | None = None) -> TrackResult:
    """Classify one file in a worker that ``load_worker`` has prepared."""
    if _classifier is None:
        raise RuntimeError("load_worker was not called in this process")
    return classify_file(path, _classifier, slice_count, known_identity)
