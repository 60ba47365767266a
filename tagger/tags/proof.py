"""Proof that an edit left the audio alone.

Where everything that changed lies before the first audio packet or behind the last, the audio
is the same bytes, and comparing the first packet's place and the stream's description
completes the proof. Otherwise every packet of both files is digested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from tagger.errors import TagError
from tagger.tags.edits import Edit

if TYPE_CHECKING:
    from av.container import InputContainer

# Packets per entry of MP4's index: one each, so the index tells where every packet lies.
INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)


# No decoder, and as little probing for what only one could tell: both files are treated alike,
# and FFmpeg opens them in half the time (a tenth for WavPack).
LOOK_ONLY = {"codec_whitelist": "none", "probesize": "4096"}


@dataclass(frozen=True)
class Stream:
    """What identifies a file's audio without reading all of it.

    Attributes
    ----------
    facts : tuple
        Container, codec, rate, channels: all that must stay equal.
    durations : tuple
        As stated; where nothing states them, FFmpeg guesses them from the file's size.
    first_packet : bytes
    places : list of (int, int)
        Byte position and size of the first packet, or of all where the container lists them.
    """

    facts: tuple[Any, ...]
    durations: tuple[Any, ...]
    first_packet: bytes
    places: list[tuple[int, int]]


@contextmanager
def _opened(file: BinaryIO) -> Iterator[InputContainer]:
    import av

    from tagger.sound.sources import DEMUXERS

    file.seek(0)
    try:
        options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file", **LOOK_ONLY}
        with av.open(file, "r", metadata_errors="replace", container_options=options) as container:
            yield container
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise TagError(f"its audio can't be checked: {error}") from error


def _audio_streams(container: InputContainer) -> list[Any]:
    """Return all streams but cover pictures, which are tags."""
    import av

    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams if not stream.disposition & cover]


def describe(file: BinaryIO) -> Stream:
    """Return what identifies the audio of an open file.

    Raises
    ------
    TagError
        If it holds no audio packet.
    """
    with _opened(file) as container:
        streams = _audio_streams(container)
        audio = container.streams.audio[0]
        context = audio.codec_context
        facts = (
            container.format.name, len(streams), context.name, context.sample_rate,
            context.channels, _setup(bytes(context.extradata or b"")), audio.time_base,
            audio.start_time,
        )  # fmt: skip
        durations = (container.duration, audio.duration)
        packet = next(iter(container.demux(audio)), None)
        if packet is None or not packet.size or packet.pos is None:
            raise TagError("it holds no audio that could be checked")
        places = [(packet.pos, packet.size)]
        if container.format.name in INDEXED_FORMATS and len(streams) == 1:
            places = [(entry.pos, entry.size) for entry in audio.index_entries] or places
        return Stream(facts, durations, bytes(packet), places)


def _setup(extradata: bytes) -> bytes:
    """Return a decoder's set-up; Vorbis's holds the comments too, before its last header."""
    return extradata[max(0, extradata.rfind(b"\x05vorbis")) :]


def digest_packets(file: BinaryIO) -> str:
    """Return the digest of every audio packet and its time, without decoding.

    Raises
    ------
    TagError
        If it holds no audio packet.
    """
    digest = hashlib.blake2b(digest_size=16)
    packets = 0
    with _opened(file) as container:
        for packet in container.demux(_audio_streams(container)):
            digest.update(b"%a %a " % (packet.pts, packet.duration))
            digest.update(packet)
            packets += bool(packet.size)
    if not packets:
        raise TagError("it holds no audio that could be checked")
    return digest.hexdigest()


def check_audio(old: BinaryIO, new: BinaryIO, edits: list[Edit], tail: int) -> None:
    """Raise TagError unless the audio of ``new`` is that of ``old``.

    Parameters
    ----------
    edits : list of Edit
        Every stretch in which the files differ.
    tail : int
        From this byte on the old file holds nothing but tags.
    """
    before, after = describe(old), describe(new)
    if before.facts != after.facts or before.first_packet != after.first_packet:
        raise TagError("the audio would have changed; the file was left alone")
    if before.durations == after.durations and _lie_outside(edits, before, after, tail):
        return
    if digest_packets(old) != digest_packets(new):
        raise TagError("the audio would have changed; the file was left alone")


def _lie_outside(edits: list[Edit], before: Stream, after: Stream, tail: int) -> bool:
    """Tell whether no edit touches the audio, and the packets moved as the bytes did."""
    first = min(position for position, _ in before.places)
    end = max(position + size for position, size in before.places)
    end = min(end, tail) if len(before.places) > 1 else tail
    if any(edit.stop > first and edit.start < end for edit in edits):
        return False
    ahead = [edit for edit in edits if edit.stop <= first and edit.start < end]
    shift = sum((edit.new_stop - edit.new_start) - (edit.stop - edit.start) for edit in ahead)
    return [(position + shift, size) for position, size in before.places] == after.places
