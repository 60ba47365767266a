from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.model.musicnn import build_musicnn, from_published, prune
from tagger.training.distil import (
    TEACHER_FRAMES,
    distil,
    first_student,
    hear_folders,
    mel_to_bands,
    read_teacher,
)
from tests.conftest import chord, shared, write_wav

pytest.importorskip("keras")


def test_bands_are_those_of_the_published_student() -> None:
    with np.load(shared("pretrained/golden.npz")) as golden:
        np.testing.assert_allclose(mel_to_bands(), golden["mel_to_bands"], atol=1e-5)


def test_the_bundled_start_is_the_published_one_pruned() -> None:
    from tagger.model.bundle import find_bundle, load_start

    with np.load(shared("pretrained/musicnn_46ms.npz")) as file:
        published = prune(from_published(dict(file)) | {"bands.kernel": mel_to_bands()})
    bundled = load_start(find_bundle("musicnn-msd"))
    assert set(bundled) == set(published)
    for name, array in bundled.items():
        np.testing.assert_allclose(array, published[name], atol=1e-6)


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    teacher = read_teacher(shared("pretrained/msd_musicnn.npz"))
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", chord(30.0, pitch_hz=110.0 * 2**number))
    pairs = hear_folders([tmp_path], seed=0)
    assert pairs.log_mel_db.shape == (30, 62, 128)
    assert pairs.bands.shape == (30, TEACHER_FRAMES, 96)
    target = build_musicnn(teacher, TEACHER_FRAMES).predict(pairs.bands, verbose=0)["embedding"]

    def error(student: dict[str, np.ndarray]) -> float:
        heard = build_musicnn(student).predict(pairs.log_mel_db, verbose=0)["embedding"]
        return float(np.square(heard - target).mean())

    first = first_student(teacher)
    assert error(distil(teacher, first, pairs, epochs=3)) < error(first)
