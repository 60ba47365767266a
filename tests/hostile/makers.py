"""Makers of sound in many formats, as bytes, and of ways to damage it."""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any

import av
import numpy as np

from tests.conftest import chord

# Name: (codec, FFmpeg's format, rate in Hz).
FORMATS: dict[str, tuple[str, str, int]] = {
    "wav": ("pcm_s16le", "wav", 44_100),
    "24.wav": ("pcm_s24le", "wav", 48_000),
    "float.wav": ("pcm_f32le", "wav", 44_100),
    "w64": ("pcm_s16le", "w64", 44_100),
    "aiff": ("pcm_s16be", "aiff", 44_100),
    "au": ("pcm_s16be", "au", 44_100),
    "caf": ("pcm_s16be", "caf", 44_100),
    "flac": ("flac", "flac", 44_100),
    "mp3": ("libmp3lame", "mp3", 44_100),
    "mp2": ("mp2", "mp2", 44_100),
    "m4a": ("aac", "ipod", 44_100),
    "alac.m4a": ("alac", "ipod", 44_100),
    "aac": ("aac", "adts", 44_100),
    "ac3": ("ac3", "ac3", 44_100),
    "ogg": ("vorbis", "ogg", 44_100),
    "opus": ("libopus", "ogg", 48_000),
    "flac.oga": ("flac", "ogg", 44_100),
    "wma": ("wmav2", "asf", 44_100),
    "wv": ("wavpack", "wv", 44_100),
    "tta": ("tta", "tta", 44_100),
    "mka": ("libopus", "matroska", 48_000),
}


def encode(
    waveform: np.ndarray, codec: str, format_: str, rate_hz: int, layout: str = "stereo"
) -> bytes:
    """Return a waveform float32 (n_samples,) as a file."""
    file = io.BytesIO()
    with av.open(file, "w", format=format_) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz)
        stream.layout = layout
        if not codec.startswith(("pcm", "flac", "tta", "wavpack", "alac")):
            stream.bit_rate = 128_000
        if codec == "vorbis":
            stream.codec_context.options = {"strict": "experimental"}
        channels = av.AudioLayout(layout).nb_channels
        frame = av.AudioFrame.from_ndarray(np.repeat(waveform, channels)[None], "flt", layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


@lru_cache
def sound(kind: str, seconds: float = 12.0) -> bytes:
    """Return a chord as a file of one of ``FORMATS``."""
    codec, format_, rate_hz = FORMATS[kind]
    return encode(chord(seconds, rate_hz), codec, format_, rate_hz)


def cut(kind: str, share: float) -> bytes:
    """Return the first ``share`` of a file."""
    whole = sound(kind)
    return whole[: int(len(whole) * share)]


def silent(kind: str, seconds: float = 6.0) -> bytes:
    codec, format_, rate_hz = FORMATS[kind]
    return encode(np.zeros(round(seconds * rate_hz), np.float32), codec, format_, rate_hz)


def float_wav(samples: np.ndarray, rate_hz: int = 22_050) -> bytes:
    """Return float32 or float64 (n_samples,) as a WAV, whatever the values are."""
    data = samples.tobytes()
    bits = samples.dtype.itemsize * 8
    return riff(
        (b"fmt ", struct.pack("<HHIIHH", 3, 1, rate_hz, rate_hz * bits // 8, bits // 8, bits)),
        (b"data", data),
    )


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def pcm(
    seconds: float = 6.0, rate_hz: int = 22_050, channels: int = 1, bits: int = 16
) -> tuple[bytes, bytes]:
    """Return the contents of a WAV's ``fmt `` and ``data`` chunks."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block % 2**32, block, bits)
    return form, (chord(seconds) * 32_767).astype("<i2").tobytes()


def wav_claiming(data_bytes: int, **fields: int) -> bytes:
    """Return a WAV of 6 s whose header lies."""
    form, data = pcm(**fields)
    whole = bytearray(riff((b"fmt ", form), (b"data", data)))
    whole[40:44] = struct.pack("<I", data_bytes)
    return bytes(whole)


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def id3v2(size: int, stated: int | None = None, frame: bytes = b"TXXX") -> bytes:
    """Return an ID3v2.3 tag with one frame of ``size`` bytes."""
    body = frame + struct.pack(">IH", size, 0) + b"\0" * size
    total = len(body) if stated is None else stated
    sevens = bytes((total >> 7 * place) & 0x7F for place in (3, 2, 1, 0))
    return b"ID3\x03\x00\x00" + sevens + body


def video_only() -> bytes:
    """Return an MP4 that has a picture and no sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
