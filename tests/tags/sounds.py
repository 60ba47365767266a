"""Small sound files in every container, with and without tags."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import apev2, asf, flac, id3, mp4

from tests.conftest import chord, shared, write_wav

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)

# Name: how it is made with PyAV (codec, format, rate), or the corpus file that it is cut from.
ENCODED: dict[str, tuple[str, str, int]] = {
    "mp3": ("libmp3lame", "mp3", 44_100),
    "flac": ("flac", "flac", 44_100),
    "opus": ("libopus", "ogg", 48_000),
    "oga": ("flac", "ogg", 44_100),
    "m4a": ("aac", "ipod", 44_100),
    "alac.m4a": ("alac", "ipod", 44_100),
    "faststart.m4a": ("aac", "ipod", 44_100),
    "aiff": ("pcm_s16be", "aiff", 44_100),
    "wma": ("wmav2", "asf", 44_100),
    "wv": ("wavpack", "wv", 44_100),
    "tta": ("tta", "tta", 44_100),
}
KINDS = [*ENCODED, "wav", "ogg", "spx", "mpc"]


def make_sound(folder: Path, kind: str) -> Path:
    """Make a second of sound; or skip the test where nothing here can."""
    path = folder / f"sound.{kind}"
    if kind == "wav":
        write_wav(path, chord(1.0, 44_100), 44_100)
    elif kind == "ogg":
        soundfile.write(path, chord(1.0, 44_100), 44_100, format="OGG", subtype="VORBIS")
    elif kind == "mpc":
        shutil.copyfile(shared("corpus/mpc_standard.mpc"), path)
    elif kind == "spx":
        make_speex(path)
    else:
        encode(path, *ENCODED[kind], faststart=kind.startswith("faststart"))
    remove_tags(path)
    return path


def encode(path: Path, codec: str, format_: str, rate_hz: int, *, faststart: bool = False) -> None:
    options = {"movflags": "faststart"} if faststart else {}
    waveform = chord(1.0, rate_hz)
    with av.open(os.fspath(path), "w", format=format_, options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz)
        stream.layout = "stereo"
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(np.tile(waveform, (2, 1)), "fltp", "stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def make_speex(path: Path) -> None:
    """Put packets of made-up Speex into real Ogg pages: containers are what is tried here."""
    from mutagen.ogg import OggPage

    head = b"Speex   " + b"1.2".ljust(20, b"\0")
    head += struct.pack("<13i", 1, 80, 16_000, 1, 4, 1, -1, 320, 0, 1, 0, 0, 0)
    comments = struct.pack("<I", 4) + b"none" + struct.pack("<I", 0)
    packets = [os.urandom(40) for _ in range(50)]
    pages = []
    for number, content in enumerate(([head], [comments], packets)):
        page = OggPage()
        page.packets, page.sequence, page.serial = content, number, 1
        page.first, page.last = number == 0, number == 2
        page.position = 320 * 50 if number == 2 else 0
        pages.append(page.write())
    path.write_bytes(b"".join(pages))


def remove_tags(path: Path) -> None:
    """Remove what an encoder or a packager put in, where the container allows it."""
    audio = mutagen.File(path)
    if audio.tags is not None:
        audio.delete()
    if path.suffix == ".tta":
        apev2.delete(path)
    if isinstance(audio, flac.FLAC):
        audio.clear_pictures()
        audio.metadata_blocks = [b for b in audio.metadata_blocks if b.code != 4]
        audio.tags = None
        audio.save()


def add_tags(path: Path, genres: list[str]) -> None:
    """Put in a title, a cover, lyrics and a rating, each as the container has it; and genres."""
    audio = mutagen.File(path)
    if audio.tags is None:
        audio.add_tags()
    tags = audio.tags
    if isinstance(tags, id3.ID3):
        for frame in id3_frames():
            tags.add(frame)
        if genres:
            tags.add(id3.TCON(encoding=3, text=genres))
    elif isinstance(tags, mp4.MP4Tags):
        tags["\xa9nam"], tags["\xa9lyr"], tags["rtng"] = ["Title"], ["la la"], [1]
        tags["covr"] = [mp4.MP4Cover(PNG, mp4.MP4Cover.FORMAT_PNG)]
        tags["----:com.example:Own"] = [b"mine"]
        tags["\xa9gen"] = genres
    elif isinstance(tags, asf.ASFTags):
        tags["Title"], tags["WM/Lyrics"] = ["Title"], ["la la"]
        tags["WM/SharedUserRating"] = [asf.ASFDWordAttribute(75)]
        tags["WM/Picture"] = [asf.ASFByteArrayAttribute(asf_picture())]
        tags["WM/Genre"] = genres
    elif isinstance(tags, apev2.APEv2):
        tags["Title"], tags["Lyrics"] = "Title", "la la"
        tags["Cover Art (Front)"] = apev2.APEValue(b"cover.png\0" + PNG, apev2.BINARY)
        if genres:
            tags["genre"] = genres  # in small letters: the spelling is the file's own
    else:
        tags.extend([("TITLE", "Title"), ("Artist", "One"), ("ARTIST", "Two")])
        tags.extend(("Genre", genre) for genre in genres)
        tags.extend([("LYRICS", "la la"), ("RATING", "80")])
        if isinstance(audio, flac.FLAC):
            audio.add_picture(flac_picture())
    audio.save()


def id3_frames() -> list[Any]:
    return [
        id3.TIT2(encoding=1, text=["T\u00eftle \u65e5\u672c"]),
        id3.TPE1(encoding=3, text=["One", "Two"]),
        id3.TDRC(encoding=0, text=["2004-05-06"]),
        id3.POPM(email="me@example.com", rating=196, count=7),
        id3.USLT(encoding=3, lang="eng", desc="", text="la la"),
        id3.COMM(encoding=3, lang="eng", desc="", text=["A comment"]),
        id3.TXXX(encoding=3, desc="Own", text=["mine"]),
        id3.APIC(encoding=3, mime="image/png", type=3, desc="Front", data=PNG),
    ]


def asf_picture() -> bytes:
    text = "image/png\0Front\0".encode("utf-16-le")
    return b"\x03" + struct.pack("<I", len(PNG)) + text + PNG


def flac_picture() -> flac.Picture:
    picture = flac.Picture()
    picture.type, picture.mime, picture.data = 3, "image/png", PNG
    return picture


def snapshot(path: Path) -> dict[str, str]:
    """Return all tags but the genre and ours, as mutagen shows them to everyone."""
    audio = mutagen.File(path)
    tags = audio.tags
    if tags is None:
        return {}
    names = {"genre", "\xa9gen", "tcon", "wm/genre", "tagger_genre", "txxx:tagger_genre",
             "----:com.apple.itunes:tagger_genre"}  # fmt: skip
    items = {str(key): repr(tags[key]) for key in tags.keys() if key.lower() not in names}  # noqa: SIM118
    if isinstance(audio, flac.FLAC) and audio.pictures:
        items["pictures"] = repr([picture.data for picture in audio.pictures])
    return items


def read_genres(path: Path) -> list[str]:
    """Return the genres as mutagen shows them to everyone."""
    tags = mutagen.File(path).tags
    if tags is None:
        return []
    if isinstance(tags, id3.ID3):
        return [genre for frame in tags.getall("TCON") for genre in frame.genres]
    key = {mp4.MP4Tags: "\xa9gen", asf.ASFTags: "WM/Genre"}.get(type(tags), "genre")
    return [str(value) for value in tags.get(key, [])]


def packets_digest(path: Path) -> str:
    """Return the digest of every audio packet, by a way that shares no code with tagger's."""
    digest, size = hashlib.sha256(), 0
    with av.open(os.fspath(path), metadata_errors="replace") as container:
        for packet in container.demux(container.streams.audio[0]):
            digest.update(bytes(packet))
            size += packet.size
    assert size
    return digest.hexdigest()


def id3v1(title: str, genre: int) -> bytes:
    """Return an ID3v1.1 tag."""
    fields = [
        title.encode().ljust(30, b"\0"),
        b"Artist".ljust(30, b"\0"),
        b"Album".ljust(30, b"\0"),
    ]
    return (
        b"TAG"
        + b"".join(fields)
        + b"1999"
        + b"A comment".ljust(28, b"\0")
        + b"\0\x07"
        + bytes([genre])
    )


def frame(name: bytes, content: bytes, version: int = 3) -> bytes:
    """Return an ID3v2 frame."""
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    size = len(content).to_bytes(4, "big")
    if version == 4:
        size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return name + size + b"\0\0" + content


def id3v2(version: int, body: bytes, flags: int = 0, padding: int = 0) -> bytes:
    """Return an ID3v2 tag."""
    size = len(body) + padding
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + length + body + bytes(padding)


def read_id3(block: bytes) -> id3.ID3:
    """Return a tag as mutagen reads it, without its translation to v2.4."""
    return id3.ID3(BytesIO(block), translate=False)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a maker of copies: ``sounds(kind, folder)``."""
    made: dict[str, Path] = {}
    cache = tmp_path_factory.mktemp("sounds")

    def copy(kind: str, folder: Path) -> Path:
        if kind not in made:
            made[kind] = make_sound(cache, kind)
        return Path(shutil.copyfile(made[kind], folder / made[kind].name))

    return copy
