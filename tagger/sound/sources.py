"""The decoders, PyAV and soundfile, behind one small interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from tagger.errors import AudioError
from tagger.sound.features import FloatArray

# Demuxers of audio, by FFmpeg's names. Without a list, a playlist named .mp3 would make FFmpeg
# open whatever other files it names (hls, concat, sdp, dash …).
DEMUXERS = (
    "aac,ac3,aea,aiff,alac,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dff,dsf,dts,dtshd,eac3,flac,"
    "iff,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,oga,ogg,oma,rm,shn,"
    "sox,tak,truehd,tta,voc,w64,wav,wv,xwma"
)

# What no recording has (telephones: 8,000 Hz; DSD, as FFmpeg decodes it: 352,800 Hz and more).
LEAST_RATE_HZ, MOST_RATE_HZ = 2_000, 3_000_000

UNKNOWN = "not in a format that can be decoded"


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

    def read(self, start: int, stop: int) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop`` (at the file's own rate) to mono.

        Returns the position of the first sample, which may lie before or after ``start``, and
        the samples.
        """
        ...


def open_source(path: str) -> Source:
    """Open a file with the first decoder that can.

    Raises
    ------
    AudioError
        If none can; the message is the reason.
    """
    from tagger.sound.av_source import AvSource
    from tagger.sound.soundfile_source import SoundFileSource

    try:
        source: Source = AvSource(path)
    except AudioError as error:
        try:
            source = SoundFileSource(path)
        except AudioError:
            raise error from None
    rate_hz = source.info.sample_rate_hz
    if not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
        source.__exit__(None, None, None)
        raise AudioError(f"a sample rate of {rate_hz} Hz")
    return source
