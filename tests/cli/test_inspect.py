"""``tagger inspect``: the pictures of one track, and its text."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import AudioError
from tagger.sound.decode import hear
from tagger.sound.features import N_FFT, SAMPLE_RATE_HZ, FeatureSettings, power_spectrum
from tagger.sound.whole import view_track
from tests.conftest import chord, run_cli, run_without, write_wav

UNITS = (
    "time (s)",
    "amplitude (full scale = 1)",
    "frequency (Hz)",
    "weight (1/Hz)",
    "power (dB re 1.0)",
    "coefficient (number)",
    "value (dB)",
    "probability (before calibration)",
    "probability",
)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "so$ng_$1.wav", chord(8.0))


def test_a_picture_has_every_panel_and_unit(song: Path, tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    result = run_cli("inspect", song, "-o", tmp_path / "a.svg")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}/a.svg: ")
    picture = (tmp_path / "a.svg").read_text()
    # Matplotlib draws letters as shapes, and says each text in a comment before it.
    texts = re.findall(r"<!-- (.*?) -->", picture)
    assert set(UNITS) <= set(texts)
    titles = ("Waveform", "Spectrogram", "Spectrogram, logarithmic axis", "MFCC")
    assert set(titles) <= set(texts)
    assert any(text.startswith("so$ng_$1.wav: ") for text in texts)
    assert {"Hip-Hop", "Classical"} <= set(texts)
    run_cli("inspect", song, "-o", tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_text() == picture


def test_the_picture_lies_in_this_folder_unless_told(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("librosa")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert run_cli("inspect", song).exit_code == 0
    [picture] = here.iterdir()
    assert picture.name == "so$ng_$1.wav.inspect.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_text_has_a_bar_per_genre_and_needs_no_extra(song: Path) -> None:
    done = run_without(("matplotlib", "librosa"), "inspect", song, "--text")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == str(song)
    assert lines[1] == "0:08; pcm_s16le, 22,050 Hz, mono"
    shares = [re.fullmatch(r"(\S+) +(\d+)%  █* *", line) for line in lines[3:13]]
    assert all(shares)
    assert [line.split()[0] for line in lines[14:]] == ["0:00", "0:02"]


def test_without_the_extra_one_line_says_what_to_install(song: Path) -> None:
    done = run_without(("matplotlib", "librosa"), "inspect", song)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tagger: pictures need librosa and matplotlib: install them with"
        " `pip install 'tagger[train]'`, or see the text with --text\n"
    )


def test_below_the_threshold_it_is_not_sure(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = importlib.import_module("tagger.cli.inspect")
    monkeypatch.setattr(command, "MIN_CONFIDENCE", 1.1)
    assert run_cli("inspect", song, "--text").stdout.splitlines()[2].startswith("not sure: ")
    monkeypatch.setattr(command, "MIN_CONFIDENCE", 0.0)
    assert "not sure" not in run_cli("inspect", song, "--text").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none.mp3"], "{tmp}/none.mp3: can't be read: No such file or directory"),
        (["{tmp}/page.mp3"], "{tmp}/page.mp3: not an audio file: web page"),
        (["{tmp}/silent.wav"], "{tmp}/silent.wav: silence"),
        (["{tmp}/song.wav", "-o", "a.gif"], "a.gif: a picture ends in .png or .svg"),
        (
            ["{tmp}/song.wav", "-o", "{tmp}/none/a.png"],
            "{tmp}/none/a.png can't be written: No such file or directory",
        ),
    ],
)
def test_errors(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "page.mp3").write_text("<!DOCTYPE html>")
    write_wav(tmp_path / "silent.wav", np.zeros(66_150, np.float32))
    write_wav(tmp_path / "song.wav", chord(4.0))
    result = run_cli("inspect", *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (result.exit_code, result.stderr) == (2, f"tagger: {message.format(tmp=tmp_path)}\n")


def test_a_view_has_the_whole_track_and_its_columns_are_means(tmp_path: Path) -> None:
    waveform = chord(65.3)
    path = write_wav(tmp_path / "a.wav", waveform)
    fine = view_track(str(path), max_columns=10_000)
    assert fine.column_samples == 1024
    assert fine.n_samples == len(waveform)
    expected = power_spectrum(np.pad(waveform, N_FFT // 2), 1024)
    assert len(fine.power) == len(expected)
    np.testing.assert_allclose(fine.power[:-1], expected[:-1], rtol=0.01, atol=0.05)
    coarse = view_track(str(path), max_columns=100)
    pool = coarse.column_samples // 1024
    assert len(coarse.power) == len(coarse.peaks) <= 100
    whole = len(fine.power) // pool
    means = fine.power[: whole * pool].reshape(whole, pool, -1).mean(axis=1)
    np.testing.assert_allclose(coarse.power[: whole - 1], means[: whole - 1], rtol=1e-4)
    assert coarse.peaks.max() == pytest.approx(waveform.max(), abs=1e-3)
    assert coarse.peaks.min() == pytest.approx(waveform.min(), abs=1e-3)


def test_a_view_is_as_long_as_what_is_heard(corpus: Path) -> None:
    paths = sorted(path for path in corpus.iterdir() if path.suffix != ".md")
    for path in paths[::4]:
        seconds = hear(str(path), FeatureSettings()).info.duration_seconds
        view = view_track(str(path))
        assert view.n_samples / SAMPLE_RATE_HZ == pytest.approx(seconds, abs=0.3), path.name
        assert len(view.power) <= 1_200


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_truncated_file_is_seen_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = tmp_path / "a.flac"
    source = write_wav(tmp_path / "a.wav", chord(60.0))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, whole], check=True)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    view = view_track(str(cut))
    assert 25 < view.n_samples / SAMPLE_RATE_HZ < 35
    assert np.abs(view.peaks[-2]).max() > 0.1


def test_a_view_of_no_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").touch()
    with pytest.raises(AudioError, match="empty file"):
        view_track(str(tmp_path / "a.mp3"))
