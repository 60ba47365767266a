"""A fingerprint of the audio in a file, which tags don't change.

It is a hash of the bytes that carry the sound, exactly as they lie in the file, with what the
decoder says of them (codec, rate, channels). What is no sound is left out, container by
container: tags before and after bare frames, the other chunks of WAV and AIFF, everything but
``mdat`` in MP4, and so on (``sound/regions.py``; docs/scanning.md has the list).

Nothing is decoded for it, and reading a file from start to end is what disks and network shares
do best; afterwards the windows come from the system's cache. Of sound that takes more than 64 MiB
only 64 blocks spread over it are read.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from typing import BinaryIO

from tagger.sound.regions import Layout, Region
from tagger.sound.sources import AudioInfo

# 96 bits: among a million tracks, two share them by chance once in 10^17 collections.
HEX_DIGITS = 24

WHOLE_BYTES = 64 * 2**20
BLOCK_BYTES = 2**20
BLOCKS = 64


def fingerprint(file: BinaryIO, layout: Layout, info: AudioInfo) -> str:
    """Return the identity of an open file's audio: 24 hexadecimal digits."""
    digest = hashlib.sha256(f"{info.codec} {info.sample_rate_hz} {info.channels} ".encode())
    if layout.md5 is not None:
        digest.update(layout.md5 + repr(layout.size).encode())
    else:
        _digest_regions(file, layout.regions, digest)
    return digest.hexdigest()[:HEX_DIGITS]


def _digest_regions(file: BinaryIO, regions: list[Region], digest: hashlib._Hash) -> None:
    total = sum(size for _, size in regions)
    if total > WHOLE_BYTES:
        digest.update(f"{total} ".encode())
        regions = _spread(regions, total)
    block = bytearray(BLOCK_BYTES)
    view = memoryview(block)
    for start, size in regions:
        file.seek(start)
        while size > 0:
            got = file.readinto(view[: min(size, BLOCK_BYTES)])  # type: ignore[attr-defined]
            if not got:
                break  # it has shrunk meanwhile; the scan notices
            digest.update(view[:got])
            size -= got


def _spread(regions: list[Region], total: int) -> list[Region]:
    """Return blocks spread evenly over regions, the first and the last byte among them."""
    places = [(total - BLOCK_BYTES) * number // (BLOCKS - 1) for number in range(BLOCKS)]
    blocks, before = [], 0
    for start, size in regions:
        for place in places[bisect(places, before - BLOCK_BYTES) : bisect(places, before + size)]:
            first, stop = max(place, before), min(place + BLOCK_BYTES, before + size)
            blocks.append((start + first - before, stop - first))
        before += size
    return blocks
