"""Golden tests against librosa, whose numbers these are."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.sound.features import (
    FeatureSettings,
    log_mel,
    mel_filter_bank,
    mfcc,
)
from tagger.sound.slices import log_mel_slices, slice_starts, slice_window
from tests.conftest import chord

librosa = pytest.importorskip("librosa")

GOLDEN_DB = 1e-3


def librosa_log_mel(waveform: np.ndarray, hop_length: int) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=22_050, n_fft=2048, hop_length=hop_length, n_mels=128
    )
    return np.asarray(librosa.power_to_db(mel, ref=1.0, top_db=80)).T


def test_mel_filter_bank_is_librosas() -> None:
    golden = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=128).T
    np.testing.assert_allclose(mel_filter_bank(), golden, atol=1e-7)


@pytest.mark.parametrize("hop_length", [512, 1024])
@pytest.mark.parametrize("seconds", [0.5, 3.0, 30.0])
def test_log_mel_is_librosas(hop_length: int, seconds: float) -> None:
    waveform = chord(seconds)
    golden = librosa_log_mel(waveform, hop_length)
    np.testing.assert_allclose(log_mel(waveform, hop_length), golden, atol=GOLDEN_DB)


def test_log_mel_of_quiet_and_silent_sound_is_librosas() -> None:
    for factor in (1e-4, 0.0):
        waveform = (chord(3.0) * factor).astype(np.float32)
        golden = librosa_log_mel(waveform, 1024)
        np.testing.assert_allclose(log_mel(waveform), golden, atol=GOLDEN_DB)


def test_mfcc_is_librosas() -> None:
    log_mel_db = log_mel(chord(3.0))
    golden = librosa.feature.mfcc(S=log_mel_db.T, n_mfcc=13).T
    np.testing.assert_allclose(mfcc(log_mel_db), golden, atol=GOLDEN_DB)


@pytest.mark.parametrize("hop_length", [512, 1024])
def test_slices_of_a_clip_are_the_frames_of_its_whole_spectrogram(hop_length: int) -> None:
    settings = FeatureSettings(hop_length=hop_length)
    waveform = chord(29.5)
    windows = [slice_window(start, settings) for start in slice_starts(len(waveform), settings)]
    padded = np.pad(waveform, 1024)
    cut = np.stack([padded[w.start_samples + 1024 : w.stop_samples + 1024] for w in windows])
    slices = log_mel_slices(cut, settings)
    whole = log_mel(waveform, hop_length)[: 10 * settings.slice_frames]
    np.testing.assert_allclose(slices.reshape(-1, 128), whole, atol=GOLDEN_DB)


def test_a_slice_has_62_frames_at_hop_1024_and_124_at_the_articles() -> None:
    assert FeatureSettings(hop_length=1024).input_shape == (62, 128)
    assert FeatureSettings(hop_length=512, kind="mfcc").input_shape == (124, 13)
