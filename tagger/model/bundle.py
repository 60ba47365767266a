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

import tagger
from tagger.errors import BundleError
from tagger.sound.features import FeatureSettings, settings_from_json
from tagger.sound.slices import SLICE_COUNT

FORMAT = 1
DEFAULT_MODEL = "cnn"

CARD_FILE = "model.json"
NETWORK_FILE = "network.tflite"
KERAS_FILE = "network.keras"
METRICS_FILE = "metrics.json"


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
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        digest = file_sha256(folder / NETWORK_FILE)
    except OSError as error:
        raise BundleError(f"model {folder}: {error.filename} can't be read") from error
    except ValueError as error:
        raise BundleError(f"model {folder}: {CARD_FILE} is not valid JSON ({error})") from error
    try:
        if card["format"] != FORMAT:
            raise BundleError(
                f"model {folder}: format {card['format']} is not known to this version of tagger"
            )
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
    if digest != bundle.sha256:
        raise BundleError(
            f"model {folder}: {NETWORK_FILE} is not the file that {CARD_FILE} describes"
            " (its sha256 differs); fetch or train the model again"
        )
    return bundle


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
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")
    return load_bundle(folder)


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
