from __future__ import annotations

import numpy as np
import pytest

from tagger.sound.features import SAMPLE_RATE_HZ, FeatureSettings
from tagger.sound.slices import is_silent, slice_starts

SETTINGS = FeatureSettings()
LENGTH = SETTINGS.slice_samples


@pytest.mark.parametrize("seconds", [29.0, 30.0, 30.65])
def test_a_clip_is_cut_into_ten_slices_from_its_start(seconds: float) -> None:
    starts = slice_starts(round(seconds * SAMPLE_RATE_HZ), SETTINGS)
    assert starts == [index * LENGTH for index in range(10)]


@pytest.mark.parametrize(("seconds", "slices"), [(20.0, 6), (3.0, 1), (2.0, 1), (0.1, 1)])
def test_a_shorter_clip_gets_the_slices_that_fit_at_least_one(seconds: float, slices: int) -> None:
    starts = slice_starts(round(seconds * SAMPLE_RATE_HZ), SETTINGS)
    assert starts == [index * LENGTH for index in range(slices)]


@pytest.mark.parametrize("seconds", [31.0, 240.0, 5400.0])
def test_a_longer_track_is_heard_from_beginning_to_end(seconds: float) -> None:
    n_samples = round(seconds * SAMPLE_RATE_HZ)
    starts = np.array(slice_starts(n_samples, SETTINGS))
    assert len(starts) == 10
    parts = (starts + LENGTH / 2) // (n_samples / 10)
    assert parts.tolist() == list(range(10))  # one slice in each tenth
    assert starts[0] >= 0
    assert starts[-1] + LENGTH <= n_samples


def test_more_slices_than_fit_follow_one_another() -> None:
    starts = slice_starts(60 * SAMPLE_RATE_HZ, SETTINGS, count=30)
    assert starts == [index * LENGTH for index in range(20)]


def test_silence_is_below_one_16_bit_step() -> None:
    assert is_silent(np.zeros((2, 100), np.float32))
    assert is_silent(np.full((2, 100), 0.9 / 32_768, np.float32))
    assert not is_silent(np.full((2, 100), 1.1 / 32_768, np.float32))
