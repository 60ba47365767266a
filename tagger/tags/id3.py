"""ID3v2 tags as bytes: every frame but the genre is kept exactly as it stands.

Mutagen reads the genre, whose spellings it knows; it does not render the tag. Its own rendering
upgrades v2.2, re-encodes text, sorts frames, and rewrites a whole ID3v1 tag; here the other
frames are copied as bytes, in their order, under the version that was found.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from io import BytesIO

from tagger.errors import TagError

GENRE_FRAMES = {2: b"TCO", 3: b"TCON", 4: b"TCON"}
USER_TEXT_FRAMES = {2: b"TXX", 3: b"TXXX", 4: b"TXXX"}
NEW_TAG_VERSION = 4  # of a file without a tag: the version that knows several values

# Room for the next edit when a tag has to grow anyway, so that it need not grow again.
GROWTH_BYTES = 1024

_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_NAME = re.compile(rb"[A-Z0-9]{3}[A-Z0-9\0 ]?")
_LATIN1, _UTF16, _UTF8 = 0, 1, 3


@dataclass(frozen=True)
class Frame:
    """One frame: its header as found, and its content."""

    head: bytes
    content: bytes

    @property
    def name(self) -> bytes:
        """The frame's name, without the filler that some taggers put after a v2.2 name."""
        length = 3 if len(self.head) == 6 else 4
        return self.head[:length].rstrip(b"\0 ")

    def is_genre(self) -> bool:
        """Tell whether this is a genre frame."""
        return self.name in GENRE_FRAMES.values()

    def is_field(self, field_name: str) -> bool:
        """Tell whether this is a user-defined text of the given name."""
        if self.name not in USER_TEXT_FRAMES.values() or not self.content:
            return False
        utf16 = codecs_for_utf16(field_name)
        text = self.content[1:]
        return text.startswith((field_name.encode() + b"\0", *utf16))


def codecs_for_utf16(text: str) -> tuple[bytes, ...]:
    """Return a zero-terminated text as UTF-16 in each of the ways that taggers write it."""
    little, big = text.encode("utf-16-le") + b"\0\0", text.encode("utf-16-be") + b"\0\0"
    return b"\xff\xfe" + little, b"\xfe\xff" + big, big


@dataclass
class Id3Tag:
    """An ID3v2 tag.

    Attributes
    ----------
    version : {2, 3, 4}
        The 3 of ID3v2.3.
    block_bytes : int
        What the tag occupies, with its padding; 0 if there is none.
    """

    version: int = NEW_TAG_VERSION
    unsynchronised: bool = False
    frames: list[Frame] = field(default_factory=list)
    block_bytes: int = 0

    def genres(self) -> list[str]:
        """Return the genres as people read them: ``(17)`` as Rock."""
        frames = [frame for frame in self.frames if frame.is_genre()]
        return [genre for frame in frames for genre in self._read_genre(frame)]

    def _read_genre(self, frame: Frame) -> list[str]:
        from mutagen.id3 import ID3

        body = frame.head + frame.content
        # v2.4 marks each unsynchronised frame; older versions were decoded as a whole by parse.
        flags = _UNSYNCHRONISED if self.unsynchronised and self.version == 4 else 0
        head = struct.pack(">3sBBB4s", b"ID3", self.version, 0, flags, _synchsafe(len(body)))
        tags = ID3(BytesIO(head + body), translate=False, load_v1=False)
        texts = tags.getall("TCON")  # mutagen's name for the TCO of v2.2 too
        return [str(genre).strip() for text in texts for genre in text.genres if genre.strip()]

    def put(self, name: bytes, contents: list[bytes], replaced: list[Frame]) -> None:
        """Put frames where the first of those ``replaced`` stands, else at the end."""
        at = self.frames.index(replaced[0]) if replaced else len(self.frames)
        kept_before = [frame for frame in self.frames[:at] if frame not in replaced]
        kept_after = [frame for frame in self.frames[at:] if frame not in replaced]
        new = [Frame(self._head(name, len(content)), content) for content in contents]
        self.frames = [*kept_before, *new, *kept_after]

    def text(self, values: list[str], prefix: bytes = b"") -> bytes:
        """Return a text frame's content; Latin-1 where it suffices, as old players need it."""
        joined = "\0".join(values)
        try:
            return bytes([_LATIN1]) + prefix + joined.encode("latin-1")
        except UnicodeEncodeError:
            if self.version == 4:
                return bytes([_UTF8]) + prefix + joined.encode()
            wide = prefix.decode().encode("utf-16") if prefix else b""
            return bytes([_UTF16]) + wide + joined.encode("utf-16")

    def _head(self, name: bytes, size: int) -> bytes:
        if self.version == 2:
            return name + size.to_bytes(3, "big")
        return name + (_synchsafe(size) if self.version == 4 else size.to_bytes(4, "big")) + b"\0\0"

    def render(self) -> bytes:
        """Return the tag's block: of its old size where that is enough, else with new padding.

        An extended header or a footer is not kept: both describe the bytes of the old tag.
        """
        body = b"".join(frame.head + frame.content for frame in self.frames)
        flags = 0
        if self.unsynchronised and self.version < 4:
            body, flags = _unsynchronise(body), _UNSYNCHRONISED
        elif self.unsynchronised:
            flags = _UNSYNCHRONISED
        needed = 10 + len(body)
        block = self.block_bytes if needed <= self.block_bytes else needed + GROWTH_BYTES
        head = struct.pack(">3sBBB4s", b"ID3", self.version, 0, flags, _synchsafe(block - 10))
        return (head + body).ljust(block, b"\0")


def parse(block: bytes) -> Id3Tag:
    """Return the tag that ``block`` starts with; an empty one if it starts with none.

    Raises
    ------
    TagError
        If the tag is damaged, so that rewriting it might lose what another program can read.
    """
    size = tag_bytes(block[:10])
    if not size:
        return Id3Tag()
    version, flags = block[3], block[5]
    if version not in GENRE_FRAMES or (version == 2 and flags & _EXTENDED):
        raise TagError(f"its ID3v2.{version} tag is of no known kind")
    body = block[10 : size - 10 if flags & _FOOTER and version == 4 else size]
    if len(block) < size:
        raise TagError("its ID3 tag is damaged: it says to be longer than the file")
    unsynchronised = bool(flags & _UNSYNCHRONISED)
    if unsynchronised and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    if flags & _EXTENDED:
        body = _skip_extended_header(body, version)
    frames = _read_frames(body, version, synchsafe=version == 4)
    if frames is None and version == 4:  # iTunes wrote plain sizes into v2.4
        frames = _read_frames(body, version, synchsafe=False)
    if frames is None:
        raise TagError("its ID3 tag is damaged: a frame has an impossible name or size")
    return Id3Tag(version, unsynchronised, frames, size)


def tag_bytes(head: bytes) -> int:
    """Return how many bytes an ID3v2 tag occupies, given its first ten; 0 if it is none."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
        return 0
    footer = 10 if head[3] == 4 and head[5] & _FOOTER else 0
    return 10 + _from_synchsafe(head[6:10]) + footer


def _read_frames(body: bytes, version: int, *, synchsafe: bool) -> list[Frame] | None:
    """Return the frames up to the padding; None where one is impossible."""
    head_bytes, name_bytes = (6, 3) if version == 2 else (10, 4)
    frames, at = [], 0
    while at + head_bytes <= len(body) and body[at : at + name_bytes].strip(b"\0"):
        head = body[at : at + head_bytes]
        if not _NAME.fullmatch(head[:name_bytes]):
            return None
        size_bytes = head[3:6] if version == 2 else head[4:8]
        if synchsafe and max(size_bytes) > 0x7F:
            return None
        size = _from_synchsafe(size_bytes) if synchsafe else int.from_bytes(size_bytes, "big")
        at += head_bytes
        if at + size > len(body):
            return None
        frames.append(Frame(head, body[at : at + size]))
        at += size
    return frames


def _skip_extended_header(body: bytes, version: int) -> bytes:
    if _NAME.fullmatch(body[:4]):  # some taggers set the flag and write no such header
        return body
    if version == 4:
        return body[_from_synchsafe(body[:4]) :]
    return body[4 + int.from_bytes(body[:4], "big") :]


def _unsynchronise(body: bytes) -> bytes:
    """Part every false synchronisation with a zero byte (ID3v2.3 section 5)."""
    parted = re.sub(rb"\xff(?=[\xe0-\xff\x00])", b"\xff\x00", body)
    return parted + b"\0" if parted.endswith(b"\xff") else parted


def _synchsafe(value: int) -> bytes:
    """Return a number as four bytes of seven bits each."""
    if value >= 1 << 28:
        raise TagError("its ID3 tag would grow beyond 256 MB")
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def _from_synchsafe(data: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=True))
