"""Where the sound lies in a file: byte ranges without tags, for each kind of container.

Only structure is read here (a few hundred bytes of most files), never a sample.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

Region = tuple[int, int]  # first byte, bytes

# More chunks than this is no file that anybody made: the rest counts as one.
MAX_CHUNKS = 200_000

# Zeros after a tag that belong to it although it does not count them.
MAX_PADDING = 2**16

# What programs write for a length that they don't know yet, and never come back to.
_UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF}

_OGG_LAST = 0x04  # a page's flag: the stream ends here


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
    byteorder: Literal["little", "big"]
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


@dataclass(frozen=True)
class Layout:
    """Where the sound lies in a file.

    Attributes
    ----------
    regions : list of (int, int)
        First byte and bytes of each stretch, in order.
    stated_bytes : int or None
        How many bytes of sound the file says it has, where it says so.
    damage : str or None
        What else of the file is plainly missing.
    md5 : bytes or None
        What a FLAC file says of its samples: rate, channels, bits, length, MD5.
    """

    regions: list[Region]
    stated_bytes: int | None = None
    damage: str | None = None
    md5: bytes | None = None

    @property
    def size(self) -> int:
        """All bytes of sound."""
        return sum(size for _, size in self.regions)


def read_layout(file: BinaryIO) -> Layout:
    """Return where the sound lies in an open file."""
    end = file.seek(0, os.SEEK_END)
    start = _after_id3v2(file, 0)
    head = _read(file, start, 16)
    for offset, magic, chunk_format in CHUNK_FORMATS:
        if start == 0 and head.startswith(magic, offset):
            layout = _chunk_layout(file, chunk_format, end)
            if layout.size or layout.damage:
                return layout
    walkers = {b"OggS": _ogg_pages, b"fLaC": _flac_frames, b"\x1aE\xdf\xa3": _matroska_clusters}
    walker = walkers.get(head[:4])
    layout = walker(file, start, end) if walker else Layout([])
    return layout if layout.size else replace(layout, regions=[_bare(file, start, end)])


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
    while padding := _read(file, start, MAX_PADDING):
        after = _after_id3v2(file, start + len(padding) - len(padding.lstrip(b"\0")))
        if after == start or len(padding.strip(b"\0")) == 0:
            break
        start = after
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


def _chunk_layout(file: BinaryIO, chunk_format: ChunkFormat, end: int) -> Layout:
    regions, names, stated_bytes = [], set(), 0
    for name, start, size in _chunks(file, chunk_format, end):
        names.add(name)
        if name in chunk_format.sound:
            regions.append((start, max(0, min(size, end - start))))
            stated_bytes += size
    lacks_index = chunk_format is _MP4 and b"moov" not in names
    damage = "truncated: the index at its end is missing" if lacks_index else None
    return Layout(regions, stated_bytes, damage)


def _chunks(
    file: BinaryIO, chunk_format: ChunkFormat, end: int
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (id, first byte, stated bytes) of each chunk, without its header."""
    position = chunk_format.start
    long_size = 0  # what RF64's ds64 chunk says of a data chunk beyond 4 GiB
    id_size, header_size = chunk_format.id_size, chunk_format.id_size + chunk_format.length_size
    for _ in range(MAX_CHUNKS):
        header = _read(file, position, header_size + 8)
        if len(header) < header_size:
            return
        name, length = header[:id_size], header[id_size:header_size]
        if chunk_format.length_first:
            name, length = header[-id_size - 8 :][:id_size], header[: chunk_format.length_size]
        size = int.from_bytes(length, chunk_format.byteorder)
        start = position + header_size
        if name == b"ds64":
            long_size = int.from_bytes(_read(file, start + 8, 8), "little")
        if chunk_format.length_first and size == 1:  # MP4: the length follows, in 64 bits
            size, start = int.from_bytes(header[8:16], "big"), start + 8
        elif name == b"data" and size in _UNKNOWN_SIZES:  # told in ds64, or written as a stream
            size = long_size or end - start
        elif chunk_format.length_first and size == 0:  # MP4: up to the end
            size = end - position
        following = (position if chunk_format.counts_header else start) + size
        yield name, start + chunk_format.skip, following - start - chunk_format.skip
        if following <= position or following >= end:
            return
        position = following + -following % chunk_format.align


def _flac_frames(file: BinaryIO, start: int, end: int) -> Layout:
    """Return what follows the metadata blocks, and what the first of them says (STREAMINFO)."""
    info = _read(file, start + 4, 38)  # 4 bytes of header, 10 of frame sizes, rate to length, MD5
    md5 = info[14:38] if len(info) == 38 and info[0] & 0x7F == 0 and any(info[22:38]) else None
    position = start + 4
    for _ in range(MAX_CHUNKS):
        header = _read(file, position, 4)
        if len(header) < 4:
            return Layout([], damage="truncated: only its header is left")
        position += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            break
    return Layout([_bare(file, position, end)], md5=md5)


def _ogg_pages(file: BinaryIO, start: int, end: int) -> Layout:
    """Return the contents of all pages but the leading ones, which hold headers and tags.

    The first page that ends a packet of sound has a position ("granule") above zero. Page
    headers are left out: numbers and checksums in them change with the tags before them.
    """
    regions: list[Region] = []
    position, flags = start, 0
    buffered, window = b"", 0
    while position < end and len(regions) < MAX_CHUNKS:
        if not window <= position <= window + len(buffered) - 282:
            window, buffered = position, _read(file, position, 2**18)
        at = position - window
        if buffered[at : at + 4] != b"OggS" or len(buffered) - at < 27:
            break
        flags, segments = buffered[at + 5], buffered[at + 26]
        size = sum(buffered[at + 27 : at + 27 + segments])
        granule = int.from_bytes(buffered[at + 6 : at + 14], "little", signed=True)
        if regions or granule > 0:
            regions.append((position + 27 + segments, min(size, end - position)))
        position += 27 + segments + size
    is_whole = (flags & _OGG_LAST and position <= end) or len(regions) == MAX_CHUNKS
    return Layout(regions, damage=None if is_whole else "truncated: its last page is missing")


def _matroska_clusters(file: BinaryIO, start: int, end: int) -> Layout:
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
    return Layout(regions)


def _ebml_number(file: BinaryIO, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of EBML's variable length at ``position``, and where it ends."""
    raw = _read(file, position, 8)
    if not raw or raw[0] == 0:
        return 0, position
    length = 9 - raw[0].bit_length()
    value = int.from_bytes(raw[:length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), position + length
