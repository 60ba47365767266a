"""What a fingerprint tells apart, and what it doesn't."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
from mutagen import id3

from tagger.library import identity
from tagger.library.identity import fingerprint
from tagger.sound.regions import read_layout
from tagger.sound.sources import open_source
from tests.conftest import chord, shared, write_wav
from tests.hostile import makers
from tests.hostile.makers import FORMATS, changed, encode, riff, sound
from tests.tags.sounds import KINDS, add_tags, id3v1, sounds

CORPUS = (
    "aiff_s16_44.aiff", "flac_16_44_mono.flac", "m4a_aac128_cover.m4a", "m4b_aac64.m4b",
    "mp3_cbr128_id3v23_cover.mp3", "mp3_vbr_noxing_notags.mp3", "mpc_standard.mpc",
    "ogg_vorbis_q6_cover.ogg", "opus_128_cover.opus", "wma_v2_128.wma", "wv_lossless.wv",
)  # fmt: skip

__all__ = ["sounds"]


def of(path: Path | str) -> str:
    with open_source(os.fspath(path)) as source, Path(path).open("rb", buffering=0) as file:
        return fingerprint(file, read_layout(file), source.info)


def of_bytes(folder: Path, data: bytes, name: str = "a") -> str:
    path = folder / name
    path.write_bytes(data)
    return of(path)


@pytest.mark.parametrize("kind", KINDS)
def test_tags_do_not_change_it(
    kind: str, tmp_path: Path, sounds: Callable[[str, Path], Path]
) -> None:
    path = sounds(kind, tmp_path)
    if kind == "spx":
        pytest.skip("its packets are made up: no decoder opens it")
    plain = of(path)
    add_tags(path, ["Jazz"])
    small = path.stat().st_size
    assert of(path) == plain
    grow(path)
    assert path.stat().st_size > small + 300_000
    assert of(path) == plain
    mutagen.File(path).delete()
    assert of(path) == plain


def grow(path: Path) -> None:
    """Put in tags of 400 KB, as large covers make them."""
    audio: Any = mutagen.File(path)
    text = "x" * 400_000
    if isinstance(audio.tags, id3.ID3):
        audio.tags.add(id3.TXXX(encoding=3, desc="big", text=text))
    elif "m4a" in path.name:
        audio.tags["----:com.example:Big"] = [text.encode()]
    else:
        audio.tags["Big"] = [text] if not hasattr(audio.tags, "unknown") else text
    audio.save()


@pytest.mark.parametrize("name", CORPUS)
def test_tags_do_not_change_it_in_real_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copyfile(shared(f"corpus/{name}"), path)
    before = of(path)
    add_tags(path, ["Jazz"])
    assert of(path) == before


@pytest.mark.parametrize("kind", ["mp3", "aac", "ac3", "mp2", "tta", "wv"])
@pytest.mark.parametrize("share", [1.0, 0.77])
def test_tags_around_bare_frames_do_not_change_it(tmp_path: Path, kind: str, share: float) -> None:
    plain = makers.cut(kind, share)
    ape = apev2()
    variants = {
        "ID3v2": makers.id3v2(5_000) + plain,
        "two ID3v2": makers.id3v2(50) + makers.id3v2(70) + plain,
        "padded ID3v2": makers.id3v2(50) + bytes(2_000) + plain,
        "ID3v1": plain + id3v1("title", 7),
        "APEv2": plain + ape,
        "APEv2 and ID3v1": plain + ape + id3v1("title", 7),
        "Lyrics3": plain + b"LYRICSBEGIN" + b"x" * 89 + b"000100LYRICS200" + id3v1("t", 7),
        "padding between": makers.id3v2(50) + bytes(2_000) + makers.id3v2(50) + plain,
        "all": makers.id3v2(300) + plain + ape + id3v1("title", 7),
    }
    if kind in ("tta", "wv"):  # no decoder finds them behind that
        del variants["padded ID3v2"], variants["padding between"], variants["two ID3v2"]
    if kind == "wv":
        del variants["ID3v2"], variants["all"]
    expected = of_bytes(tmp_path, plain, f"a.{kind}")
    got = {name: of_bytes(tmp_path, data, f"a.{kind}") for name, data in variants.items()}
    assert got == dict.fromkeys(variants, expected)


def apev2() -> bytes:
    from mutagen.apev2 import APEv2

    file = io.BytesIO()
    tags = APEv2()
    tags["Title"] = "x" * 3_000
    tags.save(file)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_it_is_the_same_each_time_and_another_for_other_sound(tmp_path: Path, kind: str) -> None:
    codec, format_, rate_hz = FORMATS[kind]
    first = of_bytes(tmp_path, sound(kind))
    assert of_bytes(tmp_path, bytes(sound(kind)), "b") == first
    other = encode(chord(12.0, rate_hz, pitch_hz=221.0), codec, format_, rate_hz)
    assert of_bytes(tmp_path, other) != first
    longer = encode(chord(12.1, rate_hz), codec, format_, rate_hz)
    assert of_bytes(tmp_path, longer) != first


@pytest.mark.parametrize(
    "kind", ["wav", "aiff", "caf", "flac", "mp3", "m4a", "ogg", "opus", "wma", "wv", "mka"]
)
def test_a_word_bleeped_out_anywhere_makes_another_track(tmp_path: Path, kind: str) -> None:
    codec, format_, rate_hz = FORMATS[kind]
    explicit = chord(34.0, rate_hz)
    clean = explicit.copy()
    clean[round(3.3 * rate_hz) : round(3.5 * rate_hz)] = 0.0  # between two slices
    layout = "stereo" if kind == "ogg" else "mono"
    both = [encode(each, codec, format_, rate_hz, layout) for each in (explicit, clean)]
    assert len({of_bytes(tmp_path, each) for each in both}) == 2


def test_silences_of_different_lengths_differ(tmp_path: Path) -> None:
    lengths = (3.0, 6.0, 6.001, 60.0)
    found = {of(write_wav(tmp_path / "a.wav", np.zeros(round(s * 22_050)))) for s in lengths}
    assert len(found) == len(lengths)


def test_the_same_bytes_at_another_rate_are_another_track(tmp_path: Path) -> None:
    waveform = chord(3.0)
    slow, fast = (write_wav(tmp_path / f"{hz}.wav", waveform, hz) for hz in (22_050, 44_100))
    assert of(slow) != of(fast)


def test_a_wav_written_as_a_stream_is_known_by_all_its_sound(tmp_path: Path) -> None:
    found = set()
    for pitch_hz in (220.0, 330.0):
        form, _ = makers.pcm()
        data = (chord(6.0, pitch_hz=pitch_hz) * 32_767).astype("<i2").tobytes()
        for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
            found.add(of_bytes(tmp_path, changed(riff((b"fmt ", form), (b"data", data)), 40, size)))
    assert len(found) == 2


def test_chunks_around_the_sound_of_a_wav_do_not_change_it(tmp_path: Path) -> None:
    form, data = makers.pcm()
    plain = of_bytes(tmp_path, riff((b"fmt ", form), (b"data", data)))
    wrapped = riff(
        (b"JUNK", bytes(28)), (b"fmt ", form), (b"bext", bytes(603)), (b"data", data),
        (b"LIST", b"INFOIART\x04\0\0\0abc\0"), (b"id3 ", makers.id3v2(99)),
    )  # fmt: skip
    assert of_bytes(tmp_path, wrapped) == plain


def test_where_the_index_of_an_mp4_lies_does_not_matter(tmp_path: Path) -> None:
    at_end = sound("m4a")
    moov = at_end.index(b"moov") - 4
    mdat = at_end.index(b"mdat") - 4
    assert mdat < moov
    free = b"\0\0\1\0free" + bytes(248)
    moved = at_end[:mdat] + free + at_end[mdat:]
    before, after = (tmp_path / name for name in ("a.m4a", "b.m4a"))
    before.write_bytes(at_end)
    after.write_bytes(moved)
    with before.open("rb") as one, after.open("rb") as two:
        [first], [second] = read_layout(one).regions, read_layout(two).regions
        assert second == (first[0] + 256, first[1])


def test_flac_without_a_checksum_is_known_by_its_frames(tmp_path: Path) -> None:
    whole = sound("flac")
    without = changed(whole, 26, bytes(16))
    assert of_bytes(tmp_path, without) != of_bytes(tmp_path, whole)
    other = changed(without, len(whole) // 2, b"\x55")
    assert of_bytes(tmp_path, other) != of_bytes(tmp_path, without)


def test_a_truncated_flac_is_not_the_whole_one(tmp_path: Path) -> None:
    assert of_bytes(tmp_path, makers.cut("flac", 0.5)) != of_bytes(tmp_path, sound("flac"))


def test_of_very_long_sound_blocks_all_over_it_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "WHOLE_BYTES", 200_000)
    monkeypatch.setattr(identity, "BLOCK_BYTES", 1_000)
    form, data = makers.pcm(seconds=6.0)
    plain = of_bytes(tmp_path, riff((b"fmt ", form), (b"data", data)))
    for place in (0, len(data) - 1, (len(data) - 984) * 31 // 63 + 500):
        other = riff((b"fmt ", form), (b"data", changed(data, place, bytes([data[place] ^ 1]))))
        assert of_bytes(tmp_path, other) != plain
    assert of_bytes(tmp_path, riff((b"fmt ", form), (b"data", data[:-2]))) != plain
    assert of_bytes(tmp_path, riff((b"fmt ", form), (b"data", data), (b"LIST", b"INFO"))) == plain
