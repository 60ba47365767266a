"""The three places where a file keeps an ID3v2 tag: its start, a RIFF chunk, an AIFF chunk."""

from __future__ import annotations

import os
import re
from typing import Any, BinaryIO, Protocol

from tagger.tags.fields import NO_TAIL, PROVENANCE, Raw, read_genre
from tagger.tags.id3 import (
    GENRE_FRAMES,
    USER_TEXT_FRAMES,
    Frame,
    Id3Tag,
    parse,
    tag_bytes,
)

ID3V1_BYTES = 128
ID3V1_NO_GENRE = 255
APE_FOOTER_BYTES = 32


class Place(Protocol):
    """Where in a file its ID3v2 tag lies."""

    def read(self, file: BinaryIO) -> bytes:
        """Return the bytes of the tag's place, at least the tag; empty if there is none."""
        ...

    def write(self, file: BinaryIO, block: bytes, old_bytes: int) -> None:
        """Put a tag there in place of ``old_bytes``; none at all if ``block`` is empty."""
        ...

    def other_genres(self, file: BinaryIO) -> list[str]:
        """Return the genres of another tag, which count where ID3v2 has none."""
        ...

    def tail(self, file: BinaryIO) -> int:
        """Return from where on the file holds nothing but tags."""
        ...

    def others(self, file: BinaryIO) -> object:
        """Return what else of the file describes the track, to compare."""
        ...


class AtStart:
    """MP3 and TrueAudio: at the start of the file, with an ID3v1 tag at its end, maybe."""

    def read(self, file: BinaryIO) -> bytes:
        """See ``Place``."""
        file.seek(0)
        head = file.read(10)
        return head + file.read(max(0, tag_bytes(head) - 10))

    def write(self, file: BinaryIO, block: bytes, old_bytes: int) -> None:
        """See ``Place``."""
        from mutagen._util import resize_bytes

        resize_bytes(file, old_bytes, len(block), 0)
        file.seek(0)
        file.write(block)

    def other_genres(self, file: BinaryIO) -> list[str]:
        """See ``Place``: what an APEv2 tag says. ID3v1 counts only where it is the only tag."""
        from mutagen.apev2 import APENoHeaderError, APEv2

        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - ID3V1_BYTES - APE_FOOTER_BYTES))
        if b"APETAGEX" not in file.read():
            return []
        file.seek(0)
        try:
            texts = APEv2(file).get("Genre") or []
        except APENoHeaderError:
            return []
        return [genre for text in texts for genre in read_genre(text)]

    def tail(self, file: BinaryIO) -> int:
        """See ``Place``."""
        size = file.seek(0, os.SEEK_END)
        return size - ID3V1_BYTES if read_id3v1(file) else NO_TAIL

    def others(self, file: BinaryIO) -> object:
        """See ``Place``."""
        return read_id3v1(file)[:-1]


class InChunk:
    """WAV and AIFF: in a chunk of the file. A RIFF INFO list is left alone."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def _open(self, file: BinaryIO) -> Any:
        from mutagen._riff import RiffFile
        from mutagen.aiff import AIFFFile

        file.seek(0)
        kind = RiffFile if file.read(4) == b"RIFF" else AIFFFile
        return kind(file)

    def _chunk(self, chunks: Any) -> Any:
        return next((chunk for chunk in chunks.root.subchunks() if chunk.id in self._names), None)

    def read(self, file: BinaryIO) -> bytes:
        """See ``Place``."""
        chunk = self._chunk(self._open(file))
        return bytes(chunk.read()) if chunk else b""

    def write(self, file: BinaryIO, block: bytes, old_bytes: int) -> None:
        """See ``Place``."""
        del old_bytes  # the chunk knows
        chunks = self._open(file)
        chunk = self._chunk(chunks)
        if not block:
            if chunk:
                chunk.delete()
            return
        chunk = chunk or chunks.insert_chunk(self._names[0])
        chunk.resize(len(block))
        chunk.write(block)

    def other_genres(self, file: BinaryIO) -> list[str]:
        """See ``Place``: what a RIFF INFO list says."""
        for chunk in self._open(file).root.subchunks():
            if chunk.id == "LIST" and chunk.name == "INFO":
                texts = [item.read() for item in chunk.subchunks() if item.id == "IGNR"]
                decoded = (text.rstrip(b"\0 ").decode("utf-8", "replace") for text in texts)
                return [genre for text in decoded if text for genre in read_genre(text)]
        return []

    def tail(self, file: BinaryIO) -> int:
        """See ``Place``."""
        root = self._open(file).root
        tail: int = root.data_offset + root._get_actual_data_size()
        for chunk in reversed(root.subchunks()):
            if chunk.id not in self._names:
                break
            tail = chunk.offset
        return tail

    def others(self, file: BinaryIO) -> object:
        """See ``Place``."""
        chunks = self._open(file).root.subchunks()
        return [(chunk.id, chunk.data_size) for chunk in chunks if chunk.id not in self._names]


class Id3Tags:
    """The ID3 tag of an open file; see ``fields.TagFile``."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        self._file, self._place = file, place
        self._tag = parse(place.read(file))
        self._had_tag = bool(self._tag.block_bytes)
        self._id3v1 = read_id3v1(file) if isinstance(place, AtStart) else b""
        if self._id3v1 and not self._had_tag:
            self._tag.frames = _frames_of_id3v1(self._id3v1, self._tag)
        self.multiple = self._tag.version == 4
        self.tail = place.tail(file)
        self._other_genres = place.other_genres(file)

    def genres(self) -> list[str]:
        """See ``TagFile``."""
        return self._tag.genres() or self._other_genres

    def _ours(self) -> list[Frame]:
        return [frame for frame in self._tag.frames if frame.is_field(PROVENANCE)]

    def put(self, genres: list[str], provenance: str | None) -> None:
        """See ``TagFile``."""
        tag = self._tag
        replaced = [frame for frame in tag.frames if frame.is_genre()]
        contents = [tag.text(genres)] if genres else []
        tag.put(GENRE_FRAMES[tag.version], contents, replaced)
        if provenance is not None:
            content = tag.text([provenance], PROVENANCE.encode() + b"\0")
            tag.put(USER_TEXT_FRAMES[tag.version], [content], self._ours())
        if self._id3v1:
            self._id3v1 = self._id3v1[:-1] + bytes([_id3v1_number(genres)])

    def raw(self) -> Raw:
        """See ``TagFile``."""
        frames = [
            (at, frame.head.hex(), frame.content.hex())
            for at, frame in enumerate(self._tag.frames)
            if self._had_tag and (frame.is_genre() or frame.is_field(PROVENANCE))
        ]
        return {
            "tag": self._had_tag,
            "version": self._tag.version,
            "frames": frames,
            "id3v1_genre": self._id3v1[-1] if self._id3v1 else None,
        }

    def restore(self, raw: Raw) -> None:
        """See ``TagFile``."""
        tag = self._tag
        tag.frames = [
            frame for frame in tag.frames if not frame.is_genre() and not frame.is_field(PROVENANCE)
        ]
        for at, head, content in raw["frames"]:
            frame = Frame(bytes.fromhex(head), bytes.fromhex(content))
            if raw["version"] != tag.version:  # another program converted the tag since
                name = (GENRE_FRAMES if frame.is_genre() else USER_TEXT_FRAMES)[tag.version]
                tag.put(name, [frame.content], [])
                frame = tag.frames.pop()
            tag.frames.insert(at, frame)
        if not raw["tag"] and not tag.frames:
            self._had_tag = False
        if self._id3v1 and raw["id3v1_genre"] is not None:
            self._id3v1 = self._id3v1[:-1] + bytes([raw["id3v1_genre"]])

    def others(self) -> dict[str, object]:
        """See ``TagFile``."""
        frames = [
            (frame.name, frame.head[8:], frame.content)
            for frame in self._tag.frames
            if not frame.is_genre() and not frame.is_field(PROVENANCE)
        ]
        return {
            "ID3 version": self._tag.version,
            "frames": frames,
            "rest": self._place.others(self._file),
        }

    def save(self) -> None:
        """See ``TagFile``."""
        removed = not self._tag.frames and not self._had_tag
        block = b"" if removed else self._tag.render()
        self._place.write(self._file, block, self._tag.block_bytes)
        if self._id3v1:
            self._file.seek(-ID3V1_BYTES, os.SEEK_END)
            self._file.write(self._id3v1)


def read_id3v1(file: BinaryIO) -> bytes:
    """Return the ID3v1 tag at a file's end, or nothing."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ID3V1_BYTES - 3))
    end = file.read()
    found = end[-ID3V1_BYTES:]
    # The TAG of an APEv2 footer, "APETAGEX", is another tag's.
    return found if found.startswith(b"TAG") and not end.startswith(b"APETAGEX") else b""


def _id3v1_number(genres: list[str]) -> int:
    """Return the number of the first genre, be it one of several that were joined."""
    from mutagen.id3 import TCON

    text = genres[0] if genres else ""
    known = [name for name in TCON.GENRES if re.match(re.escape(name) + r"(\s*[^\w\s]|$)", text)]
    return TCON.GENRES.index(max(known, key=len)) if known else ID3V1_NO_GENRE


def _frames_of_id3v1(data: bytes, tag: Id3Tag) -> list[Frame]:
    """Return a file's ID3v1 texts as frames for its first ID3v2 tag.

    Players that find an ID3v2 tag ignore ID3v1: without them the title would seem gone.
    """
    from io import BytesIO

    from mutagen.id3 import ID3

    texts = ID3(BytesIO(b"\0" * 10 + data))
    frames = Id3Tag(tag.version)
    for name in ("TIT2", "TPE1", "TALB", "TDRC", "TRCK", "TCON"):
        for found in texts.getall(name):
            text = found.genres if name == "TCON" else [str(value) for value in found.text]
            frames.put(name.encode(), [frames.text(text)], [])
    for found in texts.getall("COMM"):
        frames.put(b"COMM", [frames.text([str(found.text[0])], b"eng\0")], [])
    return frames.frames
