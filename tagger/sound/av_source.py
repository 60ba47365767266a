"""Hearing a file through PyAV (FFmpeg), which opens nearly everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tagger.errors import AudioError
from tagger.sound.features import FloatArray
from tagger.sound.mixing import Mixer
from tagger.sound.remote import is_url, open_bytes
from tagger.sound.sources import DEMUXERS, UNKNOWN, AudioInfo

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# Formats of bare frames: their header states no duration, so FFmpeg guesses it from the bit rate.
BARE_FORMATS = {"aac", "ac3", "eac3", "amr", "dts", "mp3", "loas", "truehd", "mpeg", "mpegts"}

# Decoding starts this much before a window: the first frames after a seek are incomplete (MP3's
# bit reservoir, the overlap of AAC and Vorbis; Opus asks for 80 ms, RFC 7845 section 4.6).
PREROLL_SECONDS = 0.1

# Some seeks land late (ASF, long Ogg pages); then we try again from farther ahead.
LATE_SEEK_SECONDS = 10.0


class AvSource:
    """An audio file opened with PyAV; see ``sources.Source``."""

    def __init__(self, path: str) -> None:
        import av

        self._av, self._path = av, path
        self._end: int | None = None  # in samples, once decoding has come there from the start
        self._open()
        try:
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise

    def _open(self) -> None:
        av, path = self._av, self._path
        try:
            self._container: InputContainer = av.open(
                # An absolute path can't be mistaken for a protocol such as "concat:".
                open_bytes(path) if is_url(path) else str(Path(path).absolute()),
                "r",
                metadata_errors="replace",
                container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file"},
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(_explain(error)) from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError("no audio stream")
        self._stream: AudioStream = self._container.streams.audio[0]
        self._origin = self._stream.start_time or 0
        if self._stream.codec_context is not None:
            self._stream.codec_context.thread_count = 1  # there is a process per core already

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
        if context is None:
            raise AudioError("an audio stream of no known kind")
        if not context.sample_rate or not context.channels:  # found by its name, not its contents
            raise AudioError(UNKNOWN)
        tags = {key.lower(): text for key, text in self._container.metadata.items()}
        tags |= {key.lower(): text for key, text in stream.metadata.items()}
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
        stream = self._stream
        if info.container in BARE_FORMATS and not self._has_xing_header():
            return self.measure_seconds()
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._container.duration:
            return float(self._container.duration / self._av.time_base)
        return self.measure_seconds()

    def _has_xing_header(self) -> bool:
        """Tell whether an MP3 states its number of frames (Xing, Info or VBRI header)."""
        if self._container.format.name != "mp3":
            return False
        with open_bytes(self._container.name) as file:
            head = file.read(10)
            if head.startswith(b"ID3"):
                size = int.from_bytes(head[6:10], "big")  # in 7-bit bytes (ID3v2.4, section 6.2)
                size = sum((size >> 8 * place & 0x7F) << 7 * place for place in range(4))
                file.seek(10 + size)
            else:
                file.seek(0)
            start = file.read(4096)
        return any(mark in start for mark in (b"Xing", b"Info", b"VBRI"))

    def measure_seconds(self) -> float:
        """Return the end of the last packet, by reading (not decoding) the file to its end."""
        end = 0
        self._rewind()
        try:
            for packet in self._container.demux(self._stream):
                pts = packet.pts
                if pts is not None:
                    end = max(end, pts + (packet.duration or 0))
        except (self._av.error.FFmpegError, OSError):
            pass  # what was read until here is what there is
        self._rewind()
        ticks = max(0, end - self._origin)
        return float(ticks * self._stream.time_base) if self._stream.time_base else 0.0

    def _rewind(self) -> None:
        """Go to the start; some files can't be seeked in at all, such as FLAC of one frame."""
        try:
            self._container.seek(0)
        except (self._av.error.FFmpegError, OSError):
            self._container.close()
            self._open()

    def read(self, start: int, stop: int) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop``; see ``sources.Source``."""
        if self._end is not None and start >= self._end:
            return stop, np.zeros(0, np.float32)
        rate_hz = self.info.sample_rate_hz
        for lead_seconds in (PREROLL_SECONDS, LATE_SEEK_SECONDS, float("inf")):
            target = max(0.0, start - lead_seconds * rate_hz)
            position, samples = self._collect(target / rate_hz, start, stop)
            if position <= start or target == 0:
                break
        return position, samples

    def _collect(self, seek_seconds: float, start: int, stop: int) -> tuple[int, FloatArray]:
        """Decode from a seek point until ``stop``; return the first kept position and samples.

        Frames that end before ``start`` are let go, so a long way to it costs no memory. Positions
        are counted on from the first frame: the time stamps of some containers are rounded.
        """
        first = end = -1
        mixer = Mixer()
        for position, frame in self._frames(seek_seconds):
            end = (position if end < 0 else end) + frame.samples
            if end <= start:
                continue
            if first < 0:
                first = end - frame.samples
            mixer.add(frame)
            if end >= stop:
                break
        else:
            if seek_seconds == 0:
                self._end = max(end, 0)
        return (first if first >= 0 else stop), mixer.mono()

    def _frames(self, seek_seconds: float) -> Iterator[tuple[int, Any]]:
        """Yield (position in samples, frame) from a seek point on.

        A packet that can't be decoded is passed over. After a seek the first frame must carry a
        time stamp; without one the position is known only when counted from the track's start.
        """
        counted, rate_hz = 0, self.info.sample_rate_hz
        base = self._stream.time_base
        up, down = (base.numerator * rate_hz, base.denominator) if base else (0, 1)
        for frame in self._decoded(seek_seconds):
            if frame.sample_rate != rate_hz:
                return  # a chained stream of another kind
            pts = frame.pts
            if pts is None and not counted and seek_seconds:
                return
            position = counted if pts is None else round((pts - self._origin) * up / down)
            counted += frame.samples
            yield position, frame

    def _decoded(self, seek_seconds: float) -> Iterator[Any]:
        """Yield the frames that can be decoded from a seek point on; a file may just end."""
        errors = (self._av.error.FFmpegError, OSError)
        try:
            if seek_seconds > 0:
                ticks = int(seek_seconds / (self._stream.time_base or 1)) + self._origin
                self._container.seek(ticks, stream=self._stream, backward=True)
            else:
                self._rewind()
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except self._av.error.InvalidDataError:
                    continue
                yield from frames
        except errors:
            return


def _explain(error: Exception) -> str:
    """Return a reason that a person understands for what FFmpeg could not open."""
    import av

    if isinstance(error, (av.error.InvalidDataError, av.error.ArgumentError)):
        return UNKNOWN  # the second: in a format that is not among DEMUXERS
    if isinstance(error, av.error.EOFError):
        return "ends before any audio"
    text = getattr(error, "strerror", None) or str(error)
    return f"can't be opened: {text}"
