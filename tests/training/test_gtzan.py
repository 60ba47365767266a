from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.errors import DatasetError
from tagger.training.gtzan import extract, list_clips, read_artists, read_track_list
from tests.conftest import shared
from tests.data import clip, write_genre_folders


def test_an_unreadable_clip_is_named_and_passed_over(tmp_path: Path) -> None:
    folder = write_genre_folders(tmp_path / "data")
    broken = folder / "jazz" / "jazz.00054.wav"
    broken.write_bytes(b"not a wave file at all" * 50)
    archive, unreadable = extract(list_clips(folder), workers=2)
    assert archive.track.tolist() == [
        "blues.00000", "blues.00001", "jazz.00000", "jazz.00001", "rock.00000", "rock.00001",
    ]  # fmt: skip
    assert unreadable == {str(broken): "not in a format that can be decoded"}


def test_features_of_a_clip_are_those_of_its_whole_waveform(tmp_path: Path) -> None:
    from tagger.sound.features import log_mel

    folder = write_genre_folders(tmp_path / "data", clips_per_genre=1)
    archive, _ = extract(list_clips(folder))
    whole = log_mel(clip("blues", 0))
    np.testing.assert_allclose(archive.log_mel_db(0), whole[:620], atol=0.35)


def test_a_genre_without_a_readable_clip(tmp_path: Path) -> None:
    folder = write_genre_folders(tmp_path / "data", clips_per_genre=1)
    (folder / "jazz" / "jazz.00000.wav").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"^no readable clip in: jazz$"):
        extract(list_clips(folder))


def test_folders_that_hold_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist$"):
        list_clips(tmp_path / "missing")
    with pytest.raises(DatasetError, match="it needs a folder per genre with audio files in it$"):
        list_clips(tmp_path)


def test_tracks_that_share_an_artist_are_one_group(tmp_path: Path) -> None:
    index = tmp_path / "index.txt"
    index.write_text(
        "## a comment ::: not a track\n"
        "rock.00001.wav ::: The Beatles ::: Help!\n"
        "rock.00002.wav ::: BEATLES & Billy Preston ::: Get Back\n"
        "rock.00003.wav ::: Billy Preston ::: That's the Way\n"
        "pop.00001.wav ::: Beyoncé ::: \n"
        "pop.00002.wav :::  ::: \n"
        "pop.00003.wav :::  ::: \n"
        "pop.00004.wav ::: Beyonce ::: \n"
        "pop.00005.wav :::  ::: \n"
    )
    group = read_artists(index)
    assert group["rock.00001"] == group["rock.00002"] == group["rock.00003"]
    assert group["pop.00001"] == group["pop.00004"]
    assert group["pop.00002"] == group["pop.00003"] != group["pop.00005"]
    assert len(set(group.values())) == 4


def test_sturms_index_knows_every_clip() -> None:
    artists = read_artists(shared("gtzan/splits/GTZANindex.txt"))
    assert len(artists) == 1000
    assert artists["blues.00000"] == artists["blues.00011"] != artists["blues.00012"]


def test_split_lists_name_tracks() -> None:
    named = read_track_list(shared("gtzan/splits/train_filtered.txt"))
    assert len(named) == 443
    assert "blues.00029" in named
