from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import AudioError
from tagger.sound.decode import hear
from tagger.sound.features import FeatureSettings
from tests.conftest import chord, shared, write_wav

SETTINGS = FeatureSettings()

# How far a window may lie from where it should: FFmpeg places it to the sample in these, one
# packet off in Musepack, and within rounded time stamps in the rest.
LAG_SECONDS = {"mp3float": 0.0, "flac": 0.0, "wavpack": 0.0, "pcm_s16be": 0.0, "mpc8": 1.7}
CORPUS = (
    "aiff_s16_44.aiff", "flac_16_44_mono.flac", "m4a_aac128_cover.m4a", "m4b_aac64.m4b",
    "mp3_cbr128_id3v23_cover.mp3", "mp3_id3v23_numeric_genre.mp3",
    "mp3_vbrV0_id3v23_coverpng.mp3", "mp3_vbr_noxing_notags.mp3", "mpc_standard.mpc",
    "ogg_vorbis_mono_22k.ogg", "ogg_vorbis_q6_cover.ogg", "opus_128_cover.opus",
    "wma_v2_128.wma", "wv_lossless.wv",
)  # fmt: skip


def whole_waveform(path: Path) -> np.ndarray:
    """Decode a whole file, without a seek, and resample it in one go: the reference."""
    import av
    import soxr

    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            array = frame.to_ndarray()
            if not frame.format.is_planar:
                array = array.reshape(-1, frame.layout.nb_channels).T
            scale = 2.0 ** (8 * array.itemsize - 1) if array.dtype.kind == "i" else 1.0
            parts.append((array / scale).mean(axis=0))
            rate_hz = frame.sample_rate
    return np.asarray(soxr.resample(np.concatenate(parts), rate_hz, 22_050))


def lag_samples(window: np.ndarray, reference: np.ndarray, first: int) -> int:
    """Return how much later than ``first`` the reference is most like the window."""
    from scipy.signal import correlate

    start = max(0, first - 2 * 22_050)
    around = reference[start : first + len(window) + 2 * 22_050]
    energy = np.cumsum(np.pad(np.square(around), (1, 0)))
    distance = energy[len(window) :] - energy[: -len(window)]
    distance = distance - 2 * correlate(around, window, mode="valid", method="fft")
    return int(distance.argmin()) + start - first


@pytest.mark.parametrize("name", CORPUS)
def test_windows_hold_what_a_whole_decode_has_there(name: str) -> None:
    path = shared("corpus") / name
    decoded = hear(os.fspath(path), SETTINGS)
    reference = whole_waveform(path)
    assert len(decoded.windows) == (5 if name.startswith("aiff") else 10)
    assert decoded.note is None
    for window, waveform in list(zip(decoded.windows, decoded.waveforms, strict=True))[1::3]:
        lag = lag_samples(waveform, reference, window.start_samples)
        assert abs(lag) <= LAG_SECONDS.get(decoded.info.codec, 0.25) * 22_050
        first = window.start_samples + lag
        there = reference[first : first + len(waveform)]
        middle = slice(2_000, len(there) - 2_000)
        rms = np.sqrt(np.mean(np.square(there[middle])))
        assert np.abs(waveform[middle] - there[middle]).mean() < 0.3 * rms


def test_the_end_of_an_mp3_without_a_header_is_counted_not_guessed() -> None:
    path = shared("corpus/mp3_vbr_noxing_notags.mp3")
    seconds = hear(os.fspath(path), SETTINGS).info.duration_seconds
    assert seconds == pytest.approx(len(whole_waveform(path)) / 22_050, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_comes_out_at_22050_hz_and_full_scale(tmp_path: Path, rate_hz: int) -> None:
    path = write_wav(tmp_path / "a.wav", chord(6.0, rate_hz), rate_hz)
    decoded = hear(str(path), SETTINGS)
    expected = chord(6.0, 22_050)
    assert decoded.waveforms.dtype == np.float32
    assert decoded.waveforms.shape == (2, 64_512)
    rms = np.sqrt(np.mean(np.square(decoded.waveforms[1])))
    assert rms == pytest.approx(np.sqrt(np.mean(np.square(expected))), rel=0.05)


def test_stereo_is_the_mean_of_its_channels_as_librosa_has_it(tmp_path: Path) -> None:
    mono = chord(3.0)
    path = write_wav(tmp_path / "a.wav", np.stack([mono, np.zeros_like(mono)], axis=1))
    alone = write_wav(tmp_path / "b.wav", mono)
    both, one = (hear(str(each), SETTINGS).waveforms for each in (path, alone))
    np.testing.assert_allclose(both, one / 2, atol=1e-4)


def test_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    plain = write_wav(tmp_path / "a.wav", chord(3.0))
    odd = os.fsencode(tmp_path) + b"/\xff\xfe \n'\".wav"
    with open(odd, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write(plain.read_bytes())
    both = hear(os.fsdecode(odd), SETTINGS), hear(str(plain), SETTINGS)
    np.testing.assert_array_equal(both[0].waveforms, both[1].waveforms)


def test_a_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "concat:a|b.wav", chord(3.0))
    monkeypatch.chdir(tmp_path)
    assert len(hear("concat:a|b.wav", SETTINGS).windows) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\x7fELF\x02\x01\x01" + bytes(4000), "not an audio file: ELF program"),
        (b"#EXTM3U\n/etc/passwd\n", "not an audio file: playlist"),
        (b"nothing like audio " * 100, "not in a format that can be decoded"),
    ],
)
def test_what_is_not_audio_has_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        hear(str(path), SETTINGS)
    assert str(caught.value) == reason


def test_a_truncated_file_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = shared("corpus/flac_16_44_mono.flac").read_bytes()
    path = tmp_path / "a.flac"
    path.write_bytes(whole[: len(whole) // 2])
    decoded = hear(str(path), SETTINGS)
    assert decoded.note is not None
    assert decoded.note.startswith("truncated after ")
    assert len(decoded.windows) == 10
    assert 20 < decoded.info.duration_seconds < 50
