"""What differs between two files of nearly the same bytes, and the way back.

A tag edit changes a few stretches of a file and may shift what follows. The stretches, with
their old bytes, are all that is needed to rebuild the old file from the new one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from tagger.errors import TagError

# Beyond this the old bytes are not kept: the genre field alone has to do for the way back.
MAX_OLD_BYTES = 1 << 20

_BLOCK_BYTES = 1 << 16
_ANCHOR_BYTES = 64  # as many equal bytes count as "the same again"
_FINE_STEPS = 1024  # the first 64 KB after a difference are searched in steps of an anchor
_COARSE_STEP_BYTES = 4096


@dataclass(frozen=True)
class Edit:
    """A stretch that differs: ``old[start:stop]`` became ``new[new_start:new_stop]``."""

    start: int
    stop: int
    new_start: int
    new_stop: int


Buffer = bytes | mmap.mmap


@contextmanager
def view(file: BinaryIO) -> Iterator[Buffer]:
    """Lend a file's content without reading it all."""
    file.flush()
    if not os.fstat(file.fileno()).st_size:
        yield b""  # an empty file can't be mapped
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def find_edits(old: Buffer, new: Buffer) -> list[Edit]:
    """Return the stretches in which two files differ, in order."""
    at, new_at, edits = 0, 0, []
    while at < len(old) or new_at < len(new):
        equal = _equal_bytes(old, at, new, new_at)
        at, new_at = at + equal, new_at + equal
        if at == len(old) and new_at == len(new):
            break
        stop, new_stop = _meet_again(old, at, new, new_at)
        edits.append(Edit(at, stop, new_at, new_stop))
        at, new_at = stop, new_stop
    return edits


def _equal_bytes(old: Buffer, at: int, new: Buffer, new_at: int) -> int:
    """Return for how many bytes two buffers go on alike."""
    start, most = at, min(len(old) - at, len(new) - new_at)
    done = 0
    while done < most:
        size = min(_BLOCK_BYTES, most - done)
        a, b = old[at + done : at + done + size], new[new_at + done : new_at + done + size]
        if a != b:
            while size > 1:  # halve towards the first difference
                half = size // 2
                same = a[:half] == b[:half]
                done += half if same else 0
                a, b = (a[half:], b[half:]) if same else (a[:half], b[:half])
                size = len(a)
            break
        done += size
    return start + done - at


def _meet_again(old: Buffer, at: int, new: Buffer, new_at: int) -> tuple[int, int]:
    """Return where two buffers that differ at ``at`` and ``new_at`` are alike again."""
    shifts = dict.fromkeys((new_at - at, len(new) - len(old)))
    step, stop = 0, at
    while stop + _ANCHOR_BYTES <= len(old):
        anchor = old[stop : stop + _ANCHOR_BYTES]
        for shift in shifts:
            new_stop = stop + shift
            if new_stop >= new_at and new[new_stop : new_stop + _ANCHOR_BYTES] == anchor:
                while stop > at and new_stop > new_at and old[stop - 1] == new[new_stop - 1]:
                    stop, new_stop = stop - 1, new_stop - 1
                return stop, new_stop
        step += 1
        stop += _ANCHOR_BYTES if step < _FINE_STEPS else _COARSE_STEP_BYTES
    return _common_end(old, at, new, new_at)


def _common_end(old: Buffer, at: int, new: Buffer, new_at: int) -> tuple[int, int]:
    stop, new_stop = len(old), len(new)
    for _ in range(_ANCHOR_BYTES):
        if stop <= at or new_stop <= new_at or old[stop - 1] != new[new_stop - 1]:
            break
        stop, new_stop = stop - 1, new_stop - 1
    return stop, new_stop


def way_back(old: Buffer, new: Buffer, edits: list[Edit]) -> bytes | None:
    """Return what ``rebuild`` needs to make the old file of the new one; None if too much."""
    if sum(edit.stop - edit.start for edit in edits) > MAX_OLD_BYTES:
        return None
    steps = [
        [edit.new_start, edit.new_stop, base64.b85encode(old[edit.start : edit.stop]).decode()]
        for edit in edits
    ]
    facts = {"size": len(new), "digest": _digest(new, edits), "steps": steps}
    return zlib.compress(json.dumps(facts).encode())


def _digest(new: Buffer, edits: list[Edit]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for edit in edits:
        digest.update(new[edit.new_start : edit.new_stop])
    return digest.hexdigest()


def rebuild(
    source: BinaryIO,
    target: BinaryIO,
    back: bytes,
    copy: Callable[[BinaryIO, BinaryIO, int, int], None],
) -> bool:
    """Write the old file into ``target``, given the new one; False if that is not the same now.

    Stretches that the edit left alone are taken from the file as it is: a change that another
    program made there stays.

    Parameters
    ----------
    copy : callable
        ``copy(source, target, start, size)`` appends a stretch of the source to the target.
    """
    try:
        facts = json.loads(zlib.decompress(back))
        edits = [Edit(0, 0, start, stop) for start, stop, _ in facts["steps"]]
        old_parts = [base64.b85decode(text) for _, _, text in facts["steps"]]
    except (ValueError, KeyError, zlib.error) as error:
        raise TagError("the journal's record of this file is damaged") from error
    with view(source) as new:
        size = len(new)
        if size != facts["size"] or _digest(new, edits) != facts["digest"]:
            return False
    at = 0
    for edit, old_bytes in zip(edits, old_parts, strict=True):
        copy(source, target, at, edit.new_start - at)
        target.write(old_bytes)
        at = edit.new_stop
    copy(source, target, at, size - at)
    return True
