from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import BundleError
from tagger.model.bundle import bundled_folder, file_sha256, find_bundle, load_bundle
from tagger.model.classifier import Classifier, calibrate
from tagger.sound.features import log_mel
from tests.conftest import chord


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_bundle(find_bundle("cnn")))


def slices(count: int) -> np.ndarray:
    return log_mel(chord(29.5))[: count * 62].reshape(count, 62, 128)


@pytest.mark.parametrize("count", [1, 3, 10, 25])
def test_a_tracks_probabilities_are_the_calibrated_average(
    classifier: Classifier, count: int
) -> None:
    given = np.concatenate([slices(10)] * 3)[:count]
    by_slice, embedding = classifier.slice_outputs(given)
    prediction = classifier.predict(given)
    expected = calibrate(by_slice.mean(axis=0), classifier.bundle.temperature)
    assert list(prediction.probabilities) == list(classifier.bundle.genres)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, rtol=1e-6)
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    stored = np.frombuffer(prediction.slice_probabilities, np.uint8).reshape(count, -1)
    np.testing.assert_allclose(stored / 255, by_slice, atol=0.5 / 255 + 1e-6)
    stored_embedding = np.frombuffer(prediction.embedding, np.float16)
    np.testing.assert_allclose(stored_embedding, embedding.mean(axis=0), rtol=2e-3, atol=1e-3)


def test_values_are_plain_python(classifier: Classifier) -> None:
    prediction = classifier.predict(slices(2))
    assert all(type(value) is float for value in prediction.probabilities.values())
    assert type(prediction.embedding) is bytes


def test_temperature_one_changes_nothing() -> None:
    probabilities = np.array([0.2, 0.5, 0.3], np.float32)
    np.testing.assert_allclose(calibrate(probabilities, 1.0), probabilities, rtol=1e-5)
    assert calibrate(probabilities, 2.0).max() < 0.5 < calibrate(probabilities, 0.5).max()


def test_a_network_that_is_none(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled_folder() / "cnn", tmp_path / "cnn"))
    (folder / "network.tflite").write_bytes(b"no flatbuffer")
    card = json.loads((folder / "model.json").read_text())
    card["network"]["sha256"] = file_sha256(folder / "network.tflite")
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="the network can't be loaded$"):
        Classifier(load_bundle(folder))


def test_a_network_of_another_shape(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled_folder() / "cnn", tmp_path / "cnn"))
    card = json.loads((folder / "model.json").read_text())
    card["features"]["kind"] = "log_mel"
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="the network is not of the shape described$"):
        Classifier(load_bundle(folder))
