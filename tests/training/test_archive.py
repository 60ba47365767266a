from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.sound.features import log_mel
from tagger.training.archive import build_archive, load_archive, save_archive
from tests.conftest import shared
from tests.data import clip, small_archive


def test_values_come_back_within_half_a_level(tmp_path: Path) -> None:
    original = log_mel(clip("jazz", 1))
    save_archive(build_archive([("a", "jazz")], [original], 1024), tmp_path / "a.npz")
    restored = load_archive(tmp_path / "a.npz").log_mel_db(0)
    level_db = float(np.ptp(original)) / 256
    np.testing.assert_allclose(restored, original, atol=level_db / 2 + 1e-4)


def test_slices_follow_one_another_from_the_start() -> None:
    archive = small_archive(1)
    slices = archive.slices(0)
    assert slices.shape == (10, 62, 128)
    np.testing.assert_array_equal(slices.reshape(-1, 128), archive.log_mel_db(0)[:620])


def test_the_shared_archive_loads() -> None:
    archive = load_archive(shared("gtzan/logmel.npz"))
    assert len(archive) == 710
    assert archive.slices(0).shape == (10, 62, 128)


def arrays(**changes: object) -> dict[str, object]:
    archive = small_archive(1)
    names = ("track", "genre", "split", "level", "n_frames", "db_max", "db_range")
    meta = {"sample_rate": 22_050, "n_fft": 2048, "n_mels": 128, "hop_length": 1024}
    return {name: getattr(archive, name) for name in names} | {"meta": json.dumps(meta)} | changes


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"level": np.zeros((3, 64, 100), np.uint8)}, "level is uint8 (3, 64, 100)"),
        ({"level": np.zeros((3, 128, 100), np.float32)}, "level is float32 (3, 128, 100)"),
        ({"genre": np.array(["jazz"])}, "genre has (1,) entries for 3 tracks"),
        ({"n_frames": np.array([9999, 1, 1])}, "n_frames does not fit level"),
        ({"meta": json.dumps({"sample_rate": 44_100})}, "its features are not"),
    ],
)
def test_an_archive_of_the_wrong_shape_is_refused(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    with pytest.raises(DatasetError) as caught:
        load_archive(path)
    assert str(caught.value).startswith(f"{path} can't be used: {fault}")
    assert str(caught.value).endswith("make it with `tagger features`")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{path} does not exist"),
        (b"PK nonsense", "{path} is not a feature archive: "),
        (b"", "{path} is not a feature archive: "),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_archive(path)
    assert str(caught.value).startswith(message.format(path=path))
