"""Where the sound lies in a file: byte ranges without tags, for each kind of container.

Only structure is read here (a few hundred bytes of most files), never a sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

Region = tuple[int, int]  # first byte, bytes

# More chunks than this is no file that anybody made: the rest counts as one.
MAX_CHUNKS = 200_000


@dataclass(frozen=True)
class ChunkFormat:
    """How a container divides its file into chunks: an id and a length, then that many bytes.

    Attributes
    ----------
    start : int
        Where the first chunk begins.
    counts_header : bool
        The length includes the chunk's own header.
    align : int
        Chunks begin at multiples of it.
    sound : tuple of bytes
        The ids of the chunks with the sound, or what says how to read it.
    skip : int
        Bytes of those chunks, after their header, that are no sound.
    """

    start: int
    id_size: int
    length_size: int
    byteorder: str
    sound: tuple[bytes, ...]
    align: int = 1
    counts_header: bool = False
    length_first: bool = False
    skip: int = 0


_RIFF = ChunkFormat(12, 4, 4, "little", (b"fmt ", b"data"), align=2)
_AIFF = ChunkFormat(12, 4, 4, "big", (b"COMM", b"SSND"), align=2)
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a"
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_MP4 = ChunkFormat(0, 4, 4, "big", (b"mdat",), counts_header=True, length_first=True)

# By what a file starts with, from which byte on; the first that fits counts.
CHUNK_FORMATS: tuple[tuple[int, bytes, ChunkFormat], ...] = (
    (0, b"RIFF", _RIFF),
    (0, b"RF64", _RIFF),
    (0, b"FORM", _AIFF),
    (4, b"ftyp", _MP4),
    (4, b"moov", _MP4),
    (4, b"mdat", _MP4),
    (4, b"free", _MP4),
    (4, b"wide", _MP4),
    (0, b"FRM8", ChunkFormat(16, 4, 8, "big", (b"DSD ", b"DST "), align=2)),
    (0, b"caff", ChunkFormat(8, 4, 8, "big", (b"desc", b"data"))),
    (0, b"riff", ChunkFormat(40, 16, 8, "little", (_W64_DATA,), align=8, counts_header=True)),
    (0, b"DSD ", ChunkFormat(28, 4, 8, "little", (b"fmt ", b"data"), counts_header=True)),
    (
        0,
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: its data object begins with the file's id
        ChunkFormat(0, 16, 8, "little", (_ASF_DATA,), counts_header=True, skip=26),
    ),
)  # fmt: skip


def audio_regions(file: BinaryIO) -> list[Region]:
    """Return where the sound lies in an open file, in order."""
    end = os.fstat(file.fileno()).st_size
    start = _after_id3v2(file, 0)
    head = _read(file, start, 16)
    for offset, magic, chunk_format in CHUNK_FORMATS:
        if start == 0 and head.startswith(magic, offset):
            regions = list(_chunks(file, chunk_format, end))
            if regions and regions[-1][1]:
                return regions
    walkers: dict[bytes, Callable[[BinaryIO, int, int], list[Region]]] = {
        b"OggS": _ogg_pages, b"fLaC": _flac_frames, b"\x1aE\xdf\xa3": _matroska_clusters,
    }  # fmt: skip
    walker = walkers.get(head[:4])
    return (walker(file, start, end) if walker else []) or [_bare(file, start, end)]


def flac_md5(file: BinaryIO) -> bytes | None:
    """Return the MD5 and the length that a FLAC file states of its samples, if it does."""
    start = _after_id3v2(file, 0)
    head = _read(file, start, 42)  # "fLaC", then STREAMINFO: 4 bytes of header and 34
    if len(head) < 42 or not head.startswith(b"fLaC") or head[4] & 0x7F != 0:
        return None
    md5 = head[26:42]
    return head[18:42] if any(md5) else None  # rate, channels, bits, samples; MD5


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _after_id3v2(file: BinaryIO, start: int) -> int:
    """Return where the ID3v2 tags at ``start`` end (there may be several)."""
    while (head := _read(file, start, 10)).startswith(b"ID3") and len(head) == 10:
        # Sizes are in 7-bit bytes (ID3v2.4, section 6.2); a footer is not counted in it.
        start += 10 + sum((head[6 + place] & 0x7F) << 7 * (3 - place) for place in range(4))
        start += 10 if head[5] & 0x10 else 0
    return start


def _bare(file: BinaryIO, start: int, end: int) -> Region:
    """Return the region between the tags at both ends, less the zeros that pad the first."""
    while padding := _read(file, start, 65_536):
        sound = padding.lstrip(b"\0")
        start += len(padding) - len(sound)
        if sound:
            break
    stop = _before_tags(file, end)
    return start, max(0, stop - start)


def _before_tags(file: BinaryIO, end: int) -> int:
    """Return where the tags at a file's end begin: ID3v1, APEv2, Lyrics3v2 and ID3v2 footers."""
    for _ in range(8):  # in any order, hardly ever more than three
        tail = _read(file, max(0, end - 128), min(end, 128))
        footer, lyrics = tail[-32:], tail[-15:]
        if tail[-128:-125] == b"TAG":
            end -= 128
        elif footer.startswith(b"APETAGEX"):
            size = int.from_bytes(footer[12:16], "little")
            has_header = int.from_bytes(footer[20:24], "little") >> 31
            end -= size + 32 * has_header
        elif lyrics.endswith(b"LYRICS200") and lyrics[:6].isdigit():
            end -= int(lyrics[:6]) + 15
        elif tail[-10:-7] == b"3DI":
            end -= 20 + sum((tail[-4 + n] & 0x7F) << 7 * (3 - n) for n in range(4))
        else:
            break
    return max(0, end)


def _chunks(file: BinaryIO, chunk_format: ChunkFormat, end: int) -> Iterator[Region]:
    position = chunk_format.start
    long_size = 0  # what RF64's ds64 chunk says of a data chunk beyond 4 GiB
    header_size = chunk_format.id_size + chunk_format.length_size
    for _ in range(MAX_CHUNKS):
        header = _read(file, position, header_size + 8)
        if len(header) < header_size:
            return
        split = chunk_format.length_size if chunk_format.length_first else chunk_format.id_size
        first, second = header[:split], header[split:header_size]
        name, length = (second, first) if chunk_format.length_first else (first, second)
        size = int.from_bytes(length, chunk_format.byteorder)  # type: ignore[arg-type]
        start = position + header_size
        if name == b"ds64":
            long_size = int.from_bytes(_read(file, start + 8, 8), "little")
        if chunk_format.length_first and size == 1:  # MP4: the length follows, in 64 bits
            size, start = int.from_bytes(header[8:16], "big"), start + 8
        elif size in (0, 0xFFFFFFFF) and name == b"data":  # told in ds64, or unknown: a stream
            size = long_size or end - start
        elif size == 0 and chunk_format.length_first:  # MP4: up to the end
            size = end - position
        following = (position if chunk_format.counts_header else start) + size
        if name in chunk_format.sound:
            skipped = start + chunk_format.skip
            yield skipped, max(0, min(following, end) - skipped)
        if following <= position or following >= end:
            return
        position = following + -following % chunk_format.align


def _flac_frames(file: BinaryIO, start: int, end: int) -> list[Region]:
    """Return what follows the metadata blocks."""
    position = start + 4
    for _ in range(MAX_CHUNKS):
        header = _read(file, position, 4)
        if len(header) < 4:
            return []
        position += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            break
    return [_bare(file, position, end)]


def _ogg_pages(file: BinaryIO, start: int, end: int) -> list[Region]:
    """Return the contents of all pages but the leading ones, which hold headers and tags.

    The first page that ends a packet of sound has a position ("granule") above zero. Page
    headers are left out: numbers and checksums in them change with the tags before them.
    """
    regions: list[Region] = []
    position = start
    buffered, window = b"", 0
    while position < end and len(regions) < MAX_CHUNKS:
        if not window <= position <= window + len(buffered) - 282:
            window, buffered = position, _read(file, position, 2**18)
        at = position - window
        if buffered[at : at + 4] != b"OggS" or len(buffered) - at < 27:
            break
        segments = buffered[at + 26]
        size = sum(buffered[at + 27 : at + 27 + segments])
        granule = int.from_bytes(buffered[at + 6 : at + 14], "little", signed=True)
        if regions or granule > 0:
            regions.append((position + 27 + segments, min(size, end - position)))
        position += 27 + segments + size
    return regions


def _matroska_clusters(file: BinaryIO, start: int, end: int) -> list[Region]:
    """Return the clusters of a Matroska or WebM file."""
    regions: list[Region] = []
    position = start
    for _ in range(MAX_CHUNKS):
        name, after_name = _ebml_number(file, position, keep_marker=True)
        size, body = _ebml_number(file, after_name, keep_marker=False)
        if body == after_name or position >= end:
            break
        unknown = size == (1 << 7 * (body - after_name)) - 1
        if name == 0x18538067:  # Segment: go into it
            position = body
            continue
        stop = end if unknown else min(end, body + size)
        if name == 0x1F43B675:  # Cluster
            regions.append((body, stop - body))
        position = stop
    return regions


def _ebml_number(file: BinaryIO, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of EBML's variable length at ``position``, and where it ends."""
    raw = _read(file, position, 8)
    if not raw or raw[0] == 0:
        return 0, position
    length = 9 - raw[0].bit_length()
    value = int.from_bytes(raw[:length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), position + length
