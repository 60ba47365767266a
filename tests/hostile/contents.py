"""Files whose contents are hostile: damaged, lying, empty, huge, or something else altogether."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tests.conftest import chord
from tests.hostile import makers
from tests.hostile.case import Case
from tests.hostile.makers import FORMATS, changed, cut, float_wav, riff, silent, sound, wav_claiming

UNKNOWN = "not in a format that can be decoded"
NOTHING = "no audio could be decoded from it"
NO_START = "ends before any audio"
NO_KIND = "an audio stream of no known kind"
NO_INDEX = "truncated: the index at its end is missing"


def too_short(seconds: float) -> str:
    return f"only {seconds:.1f} s long: less than one slice, padded with silence"


def truncated(seconds: int) -> str:
    return f"truncated after {seconds} s of 12 s"


# What is left of 12 s after a cut at 90, 50 and 10 %, where it is not told in seconds of 12.
NO_CLAIM = (None, None, too_short(1.2))  # bare frames: nothing says how many there should be
NO_LAST_PAGE = ("truncated: its last page is missing",) * 3
CUTS: dict[str, tuple[str | None, ...]] = {
    "mp2": NO_CLAIM, "aac": NO_CLAIM, "ac3": NO_CLAIM,
    "ogg": NO_LAST_PAGE, "opus": NO_LAST_PAGE, "flac.oga": NO_LAST_PAGE,
    "m4a": (NO_INDEX,) * 3, "alac.m4a": (NO_INDEX,) * 3,
    "wma": (truncated(11), "truncated after 6 s of 13 s", "truncated after 1 s of 13 s"),
    "wv": (truncated(10), truncated(6), truncated(1)),
    "tta": (truncated(11), truncated(6), NOTHING),
}  # fmt: skip


def whole_and_cut() -> list[Case]:
    cases = [Case(b"whole." + kind.encode(), sound(kind), "classified") for kind in FORMATS]
    for kind in FORMATS:
        reasons = CUTS.get(kind, (truncated(11), truncated(6), truncated(1)))
        for percent, reason in zip((90, 50, 10), reasons, strict=True):
            status = "failed" if reason in (NO_INDEX, NOTHING) else "classified"
            name = f"cut{percent}.{kind}".encode()
            cases.append(Case(name, cut(kind, percent / 100), status, reason))
    return cases


def wrong_extensions() -> list[Case]:
    pairs = [("mp3", "flac"), ("flac", "mp3"), ("wav", "mp3"), ("m4a", "ogg"), ("opus", "m4a"),
             ("aiff", "wav"), ("wma", "mp3"), ("ogg", "wav")]  # fmt: skip
    return [
        Case(f"{kind} named .{suffix}".encode(), sound(kind), "classified")
        for kind, suffix in pairs
    ]


def not_audio() -> list[Case]:
    random = np.random.default_rng(5)
    heads = {
        b"zero.mp3": (b"", "empty file"),
        b"zero.flac": (b"", "empty file"),
        b"zero.m4a": (b"", "empty file"),
        b"elf.mp3": (b"\x7fELF\x02\x01\x01" + bytes(5_000), "not an audio file: ELF program"),
        b"exe.mp3": (b"MZ\x90" + bytes(5_000), "not an audio file: Windows program"),
        b"zip.mp3": (b"PK\x03\x04" + bytes(5_000), "not an audio file: ZIP archive"),
        b"pdf.mp3": (b"%PDF-1.7" + bytes(5_000), "not an audio file: PDF document"),
        b"png.mp3": (b"\x89PNG\r\n\x1a\n" + bytes(5_000), "not an audio file: PNG picture"),
        b"jpeg.mp3": (b"\xff\xd8\xff\xe0" + bytes(5_000), "not an audio file: JPEG picture"),
        b"gif.mp3": (b"GIF89a" + bytes(5_000), "not an audio file: GIF picture"),
        b"rar.mp3": (b"Rar!\x1a\x07" + bytes(5_000), "not an audio file: RAR archive"),
        b"7z.mp3": (b"7z\xbc\xaf\x27\x1c" + bytes(5_000), "not an audio file: 7-Zip archive"),
        b"gzip.mp3": (b"\x1f\x8b\x08" + bytes(5_000), "not an audio file: gzip file"),
        b"sqlite.mp3": (b"SQLite format 3\0" + bytes(99), "not an audio file: SQLite database"),
        b"page.mp3": (b"<!DOCTYPE html><p>404", "not an audio file: web page"),
        b"page2.mp3": (b"<html><p>404", "not an audio file: web page"),
        b"script.mp3": (b"#!/bin/sh\nrm -rf /\n", "not an audio file: script"),
        b"resource.mp3": (b"\0\5\x16\7" + bytes(99), "not an audio file: AppleDouble file"),
        b"text.mp3": (b"never gonna give you up\n" * 500, UNKNOWN),
        b"json.m4a": (b'{"a": [1, 2, 3]}' * 50, UNKNOWN),
        b"nulls.mp3": (bytes(100_000), "not an audio file: nothing but zeros"),
        b"ones.mp3": (b"\xff" * 100_000, UNKNOWN),
        b"byte.mp3": (b"x", UNKNOWN),
        b"newline.wav": (b"\n", UNKNOWN),
        b"random16.flac": (random.bytes(16), UNKNOWN),
        b"random1k.ogg": (random.bytes(1_000), NO_START),
        b"random100k.wma": (random.bytes(100_000), UNKNOWN),
        b"video.m4a": (makers.video_only(), "no audio stream"),
        b"only riff.wav": (b"RIFF\xff\xff\xff\xffWAVE", UNKNOWN),
        b"only flac.flac": (b"fLaC", "truncated: only its header is left"),
        b"only streaminfo.flac": (sound("flac")[:42], NOTHING),
        b"only ftyp.m4a": (sound("m4a")[:24], NO_INDEX),
        b"only ogg.ogg": (b"OggS", "truncated: its last page is missing"),
        b"only id3.mp3": (makers.id3v2(500), UNKNOWN),
        b"only ebml.mka": (sound("mka")[:40], NO_START),
        b"only header.wma": (sound("wma")[:200], UNKNOWN),
    }
    return [Case(name, content, "failed", reason) for name, (content, reason) in heads.items()]


def playlists(outside: bytes) -> list[Case]:
    """Files that tell FFmpeg to open another one, which it would do without a list of formats."""
    refused = {
        b"hls.mp3": (b"#EXTM3U\n#EXTINF:9,\n" + outside + b"\n", "not an audio file: playlist"),
        b"hls2.mp3": (b"\n#EXTM3U\n#EXTINF:9,\nfile://" + outside + b"\n", UNKNOWN),
        b"concat.mp3": (b"ffconcat version 1.0\nfile '" + outside + b"'\n", UNKNOWN),
        b"session.mp3": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", UNKNOWN),
        b"cue.flac": (b'FILE "' + outside + b'" WAVE\n  TRACK 01 AUDIO\n', UNKNOWN),
        b"dash.m4a": (b"<?xml version='1.0'?><MPD><BaseURL>" + outside + b"</MPD>", UNKNOWN),
        b"asx.wma": (b'<asx><entry><ref href="' + outside + b'"/></entry></asx>', UNKNOWN),
        b"ram.ra": (outside + b"\n", UNKNOWN),
    }  # fmt: skip
    return [Case(name, content, "failed", reason) for name, (content, reason) in refused.items()]


def lies() -> list[Case]:
    form, data = makers.pcm()
    flac, mp3, m4a = sound("flac"), sound("mp3"), sound("m4a")
    xing = mp3.index(b"Info") if b"Info" in mp3 else mp3.index(b"Xing")
    duration = m4a.index(b"mdhd") + 20
    return [
        Case(b"lies/stream size.wav", wav_claiming(0xFFFFFFFF), "classified"),
        Case(b"lies/no size.wav", wav_claiming(0), "classified"),
        Case(
            b"lies/twice.wav",
            wav_claiming(2 * len(data)),
            "classified",
            "truncated after 6 s of 12 s",
        ),
        Case(b"lies/half.wav", wav_claiming(len(data) // 2), "classified"),
        Case(b"lies/no rate.wav", wav_claiming(len(data), rate_hz=0), "failed", UNKNOWN),
        Case(b"lies/no channels.wav", wav_claiming(len(data), channels=0), "failed", UNKNOWN),
        Case(
            b"lies/1 Hz.wav", wav_claiming(len(data), rate_hz=1), "failed", "a sample rate of 1 Hz"
        ),
        Case(b"lies/4 GHz.wav", wav_claiming(len(data), rate_hz=4_000_000_000), "failed", UNKNOWN),
        Case(
            b"lies/65535 channels.wav",
            riff((b"fmt ", form[:2] + b"\xff\xff" + form[4:]), (b"data", data)),
            "failed",
            UNKNOWN,
        ),
        Case(
            b"lies/no bits.wav",
            riff((b"fmt ", form[:14] + b"\0\0"), (b"data", data)),
            "failed",
            NO_KIND,
        ),
        Case(
            b"lies/unknown codec.wav",
            riff((b"fmt ", b"\xad\xde" + form[2:]), (b"data", data)),
            "failed",
            NO_KIND,
        ),
        Case(b"lies/no data.wav", riff((b"fmt ", form)), "failed", UNKNOWN),
        Case(b"lies/empty data.wav", riff((b"fmt ", form), (b"data", b"")), "failed", NOTHING),
        Case(
            b"lies/long.flac",
            changed(flac, 21, bytes([flac[21] | 0x0F]) + b"\xff\xff\xff\xff"),
            "classified",
            "truncated after 12 s of 1558265 s",
        ),
        Case(
            b"lies/short.flac",
            changed(flac, 21, bytes([flac[21] & 0xF0]) + b"\0\0\x20\0"),
            "classified",
            too_short(0.2),
        ),
        Case(b"lies/no rate.flac", changed(flac, 18, b"\0\0"), "failed", NOTHING),
        Case(
            b"lies/frames.mp3",
            changed(mp3, xing + 8, b"\x00\xff\xff\xff"),
            "classified",
            "truncated after 12 s of 438262 s",
        ),
        Case(b"lies/duration.m4a", changed(m4a, duration, struct.pack(">I", 2**31)), "classified"),
        Case(
            b"lies/half noise.mp3",
            mp3[:99_000] + np.random.default_rng(1).bytes(94_000),
            "classified",
            "truncated after 7 s of 12 s",
        ),
        Case(
            b"lies/noise amid.mp3",
            changed(mp3, 90_000, np.random.default_rng(1).bytes(9_000)),
            "classified",
        ),
        Case(b"lies/noise before.mp3", np.random.default_rng(2).bytes(3_000) + mp3, "classified"),
        Case(
            b"lies/holes.flac",
            changed(flac, 300_000, bytes(60_000)),
            "classified",
            "only 3 of 4 slices could be decoded",
        ),
        Case(b"lies/twice.mp3", mp3 + sound("mp3", 5.0), "classified"),
        Case(b"lies/chained.opus", sound("opus") + sound("opus", 5.0), "classified"),
        Case(b"lies/chained rates.ogg", sound("ogg") + sound("opus", 5.0), "classified"),
        Case(b"lies/id3 beyond.mp3", makers.id3v2(50, stated=2**27) + mp3, "failed", UNKNOWN),
        Case(b"lies/id3 before.flac", makers.id3v2(500) + flac, "classified"),
        Case(b"lies/16 MB of tags.mp3", makers.id3v2(2**24) + mp3, "classified"),
        Case(b"lies/100 tags.mp3", makers.id3v2(10) * 100 + mp3, "classified"),
    ]


def short_and_silent() -> list[Case]:
    cases = []
    for kind in ("wav", "flac", "mp3", "m4a", "opus"):
        for seconds in (0.1, 0.2, 0.5, 1.0, 2.0):
            name = f"short/{seconds} s.{kind}".encode()
            cases.append(Case(name, sound(kind, seconds), "classified", too_short(seconds)))
    cases += [
        Case(f"silent/6 s.{kind}".encode(), silent(kind), "skipped", "silence")
        for kind in ("wav", "flac", "mp3", "m4a", "opus", "ogg", "aiff", "wv")
    ]
    half = chord(6.0)
    half[::7] = np.nan
    infinite = chord(6.0)
    infinite[5::9] = np.inf
    quiet = np.zeros(66_150, np.float32)
    floats = {
        b"nan.wav": (np.full(66_150, np.nan, np.float32), "skipped", "silence"),
        b"some nan.wav": (half, "classified", None),
        b"infinite.wav": (np.full(66_150, np.inf, np.float32), "skipped", "silence"),
        b"some infinite.wav": (infinite, "classified", None),
        b"huge.wav": (chord(6.0) * np.float32(1e38), "skipped", "silence"),
        b"loud.wav": (chord(6.0) * np.float32(100), "classified", None),
        b"denormal.wav": (chord(6.0) * np.float32(1e-39), "skipped", "silence"),
        b"double nan.wav": (np.full(66_150, np.nan), "skipped", "silence"),
        b"double.wav": (chord(6.0).astype(np.float64), "classified", None),
        b"one sample.wav": (quiet + np.float32(1e-9), "skipped", "silence"),
    }
    return cases + [
        Case(b"floats/" + name, float_wav(samples), status, reason)
        for name, (samples, status, reason) in floats.items()
    ]


def sparse(size: int, head: bytes = b"") -> Callable[[bytes], None]:
    def make(path: bytes) -> None:
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(size)

    return make


def large() -> list[Case]:
    """Files whose size or shape would need gigabytes or hours, were they read as they ask."""
    day = 86_400
    form, _ = makers.pcm(rate_hz=8_000)
    day_head = riff((b"fmt ", form), (b"data", b""))[:-4] + struct.pack("<I", day * 16_000)
    eight = makers.encode(chord(4.0, 192_000), "pcm_s24le", "wav", 192_000, "7.1")
    return [
        Case(b"large/5 GB.wav", sparse(5 * 2**30, wav_claiming(0xFFFFFFFF)), "skipped", "silence"),
        Case(
            b"large/5 GB.mp3", sparse(5 * 2**30), "failed", "not an audio file: nothing but zeros"
        ),
        Case(b"large/zeros after.flac", sparse(2**28, sound("flac")), "classified"),
        Case(
            b"large/day of silence.wav", sparse(day * 16_000 + 44, day_head), "skipped", "silence"
        ),
        Case(b"large/192 kHz 7.1.wav", eight, "classified"),
        Case(
            b"large/7.1.flac",
            makers.encode(chord(4.0, 96_000), "flac", "flac", 96_000, "7.1"),
            "classified",
        ),
        Case(
            b"large/5.1.ac3",
            makers.encode(chord(4.0, 48_000), "ac3", "ac3", 48_000, "5.1"),
            "classified",
        ),
        Case(
            b"large/8 kHz.wav",
            makers.encode(chord(4.0, 8_000), "pcm_u8", "wav", 8_000, "mono"),
            "classified",
        ),
        Case(
            b"large/alaw.wav",
            makers.encode(chord(4.0, 8_000), "pcm_alaw", "wav", 8_000, "mono"),
            "classified",
        ),
        Case(b"large/90 minutes.mp3", sound("mp3") * 450, "classified"),
    ]
