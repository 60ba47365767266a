"""A model bundle: a folder that holds a network and says everything needed to use it.

``model.json`` describes the network (genres, features, slices, calibration, how it was trained
and how well it does), ``network.tflite`` is what scanning runs, ``network.keras`` is for training
on, ``metrics.json`` is the whole evaluation. Nothing in a bundle is executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tagger
from tagger.errors import BundleError
from tagger.sound.features import FeatureSettings, settings_from_json
from tagger.sound.slices import SLICE_COUNT

FORMAT = 1
DEFAULT_MODEL = "musicnn"

CARD_FILE = "model.json"
NETWORK_FILE = "network.tflite"
KERAS_FILE = "network.keras"
METRICS_FILE = "metrics.json"
LICENCE_FILE = "LICENSE.md"  # of what a network was made from
WEIGHTS_FILE = "weights.npz"  # of a start: a network to train from that knows no genres


@dataclass(frozen=True)
class Bundle:
    """A model bundle's description, checked against its files.

    Attributes
    ----------
    folder : Path
    name, architecture : str
    genres : tuple of str
        In the order of the network's outputs.
    features : FeatureSettings
    slice_count : int
        Slices heard per track.
    temperature : float
        Calibration: the averaged log-probabilities are divided by it.
    sha256 : str
        Of the network file.
    card : dict
        All of ``model.json``: training data, split, accuracy, licence.
    """

    folder: Path
    name: str
    architecture: str
    genres: tuple[str, ...]
    features: FeatureSettings
    slice_count: int
    temperature: float
    sha256: str
    card: dict[str, Any] = field(repr=False)

    @property
    def model_id(self) -> str:
        """The name and a short hash of all that decides a prediction."""
        decisive = [self.sha256, self.genres, self.slice_count, self.temperature]
        digest = hashlib.sha256(json.dumps([*decisive, vars(self.features)]).encode())
        return f"{self.name}-{digest.hexdigest()[:8]}"

    def card_text(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(self.card, ensure_ascii=False)

    @property
    def network_path(self) -> Path:
        """The LiteRT network."""
        return self.folder / NETWORK_FILE


def bundled_folder() -> Path:
    """Return the folder of the models that come with tagger: in the wheel, or the checkout's."""
    package = Path(tagger.__file__).parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def bundled_names() -> list[str]:
    """Return the names of the models that come with tagger."""
    return sorted(path.parent.name for path in bundled_folder().glob(f"*/{CARD_FILE}"))


def find_bundle(name_or_folder: str = DEFAULT_MODEL) -> Path:
    """Return the folder of a model, given a bundled model's name or a folder.

    Raises
    ------
    BundleError
        If there is no such model.
    """
    for folder in (bundled_folder() / name_or_folder, Path(name_or_folder)):
        if (folder / CARD_FILE).is_file():
            return folder
    names = ", ".join(bundled_names()) or "none"
    raise BundleError(
        f"no model {name_or_folder!r}: give a folder with a {CARD_FILE}, or one of: {names}"
    )


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle's description and check that its network is the one described.

    Raises
    ------
    BundleError
        If a file is missing or altered, or the description is of a kind not known.
    """
    card = read_card(folder)
    if "genres" not in card:
        raise BundleError(f"model {folder} is a start for training: it knows no genres")
    try:
        bundle = Bundle(
            folder=folder,
            name=str(card["name"]),
            architecture=str(card["architecture"]),
            genres=tuple(str(genre) for genre in card["genres"]),
            features=settings_from_json(card["features"]),
            slice_count=int(card["slice_count"]),
            temperature=float(card["temperature"]),
            sha256=str(card["network"]["sha256"]),
            card=card,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"model {folder}: {CARD_FILE} lacks or garbles {error}") from error
    _check_file(folder / NETWORK_FILE, bundle.sha256)
    return bundle


def read_card(folder: Path) -> dict[str, Any]:
    """Read a bundle's description alone, without checking its network.

    Raises
    ------
    BundleError
        If it is missing, no JSON, or of a format not known.
    """
    try:
        card: dict[str, Any] = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"model {folder}: {CARD_FILE} can't be read") from error
    except ValueError as error:
        raise BundleError(f"model {folder}: {CARD_FILE} is not valid JSON ({error})") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise BundleError(f"model {folder}: its format is not known to this version of tagger")
    return card


def _check_file(path: Path, sha256: str) -> None:
    """Raise BundleError if a file is missing or not the one described."""
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise BundleError(f"model {path.parent}: {path.name} can't be read") from error
    if digest != sha256:
        raise BundleError(
            f"model {path.parent}: {path.name} is not the file that {CARD_FILE} describes"
            " (its sha256 differs); fetch or train the model again"
        )


def load_start(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read the weights of a network to train from, by name.

    Raises
    ------
    BundleError
        If the bundle is no such start, or its weights are not those described.
    """
    card = read_card(folder)
    if "weights" not in card:
        raise BundleError(f"model {folder} is not a start for training")
    _check_file(folder / WEIGHTS_FILE, card["weights"]["sha256"])
    with np.load(folder / WEIGHTS_FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_start(folder: Path, weights: dict[str, Any], about: dict[str, Any]) -> None:
    """Write a network to train from into ``folder``, with its description."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / WEIGHTS_FILE).open("wb") as file:
        np.savez_compressed(file, **weights)
    sha256 = file_sha256(folder / WEIGHTS_FILE)
    card = {
        "format": FORMAT,
        "name": folder.resolve().name,
        "weights": {"file": WEIGHTS_FILE, "sha256": sha256},
        **about,
    }
    _write_card(folder, card)


def write_card(
    folder: Path,
    *,
    architecture: str,
    genres: tuple[str, ...],
    features: FeatureSettings,
    temperature: float,
    about: dict[str, Any],
) -> Bundle:
    """Describe the network that lies in ``folder``; return the bundle, loaded and checked."""
    card = {
        "format": FORMAT,
        "name": folder.resolve().name,
        "architecture": architecture,
        "genres": list(genres),
        "features": vars(features),
        "slice_count": SLICE_COUNT,
        "temperature": round(temperature, 4),
        "network": {"file": NETWORK_FILE, "sha256": file_sha256(folder / NETWORK_FILE)},
        **about,
    }
    _write_card(folder, card)
    return load_bundle(folder)


def _write_card(folder: Path, card: dict[str, Any]) -> None:
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
