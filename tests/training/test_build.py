"""Training end to end on small data: bundles that load, repeat, resume and agree with Keras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.model.architectures import ARCHITECTURES
from tagger.model.bundle import load_bundle
from tagger.model.classifier import Classifier
from tagger.training.build import Plan, train_bundle
from tagger.training.evaluate import hear_archive, metrics
from tagger.training.inputs import cut_slices
from tests.data import small_archive

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_network_trains_and_scans_as_it_trained(tmp_path: Path, architecture: str) -> None:
    archive = small_archive()
    epochs = None if architecture == "musicnn" else 6
    bundle, measured = train_bundle(
        archive, tmp_path / "a", Plan(architecture, "given", epochs=epochs), data_name="small"
    )
    assert measured["held_out"] == "the given valid set"
    assert measured["tracks"] == 6
    assert measured == json.loads((tmp_path / "a" / "metrics.json").read_text())
    for name in ("confusion.png", "calibration.png", *(["learning-curve.png"] if epochs else [])):
        assert (tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG")

    slices = cut_slices(archive, bundle.genres, bundle.features).inputs[:3]
    model = keras.saving.load_model(tmp_path / "a" / "network.keras")
    classifier = Classifier(load_bundle(tmp_path / "a"))
    for index, inputs in enumerate(slices):
        expected = model(inputs)
        probabilities, embedding = classifier.slice_outputs(archive.slices(index))
        np.testing.assert_allclose(probabilities, expected["probabilities"], atol=1e-4)
        largest = float(np.abs(embedding).max())
        np.testing.assert_allclose(embedding, expected["embedding"], atol=1e-3 * largest)


def test_a_trained_network_hears_better_than_chance(tmp_path: Path) -> None:
    archive = small_archive()
    bundle, measured = train_bundle(
        archive, tmp_path / "a", Plan("cnn", "given", epochs=12), data_name="small"
    )
    assert measured["accuracy"] >= 0.8
    heard = hear_archive(bundle, archive.select(archive.split == "valid"))
    assert metrics(heard, bundle.genres)["accuracy"] == measured["accuracy"]


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    bundles = [
        train_bundle(
            small_archive(4), tmp_path / name, Plan("cnn", "tracks", seed, 2), data_name="small"
        )[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    slices = small_archive(1).slices(0)
    first, same, other = (Classifier(bundle).slice_outputs(slices)[0] for bundle in bundles)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_training_goes_on_from_a_bundle(tmp_path: Path) -> None:
    archive = small_archive(4)
    losses: list[float] = []
    plan = Plan("cnn", "given", epochs=6)
    train_bundle(archive, tmp_path / "a", plan, data_name="small")
    train_bundle(
        archive,
        tmp_path / "b",
        Plan("cnn", "given", epochs=1, resume=tmp_path / "a"),
        data_name="small",
        on_epoch=lambda epoch, epochs, logs: losses.append(logs["loss"]),
    )
    assert losses[0] < np.log(3) / 2  # far better than a fresh network's first epoch


def test_folds_judge_every_track_and_learn_from_all(tmp_path: Path) -> None:
    bundle, measured = train_bundle(
        small_archive(), tmp_path / "a", Plan("musicnn", "tracks", folds=3), data_name="small"
    )
    assert measured["tracks"] == 24
    assert measured["held_out"].endswith("each of 3 parts in turn")
    assert bundle.card["training"]["learned_from_slices"] == 240


def test_musicnn_has_no_epochs(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="^musicnn is fitted in one step"):
        train_bundle(
            small_archive(2), tmp_path / "a", Plan("musicnn", "given", epochs=3), data_name="small"
        )


def test_early_stopping_watches_no_held_out_track(tmp_path: Path) -> None:
    seen: list[int] = []
    _, measured = train_bundle(
        small_archive(),
        tmp_path / "a",
        Plan("mlp", "given", epochs=40, patience=1),
        data_name="small",
        on_epoch=lambda epoch, epochs, logs: seen.append(epoch),
    )
    assert len(seen) < 40
    assert measured["held_out"] == "the given valid set"


def test_other_peoples_folders_are_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="holds other files: choose an empty folder with -o$"):
        train_bundle(small_archive(2), tmp_path, Plan("cnn", "tracks"), data_name="small")


def test_a_resumed_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    archive = small_archive(4)
    train_bundle(archive, tmp_path / "a", Plan("mlp", "given", epochs=1), data_name="small")
    two = archive.select(archive.genre != "rock")
    plan = Plan("mlp", "given", epochs=1, resume=tmp_path / "a")
    with pytest.raises(DatasetError, match=r"was trained on slices \(62, 13\) and 3 genres$"):
        train_bundle(two, tmp_path / "b", plan, data_name="small")
