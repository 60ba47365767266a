from __future__ import annotations

import numpy as np
import pytest

from tagger.model.bundle import find_bundle, load_start
from tagger.model.musicnn import build_musicnn, from_published, get_weights, prune
from tests.conftest import shared

pytest.importorskip("keras")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(shared("pretrained/golden.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def published(golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with np.load(shared("pretrained/musicnn_46ms.npz")) as file:
        return from_published(dict(file)) | {"bands.kernel": golden["mel_to_bands"]}


def test_the_published_network_gives_its_golden_output(
    golden: dict[str, np.ndarray], published: dict[str, np.ndarray]
) -> None:
    outputs = build_musicnn(published)(golden["log_mel_db"][None])
    for name in ("pooled", "embedding", "tags"):
        np.testing.assert_allclose(outputs[name][0], golden[name], atol=1e-4)


def test_pruning_changes_next_to_nothing(
    golden: dict[str, np.ndarray], published: dict[str, np.ndarray]
) -> None:
    pruned = prune(published)
    sizes = [sum(array.size for array in arrays.values()) for arrays in (published, pruned)]
    assert sizes[1] < 0.4 * sizes[0]
    outputs = build_musicnn(pruned)(golden["log_mel_db"][None])
    np.testing.assert_allclose(outputs["embedding"][0], golden["embedding"], atol=5e-3)
    np.testing.assert_allclose(outputs["tags"][0], golden["tags"], atol=5e-4)


def test_weights_come_out_as_they_went_in() -> None:
    weights = load_start(find_bundle("musicnn-msd"))
    again = get_weights(build_musicnn(weights))
    assert set(again) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(again[name], array)
