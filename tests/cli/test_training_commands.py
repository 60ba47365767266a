"""features, train, evaluate and models as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_cli, run_without, shared
from tests.data import write_genre_folders, write_small_archive


def test_features_then_train_then_evaluate(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    folder = write_genre_folders(tmp_path / "data", clips_per_genre=4)
    archive = tmp_path / "a.npz"
    assert run_cli("features", folder, "-o", archive).stdout == f"12 tracks written to {archive}\n"
    model = tmp_path / "model"
    result = run_cli(
        "train", archive, "-o", model, "--arch", "cnn", "--split", "tracks", "--epochs", 3
    )
    assert result.exit_code == 0, result.output
    assert "held out: random tracks (an artist may be on both sides) (3 tracks)" in result.stdout
    assert "epoch 3/3: " in result.stderr
    for data in (archive, folder):
        measured = json.loads(run_cli("evaluate", data, "--model", model, "--json").stdout)
        assert measured["tracks"] == 12
        keys = ["accuracy", "slice_accuracy", "ece", "per_genre", "confusion"]
        assert set(keys) <= set(measured)


def test_training_and_scanning_hear_the_same() -> None:
    """The real audio and the shared archive of the same tracks are called alike."""
    from tagger.model.bundle import find_bundle, load_bundle
    from tagger.training.archive import load_archive
    from tagger.training.evaluate import hear_archive, hear_clips
    from tagger.training.gtzan import list_clips

    bundle = load_bundle(find_bundle("cnn"))
    clips = list_clips(shared("gtzan/audio"))
    from_audio, unreadable = hear_clips(bundle, clips, workers=2)
    assert not unreadable
    archive = load_archive(shared("gtzan/logmel.npz"))
    index = {str(track): number for number, track in enumerate(archive.track)}
    same = archive.select(np.array([index[clip.track] for clip in clips]))
    from_archive = hear_archive(bundle, same)
    agreement = (from_audio.track.argmax(axis=1) == from_archive.track.argmax(axis=1)).mean()
    assert agreement >= 0.95


def test_evaluating_one_split() -> None:
    archive = shared("gtzan/logmel.npz")
    measured = json.loads(
        run_cli("evaluate", archive, "--split", "valid", "--model", "cnn", "--json").stdout
    )
    assert measured["tracks"] == 197
    result = run_cli("evaluate", archive, "--split", "moon")
    assert result.exit_code == 2
    assert "has no tracks of split 'moon'; it has: excluded, train, valid" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{tmp}/none.npz", "-o", "{tmp}/m"], "{tmp}/none.npz does not exist"),
        (
            ["train", "{tmp}/empty", "-o", "{tmp}/m"],
            "{tmp}/empty holds no audio: it needs",
        ),
        (["train", "{tmp}/a.npz", "-o", "{tmp}/m", "--arch", "x"], "no architecture 'x': choose"),
        (["train", "{tmp}/a.npz", "-o", "{tmp}/m", "--split", "artists"], "--split artists needs"),
        (["evaluate", "{tmp}/none.npz"], "{tmp}/none.npz does not exist"),
        (["features", "{tmp}/gone", "-o", "{tmp}/b.npz"], "{tmp}/gone does not exist"),
        (["features", "{tmp}/data", "-o", "{tmp}/b.npz", "--hop", "7"], "--hop is 512 or 1024"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_small_archive(tmp_path / "a.npz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "data" / "jazz").mkdir(parents=True)
    (tmp_path / "data" / "jazz" / "a.wav").touch()
    result = run_cli(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.exit_code == 2
    assert result.stderr.startswith("tagger: " + message.format(tmp=tmp_path))
    assert result.stderr.count("\n") == 1


def test_training_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    done = run_without(("tensorflow",), "train", tmp_path, "-o", "x")
    assert done.returncode == 2
    assert done.stderr == (
        "tagger: training needs TensorFlow: install it with `pip install 'tagger[train]'`\n"
    )


def test_models_lists_and_shows_cards() -> None:
    listed = run_cli("models")
    assert "cnn" in listed.stdout
    assert "held out: " in listed.stdout
    cards = json.loads(run_cli("models", "--json").stdout)
    assert cards["cnn"]["genres"][0] == "blues"
    shown = run_cli("models", "cnn")
    assert "  licence: MIT" in shown.stdout
