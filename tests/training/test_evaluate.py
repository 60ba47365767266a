from __future__ import annotations

import numpy as np
import pytest

from tagger.model.classifier import calibrate
from tagger.training.evaluate import Heard, expected_calibration_error, fit_temperature, metrics

GENRES = ("blues", "jazz", "rock")


def test_metrics_by_hand() -> None:
    track = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]], np.float32)
    slices = [np.stack([row, np.roll(row, 1)]) for row in track]
    measured = metrics(Heard(np.array([0, 1, 2]), track, slices), GENRES)
    assert measured["tracks"] == 3
    assert measured["accuracy"] == 0.6667
    assert measured["slice_accuracy"] == 0.5  # 1 of 2, 1 of 2 (rolled onto jazz), 1 of 2
    assert measured["confusion"] == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert measured["per_genre"]["blues"] == {
        "tracks": 1, "precision": 0.5, "recall": 1.0, "recall_interval": [0.2065, 1.0],
        "f1": 0.6667,
    }  # fmt: skip
    assert measured["accuracy_interval"] == [0.2077, 0.9385]
    assert measured["thresholds"]["0.7"] == {
        "called": 0.6667, "precision": 1.0,
        "per_genre": {"blues": 1.0, "jazz": None, "rock": 1.0},
    }  # fmt: skip
    assert measured["thresholds"]["0.6"]["per_genre"]["blues"] == 0.5
    assert measured["calibration"] == [
        {"tracks": 1, "confidence": 0.6, "accuracy": 0.0},
        {"tracks": 1, "confidence": 0.7, "accuracy": 1.0},
        {"tracks": 1, "confidence": 0.8, "accuracy": 1.0},
    ]
    assert measured["per_genre"]["jazz"]["f1"] == 0.0
    assert measured["ece"] == pytest.approx((0.2 + 0.6 + 0.3) / 3, abs=1e-4)


def test_calibration_error_of_an_honest_model_is_small() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 20_000)
    track = np.stack([confidence, 1 - confidence], axis=1).astype(np.float32)
    label = (rng.uniform(size=20_000) > confidence).astype(int)
    assert expected_calibration_error(track, label) < 0.02
    assert expected_calibration_error(track, 1 - label) > 0.4


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3) * 0.7, 20_000).astype(np.float32)
    label = np.array([rng.choice(3, p=row / row.sum()) for row in honest.astype(float)])
    boastful = calibrate(honest, 0.5)
    assert fit_temperature(boastful, label) == pytest.approx(2.0, rel=0.1)
