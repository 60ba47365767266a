"""ID3v2 tags as bytes: other frames stay as they stand, in every version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.id3 import ID3, TCON

from tagger.errors import TagError
from tagger.tags.id3 import GENRE_FRAMES, Frame, Id3Tag, parse
from tagger.tags.plan import Mode
from tests.tags.library import Library
from tests.tags.sounds import frame, id3v1, id3v2, packets_digest, read_genres, read_id3

Maker = Callable[[str, Path], Path]

FRAMES = {
    2: frame(b"TT2", b"\0Title", 2) + frame(b"PIC", b"\0PNG\3\0picture", 2),
    3: frame(b"TIT2", b"\0Title") + frame(b"TYER", b"\x002004") + frame(b"TDAT", b"\x000605")
    + frame(b"TIPL", b"\0odd here") + frame(b"XABC", b"unknown") + frame(b"XABC", b"twice"),
    4: frame(b"TIT2", b"\3Title", 4) + frame(b"TDRC", b"\x002004-05-06", 4)
    + frame(b"APIC", b"\0image/png\0\3\0" + bytes(300), 4),
}  # fmt: skip


def genre_frame(text: bytes, version: int) -> bytes:
    return frame(GENRE_FRAMES[version], text, version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\x0017", ["Rock"]),
        (b"\0(17)", ["Rock"]),
        (b"\0(4)Eurodisco", ["Disco", "Eurodisco"]),
        (b"\0(51)(39)", ["Techno-Industrial", "Noise"]),
        (b"\0(RX)", ["Remix"]),
        (b"\0Hip-Hop", ["Hip-Hop"]),
        (b"\1\xff\xfeJ\0a\0z\0z\0", ["Jazz"]),
        (b"\0Rock\0Pop", ["Rock", "Pop"]),
        (b"\0", []),
    ],
)
@pytest.mark.parametrize("version", [2, 3, 4])
def test_genres_are_read_as_people_write_them(
    version: int, text: bytes, expected: list[str]
) -> None:
    assert parse(id3v2(version, genre_frame(text, version))).genres() == expected


@pytest.mark.parametrize("version", [2, 3, 4])
def test_other_frames_stay_byte_for_byte(version: int) -> None:
    old = FRAMES[version] + genre_frame(b"\0Old", version) + frame(b"COM", b"x", 2) * (version == 2)
    tag = parse(id3v2(version, old, padding=100))
    tag.put(GENRE_FRAMES[version], [tag.text(["Rock"])], [f for f in tag.frames if f.is_genre()])
    block = tag.render()
    assert len(block) == len(id3v2(version, old, padding=100))
    assert block[10:].rstrip(b"\0") == old.replace(
        genre_frame(b"\0Old", version), genre_frame(b"\0Rock", version)
    ).rstrip(b"\0")
    assert block[3] == version


def test_two_genre_frames_become_one() -> None:
    tag = parse(id3v2(3, genre_frame(b"\0A", 3) + FRAMES[3] + genre_frame(b"\0B", 3)))
    assert tag.genres() == ["A", "B"]
    tag.put(b"TCON", [tag.text(["C"])], [f for f in tag.frames if f.is_genre()])
    assert tag.render().count(b"TCON") == 1


def test_genre_beyond_latin1_is_readable() -> None:
    for version in (2, 3, 4):
        tag = Id3Tag(version)
        tag.put(GENRE_FRAMES[version], [tag.text(["演歌", "Rock"])], [])
        assert read_id3(tag.render()).getall("TCON")[0].genres == [
            "演歌",
            "Rock",
        ]


def test_unsynchronised_tag_stays_so() -> None:
    picture = frame(b"APIC", b"\0image/png\0\3\0\xff\xe0\xff\x00\xff")
    encoded = picture.replace(b"\xff\xe0", b"\xff\x00\xe0").replace(
        b"\xff\x00\xff", b"\xff\0\0\xff"
    )
    tag = parse(id3v2(3, encoded + b"\0", flags=0x80))
    assert tag.frames[0].content == picture[10:]
    tag.put(b"TCON", [tag.text(["Rock"])], [])
    block = tag.render()
    assert block[5] == 0x80
    assert b"\xff\xe0" not in block
    read = read_id3(block)
    assert read.getall("APIC")[0].data == picture[10:].split(b"\3\0", 1)[1]
    assert read.getall("TCON")[0].genres == ["Rock"]


def test_extended_header_and_footer_are_read_past() -> None:
    extended = (6).to_bytes(4, "big") + bytes(6)
    assert (
        parse(id3v2(3, extended + FRAMES[3], flags=0x40)).frames
        == parse(id3v2(3, FRAMES[3])).frames
    )
    block = id3v2(4, FRAMES[4], flags=0x10)
    with_footer = parse(block + b"3DI" + block[3:10])
    assert with_footer.block_bytes == len(block) + 10
    assert with_footer.frames == parse(id3v2(4, FRAMES[4])).frames


def test_itunes_sizes_in_v24_are_understood() -> None:
    plain = frame(b"APIC", b"\0image/png\0\3\0" + b"\1" * 300, 3)
    tag = parse(id3v2(4, plain + frame(b"TCON", b"\0Jazz", 4)))
    assert [found.name for found in tag.frames] == [b"APIC", b"TCON"]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (id3v2(3, b"TI\xff2" + bytes(20)), "its ID3 tag is damaged: a frame has an impossible"),
        (id3v2(3, b"TIT2\0\0\xff\0\0\0"), "its ID3 tag is damaged: a frame has an impossible"),
        (id3v2(4, FRAMES[4])[:50], "its ID3 tag is damaged: it says to be longer than the file"),
        (id3v2(5, b""), "its ID3v2.5 tag is of no known kind"),
    ],
)
def test_damaged_tags_are_refused(block: bytes, message: str) -> None:
    with pytest.raises(TagError, match=message):
        parse(block)


# Mostly the bytes that unsynchronisation is about.
contents = st.lists(st.sampled_from([0, 1, 0xE0, 0xFE, 0xFF]), min_size=1, max_size=9).map(bytes)
names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=4)


@given(
    version=st.sampled_from([3, 4]),
    frames=st.lists(st.tuples(names, contents | st.binary(min_size=1, max_size=300)), max_size=6),
    padding=st.integers(0, 50),
    flags=st.sampled_from([0, 0x80]),
)
def test_parse_and_render_agree(
    version: int, frames: list[tuple[str, bytes]], padding: int, flags: int
) -> None:
    made = Id3Tag(version, bool(flags))
    for name, content in frames:
        made.put(name.encode(), [content], [])
    block = made.render() + bytes(padding)
    assert parse(block).frames == made.frames
    assert parse(parse(block).render()).frames == made.frames


@pytest.mark.parametrize("version", [2, 3, 4])
def test_mp3_keeps_version_and_id3v1(
    version: int, sounds: Maker, library: Library, music: Path
) -> None:
    path = sounds("mp3", music)
    audio = path.read_bytes()
    path.write_bytes(id3v2(version, FRAMES[version]) + audio + id3v1("Title", 24))
    before, packets = path.read_bytes(), packets_digest(path)
    library.add(path)
    assert [outcome.reason for outcome in library.write(mode=Mode.REPLACE, top=2)] == [None]
    after = path.read_bytes()
    assert after[3] == version
    assert FRAMES[version] in after
    assert after[-128:-1] == before[-128:-1]
    assert TCON.GENRES[after[-1]] == "Rock"
    assert packets_digest(path) == packets
    expected = ["Rock", "Pop"] if version == 4 else ["Rock/Pop"]
    assert [str(genre) for genre in ID3(path, load_v1=False).getall("TCON")[0].genres] == expected
    library.undo()
    assert path.read_bytes() == before


def test_genre_that_id3v1_does_not_know(sounds: Maker, library: Library, music: Path) -> None:
    path = sounds("mp3", music)
    path.write_bytes(id3v2(4, FRAMES[4]) + path.read_bytes() + id3v1("Title", 17))
    library.add(path)
    library.write(names={"rock": "Zeuhl"})
    assert path.read_bytes()[-1] == 255


def test_id3v1_alone_counts_and_is_carried_over(
    sounds: Maker, library: Library, music: Path
) -> None:
    path = sounds("mp3", music)
    path.write_bytes(path.read_bytes() + id3v1("A title", 17))
    before = path.read_bytes()
    library.add(path)
    assert [d.reason for d in library.plan()] == ["already has a genre: Rock"]
    library.write(mode=Mode.MERGE, top=2)
    tags = ID3(path, load_v1=False)
    assert [str(tags[name]) for name in ("TIT2", "TPE1", "TRCK")] == ["A title", "Artist", "7"]
    assert read_genres(path) == ["Rock", "Pop"]
    library.undo()
    assert path.read_bytes() == before


def test_ape_tag_of_an_mp3_is_left_alone(sounds: Maker, library: Library, music: Path) -> None:
    from mutagen.apev2 import APEv2

    path = sounds("mp3", music)
    tags = APEv2()
    tags["Genre"] = "Techno"
    tags.save(path)
    library.add(path)
    assert [d.reason for d in library.plan()] == ["already has a genre: Techno"]
    before = path.read_bytes()
    library.write(mode=Mode.REPLACE)
    assert str(APEv2(path)["Genre"]) == "Techno"
    assert read_genres(path) == ["Rock"]
    assert [outcome.reason for outcome in library.undo()] == [None]
    assert path.read_bytes() == before


def test_genre_of_a_riff_info_list_counts(sounds: Maker, library: Library, music: Path) -> None:
    path = sounds("wav", music)
    item = b"INFOIGNR" + (6).to_bytes(4, "little") + b"Jazz\0\0"
    body = path.read_bytes()[8:] + b"LIST" + len(item).to_bytes(4, "little") + item
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    before = path.read_bytes()
    library.add(path)
    assert [d.reason for d in library.plan()] == ["already has a genre: Jazz"]
    library.write(mode=Mode.REPLACE)
    assert read_genres(path) == ["Rock"]
    assert item in path.read_bytes()
    assert [outcome.reason for outcome in library.undo()] == [None]
    assert path.read_bytes() == before


def test_frames_tell_their_fields() -> None:
    assert Frame(b"TT2\0\0\0\0\1\0\0", b"").name == b"TT2"
    content = b"\1" + "TAGGER_GENRE".encode("utf-16") + b"\0\0" + "x".encode("utf-16")
    assert Frame(b"TXXX" + bytes(6), content).is_field("TAGGER_GENRE")
    assert not Frame(b"TXXX" + bytes(6), b"\0TAGGER_GENRES\0x").is_field("TAGGER_GENRE")
