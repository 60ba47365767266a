"""The two decoders, PyAV and soundfile, behind one small interface."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from tagger.errors import AudioError
from tagger.sound.features import FloatArray

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream

# Demuxers of audio, by FFmpeg's names. Without a list, a playlist named .mp3 would make FFmpeg
# open whatever other files it names (hls, concat, sdp, dash …).
DEMUXERS = (
    "aac,ac3,aea,aiff,alac,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dff,dsf,dts,dtshd,eac3,flac,"
    "iff,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,oga,ogg,oma,rm,shn,"
    "sox,tak,truehd,tta,voc,w64,wav,wv,xwma"
)

# Formats of bare frames: their header states no duration, so FFmpeg guesses it from the bit rate.
BARE_FORMATS = {"aac", "ac3", "eac3", "amr", "dts", "mp3", "loas", "truehd", "mpeg", "mpegts"}

# Decoding starts this much before a window: the first frames after a seek are incomplete (MP3's
# bit reservoir, the overlap of AAC and Vorbis; Opus asks for 80 ms, RFC 7845 section 4.6).
PREROLL_SECONDS = 0.1

# Some seeks land late (ASF, long Ogg pages); then we try again from farther ahead.
LATE_SEEK_SECONDS = 10.0

_INTEGER_SCALE = {"u1": 128.0, "i2": 32_768.0, "i4": 2_147_483_648.0, "i8": 2.0**63}


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_seconds: float
    tags: dict[str, str] = field(default_factory=dict)


class Source(Protocol):
    """An open audio file, as a decoder presents it."""

    info: AudioInfo

    def __enter__(self) -> Source: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def measure_seconds(self) -> float:
        """Return the duration that is really there, without decoding where possible."""
        ...

    def read(self, start: int, stop: int, digest: hashlib.blake2b) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop`` (at the file's own rate) to mono.

        What identifies the stretch goes into ``digest``. Returns the position of the first
        sample, which may lie before or after ``start``, and the samples.
        """
        ...


def open_source(path: str) -> Source:
    """Open a file with the first decoder that can.

    Raises
    ------
    AudioError
        If none can; the message is the reason.
    """
    try:
        return AvSource(path)
    except AudioError as error:
        try:
            return SoundFileSource(path)
        except AudioError:
            raise error from None


class AvSource:
    """An audio file opened with PyAV."""

    def __init__(self, path: str) -> None:
        import av

        self._av = av
        try:
            self._container: av.container.InputContainer = av.open(
                # An absolute path can't be mistaken for a protocol such as "concat:".
                str(Path(path).absolute()),
                metadata_errors="replace",
                container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(_explain(error)) from error
        try:
            self._stream = self._container.streams.audio[0]
            self._stream.codec_context.thread_count = 1  # the pool has a process per core already
            self.info = self._describe()
        except IndexError:
            self._container.close()
            raise AudioError("no audio stream") from None
        except BaseException:
            self._container.close()
            raise
        self._origin = self._stream.start_time or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()

    def _describe(self) -> AudioInfo:
        stream, context = self._stream, self._stream.codec_context
        tags = {key.lower(): text for key, text in self._container.metadata.items()}
        tags |= {key.lower(): text for key, text in stream.metadata.items()}
        if context is None or not context.sample_rate or not context.channels:
            raise AudioError("an audio stream of no known kind")
        name = self._container.format.name
        info = AudioInfo(
            container="mp4" if name.startswith("mov") else name.split(",")[0],
            codec=context.name,
            sample_rate_hz=context.sample_rate,
            channels=context.channels,
            duration_seconds=0.0,
            tags=tags,
        )
        return replace(info, duration_seconds=self._stated_seconds(info))

    def _stated_seconds(self, info: AudioInfo) -> float:
        stream: AudioStream = self._stream
        if info.container in BARE_FORMATS and not self._has_xing_header():
            return self._count_seconds()
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._container.duration:
            return self._container.duration / self._av.time_base
        return self._count_seconds()

    def _has_xing_header(self) -> bool:
        """Tell whether an MP3 states its number of frames (Xing, Info or VBRI header)."""
        if self._container.format.name != "mp3":
            return False
        with Path(self._container.name).open("rb") as file:
            head = file.read(10)
            if head.startswith(b"ID3"):
                size = int.from_bytes(head[6:10], "big")  # in 7-bit bytes (ID3v2.4, section 6.2)
                size = sum((size >> 8 * place & 0x7F) << 7 * place for place in range(4))
                file.seek(10 + size)
            else:
                file.seek(0)
            start = file.read(4096)
        return any(mark in start for mark in (b"Xing", b"Info", b"VBRI"))

    def _count_seconds(self) -> float:
        """Return the end of the last packet, by reading (not decoding) the file to its end."""
        stream = self._stream
        end = 0
        try:
            self._rewind()
            for packet in self._container.demux(stream):
                if packet.pts is not None:
                    end = max(end, packet.pts + (packet.duration or 0) - (stream.start_time or 0))
        except (self._av.error.FFmpegError, OSError):
            pass  # what was read until here is what there is
        self._rewind()
        return float(end * stream.time_base) if stream.time_base else 0.0

    def measure_seconds(self) -> float:
        """Return the duration that is really there: to the last packet that can be decoded."""
        return self._count_seconds()

    def _rewind(self) -> None:
        try:
            self._container.seek(0)
        except (self._av.error.FFmpegError, OSError) as error:
            raise AudioError(_explain(error)) from error

    def read(self, start: int, stop: int, digest: hashlib.blake2b) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop``; see ``Source``."""
        rate_hz = self.info.sample_rate_hz
        for lead_seconds in (PREROLL_SECONDS, LATE_SEEK_SECONDS, float("inf")):
            target = max(0.0, start - lead_seconds * rate_hz)
            packets = hashlib.blake2b()
            position, samples = _collect(
                self._frames(target / rate_hz, packets, (start, stop)), start, stop
            )
            if position <= start or target == 0:
                break
        digest.update(packets.digest())
        return position, samples

    def _seek(self, seconds: float) -> Iterator[Any]:
        """Return the packets from the seek point on; none if it can't be reached."""
        stream = self._stream
        try:
            ticks = int(seconds / (stream.time_base or 1)) + self._origin
            self._container.seek(ticks, stream=stream, backward=True)
            yield from self._container.demux(stream)
        except (self._av.error.FFmpegError, OSError):
            return  # a file that ends early just ends

    def _frames(
        self, seek_seconds: float, digest: hashlib.blake2b, extent: tuple[int, int]
    ) -> Iterator[tuple[int, FloatArray]]:
        """Yield (position, mono samples) of each frame; packets within ``extent`` are digested.

        A packet that can't be decoded is passed over. After a seek the first frame must carry a
        time stamp; without one the position is known only when counted from the track's start.
        """
        counted = 0
        for packet in self._seek(seek_seconds):
            if packet.pts is not None and extent[0] <= self._samples_at(packet.pts) < extent[1]:
                digest.update(packet)
            try:
                frames = packet.decode()
            except self._av.error.InvalidDataError:
                continue
            except (self._av.error.FFmpegError, OSError):
                return
            for frame in frames:
                if not isinstance(frame, self._av.AudioFrame):
                    continue
                if frame.sample_rate != self.info.sample_rate_hz:
                    return  # a chained stream of another kind
                if frame.pts is None and not counted and seek_seconds:
                    return
                position = counted if frame.pts is None else self._samples_at(frame.pts)
                counted += frame.samples
                yield position, _mono(frame)

    def _samples_at(self, pts: int) -> int:
        """Return a time stamp as a position in samples at the file's own rate."""
        seconds = (pts - self._origin) * (self._stream.time_base or 0)
        return round(seconds * self.info.sample_rate_hz)


def _collect(
    frames: Iterator[tuple[int, FloatArray]], start: int, stop: int
) -> tuple[int, FloatArray]:
    """Take frames until ``stop``; return the first kept sample's position and the samples.

    Frames that end before ``start`` are let go, so a long way to it costs no memory. Positions
    are counted on from the first frame: the time stamps of some containers are rounded.
    """
    first = end = -1
    parts: list[FloatArray] = []
    for position, samples in frames:
        end = (position if end < 0 else end) + len(samples)
        if end <= start:
            continue
        if not parts:
            first = end - len(samples)
        parts.append(samples)
        if end >= stop:
            break
    return (first, np.concatenate(parts)) if parts else (stop, np.zeros(0, np.float32))


class SoundFileSource:
    """An audio file opened with soundfile (libsndfile)."""

    def __init__(self, path: str) -> None:
        import soundfile

        self._error = soundfile.SoundFileError
        # A file object, since libsndfile can't open every name.
        self._raw = Path(path).open("rb")  # noqa: SIM115 - closed by __exit__
        try:
            self._file = soundfile.SoundFile(self._raw)
        except (self._error, TypeError, ValueError) as error:
            self._raw.close()
            raise AudioError("not in a format that can be decoded") from error
        self.info = AudioInfo(
            container=self._file.format.lower(),
            codec=self._file.subtype.lower(),
            sample_rate_hz=self._file.samplerate,
            channels=self._file.channels,
            duration_seconds=self._file.frames / self._file.samplerate,
            tags={key: text for key, text in self._file.copy_metadata().items() if text},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._raw.close()

    def measure_seconds(self) -> float:
        """Return the duration that can be decoded, by decoding it in bounded pieces."""
        self._file.seek(0)
        frames = 0
        try:
            for block in self._file.blocks(blocksize=65_536, dtype="float32"):
                frames += len(block)
        except self._error:
            pass  # what was read until here is what there is
        return frames / self.info.sample_rate_hz

    def read(self, start: int, stop: int, digest: hashlib.blake2b) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop``; see ``Source``."""
        try:
            self._file.seek(start)
            samples: FloatArray = self._file.read(stop - start, dtype="float32", always_2d=True)
        except self._error:
            return stop, np.zeros(0, np.float32)
        digest.update(samples.tobytes())
        return start, samples.mean(axis=1, dtype=np.float32)


def _mono(frame: Any) -> FloatArray:
    """Return a PyAV audio frame as float32 (n_samples,): the mean of its channels.

    The mean, as librosa does it: FFmpeg's own downmix of floats is 3 dB louder.
    """
    array: np.ndarray[Any, Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    scale = _INTEGER_SCALE.get(array.dtype.str[1:])
    mono: FloatArray = array[0].astype(np.float32)
    for channel in array[1:]:
        mono += channel
    if array.dtype.kind == "u":
        mono -= 128.0 * len(array)
    return mono * np.float32(1.0 / (len(array) * (scale or 1.0)))


def _explain(error: Exception) -> str:
    """Return a reason that a person understands for what FFmpeg could not open."""
    import av

    if isinstance(error, av.error.InvalidDataError):
        return "not in a format that can be decoded"
    if isinstance(error, av.error.EOFError):
        return "ends before any audio"
    text = getattr(error, "strerror", None) or str(error)
    return f"can't be opened: {text}"
