from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import BundleError
from tagger.model.bundle import (
    bundled_folder,
    bundled_names,
    find_bundle,
    load_bundle,
    load_start,
    read_card,
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled_folder() / "cnn", tmp_path / "cnn"))


def edit(bundle: Path, **changes: Any) -> None:
    card = json.loads((bundle / "model.json").read_text())
    (bundle / "model.json").write_text(json.dumps(card | changes))


def test_every_bundled_model_loads_and_describes_itself() -> None:
    assert "cnn" in bundled_names()
    for name in bundled_names():
        if "genres" not in read_card(find_bundle(name)):
            assert load_start(find_bundle(name))["dense.kernel"].dtype == "float32"
            continue
        bundle = load_bundle(find_bundle(name))
        assert bundle.name == name
        assert bundle.model_id.startswith(f"{name}-")
        assert bundle.card["licence"]


def test_the_id_changes_with_what_decides_a_prediction(bundle: Path) -> None:
    before = load_bundle(bundle).model_id
    edit(bundle, about="other words")
    assert load_bundle(bundle).model_id == before
    edit(bundle, temperature=3.0)
    assert load_bundle(bundle).model_id != before


def test_an_altered_network_is_refused(bundle: Path) -> None:
    with (bundle / "network.tflite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)
    assert str(caught.value) == (
        f"model {bundle}: network.tflite is not the file that model.json describes"
        " (its sha256 differs); fetch or train the model again"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its format is not known to this version of tagger"),
        ({"genres": None}, "model.json lacks or garbles"),
        ({"temperature": "hot"}, "model.json lacks or garbles"),
        ({"features": {"colour": 1}}, "unknown feature settings"),
        ({"features": {"hop_length": 7}}, "these feature settings are not supported"),
    ],
)
def test_a_broken_description_is_refused(
    bundle: Path, changes: dict[str, Any], message: str
) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(bundle)


def test_files_that_are_missing_or_no_json(bundle: Path) -> None:
    (bundle / "network.tflite").unlink()
    with pytest.raises(BundleError, match=r"network\.tflite can't be read$"):
        load_bundle(bundle)
    (bundle / "model.json").write_text("{")
    with pytest.raises(BundleError, match="model"):
        load_bundle(bundle)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(BundleError, match=r"^no model 'nonsense': give a folder with a model.json"):
        find_bundle("nonsense")
