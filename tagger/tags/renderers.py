"""The tags that mutagen renders whole: Vorbis comments, MP4, APEv2 and ASF."""

from __future__ import annotations

import os
from typing import BinaryIO

from tagger.errors import TagError
from tagger.tags.fields import (
    NO_TAIL,
    PROVENANCE,
    Raw,
    keep_padding,
    mutagen_open,
    open_with_tag,
    read_genre,
)

# What mutagen puts where bytes are no UTF-8.
REPLACEMENT = "\ufffd"


class VorbisTags:
    """Vorbis comments, in a FLAC block or in Ogg pages; see ``TagFile``."""

    multiple = True
    tail = NO_TAIL

    def __init__(self, file: BinaryIO, kind: str, class_name: str) -> None:
        self._file = file
        self._audio, self._had_tag = open_with_tag(file, kind, class_name)
        self._comments: list[tuple[str, str]] = self._audio.tags
        if any(REPLACEMENT in value for _, value in self._comments):
            raise TagError("its comments hold text that is not UTF-8, which would be lost")

    def _named(self, name: str) -> list[tuple[int, str, str]]:
        comments = enumerate(list.__iter__(self._comments))
        return [(at, key, text) for at, (key, text) in comments if key.upper() == name]

    def genres(self) -> list[str]:
        """See ``TagFile``."""
        return [genre for _, _, text in self._named("GENRE") for genre in read_genre(text)]

    def _replace(self, name: str, values: list[str]) -> None:
        old = self._named(name)
        at, key = (old[0][0], old[0][1]) if old else (len(self._comments), name)
        kept = [item for item in list.__iter__(self._comments) if item[0].upper() != name]
        kept[at:at] = [(key, value) for value in values]
        self._comments[:] = kept

    def put(self, genres: list[str], provenance: str | None) -> None:
        """See ``TagFile``."""
        self._replace("GENRE", genres)
        if provenance is not None:
            self._replace(PROVENANCE, [provenance])

    def raw(self) -> Raw:
        """See ``TagFile``."""
        ours = self._named("GENRE") + self._named(PROVENANCE)
        return {"tag": self._had_tag, "comments": sorted(ours)}

    def restore(self, raw: Raw) -> None:
        """See ``TagFile``."""
        self._replace("GENRE", [])
        self._replace(PROVENANCE, [])
        for at, key, text in raw["comments"]:
            self._comments.insert(at, (key, text))

    def others(self) -> dict[str, object]:
        """See ``TagFile``."""
        names = ("GENRE", PROVENANCE)
        comments = [item for item in list.__iter__(self._comments) if item[0].upper() not in names]
        blocks = [
            (block.code, block.write())
            for block in getattr(self._audio, "metadata_blocks", [])
            if block is not self._audio.tags and block.code != 1  # 1: padding
        ]
        vendor = self._audio.tags.vendor if self._had_tag else None
        return {"comments": comments, "blocks": blocks, "vendor": vendor}

    def save(self) -> None:
        """See ``TagFile``."""
        self._file.seek(0)
        self._audio.save(self._file, padding=keep_padding)


class Mp4Tags:
    """The item list of an MP4 file; see ``TagFile``."""

    multiple = True
    tail = NO_TAIL
    _genre, _ours = "\xa9gen", f"----:com.apple.iTunes:{PROVENANCE}"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._audio, self._had_tag = open_with_tag(file, "mutagen.mp4", "MP4")

    def genres(self) -> list[str]:
        """See ``TagFile``. Mutagen reads the numeric ``gnre`` as the text it stands for."""
        texts = self._audio.tags.get(self._genre, [])
        return [genre for text in texts for genre in read_genre(text)]

    def put(self, genres: list[str], provenance: str | None) -> None:
        """See ``TagFile``."""
        self._audio.tags[self._genre] = genres
        if provenance is not None:
            self._audio.tags[self._ours] = [provenance.encode()]

    def raw(self) -> Raw:
        """See ``TagFile``."""
        tags = self._audio.tags
        ours = [bytes(value).hex() for value in tags.get(self._ours, [])]
        return {"tag": self._had_tag, "genre": list(tags.get(self._genre, [])), "ours": ours}

    def restore(self, raw: Raw) -> None:
        """See ``TagFile``."""
        ours = [bytes.fromhex(value) for value in raw["ours"]]
        for key, values in ((self._genre, raw["genre"]), (self._ours, ours)):
            self._audio.tags.pop(key, None)
            if values:
                self._audio.tags[key] = values

    def others(self) -> dict[str, object]:
        """See ``TagFile``."""
        tags = self._audio.tags
        kept = {key: value for key, value in tags.items() if key not in (self._genre, self._ours)}
        return {"items": kept, "unread items": dict(getattr(tags, "_failed_atoms", {}))}

    def save(self) -> None:
        """See ``TagFile``."""
        self._file.seek(0)
        self._audio.save(self._file, padding=keep_padding)


class ApeTags:
    """The APEv2 tag of WavPack, Musepack and Monkey's Audio; see ``TagFile``."""

    multiple = True

    def __init__(self, file: BinaryIO, kind: str, class_name: str) -> None:
        from tagger.tags.id3file import read_id3v1

        self._file = file
        self._audio, self._had_tag = open_with_tag(file, kind, class_name)
        self._id3v1 = read_id3v1(file)
        self.tail = self._tail()

    def _tail(self) -> int:
        end = self._file.seek(0, os.SEEK_END) - len(self._id3v1)
        self._file.seek(max(0, end - 32))
        footer = self._file.read(32)
        if not footer.startswith(b"APETAGEX"):
            return end
        has_header = footer[23] & 0x80
        return max(0, end - int.from_bytes(footer[12:16], "little") - (32 if has_header else 0))

    def _key(self, name: str) -> str:
        """Return a field's name as this file spells it."""
        found = (key for key in self._audio.tags if key.lower() == name.lower())
        return next(found, name)

    def genres(self) -> list[str]:
        """See ``TagFile``."""
        value = self._audio.tags.get("Genre")
        return [genre for text in value or [] for genre in read_genre(text)]

    def put(self, genres: list[str], provenance: str | None) -> None:
        """See ``TagFile``."""
        self._audio.tags[self._key("Genre")] = genres
        if provenance is not None:
            self._audio.tags[self._key(PROVENANCE)] = [provenance]

    def raw(self) -> Raw:
        """See ``TagFile``."""
        tags = self._audio.tags
        names = [self._key(name) for name in ("Genre", PROVENANCE) if name in tags]
        return {"tag": self._had_tag, "fields": {name: list(tags[name]) for name in names}}

    def restore(self, raw: Raw) -> None:
        """See ``TagFile``."""
        tags = self._audio.tags
        for name in ("Genre", PROVENANCE):
            if name in tags:
                del tags[name]
        for name, values in raw["fields"].items():
            tags[name] = values

    def others(self) -> dict[str, object]:
        """See ``TagFile``."""
        names = ("genre", PROVENANCE.lower())
        items = self._audio.tags.items()
        kept = {key: (value.kind, bytes(value._write())) for key, value in items
                if key.lower() not in names}  # fmt: skip
        return {"items": kept, "ID3v1 tag": self._id3v1}

    def save(self) -> None:
        """See ``TagFile``. Mutagen would drop an ID3v1 tag, or bury it before its own."""
        self._file.seek(-len(self._id3v1), os.SEEK_END)
        self._file.truncate()
        self._file.seek(0)
        self._audio.save(self._file)
        self._file.seek(0, os.SEEK_END)
        self._file.write(self._id3v1)


class AsfTags:
    """The attributes of an ASF (WMA) file; see ``TagFile``."""

    multiple = True
    tail = NO_TAIL
    _genre = "WM/Genre"

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._audio = mutagen_open(file, "mutagen.asf", "ASF")

    def genres(self) -> list[str]:
        """See ``TagFile``."""
        texts = [str(value) for value in self._audio.tags.get(self._genre, [])]
        return [genre for text in texts for genre in read_genre(text)]

    def put(self, genres: list[str], provenance: str | None) -> None:
        """See ``TagFile``."""
        self._audio.tags[self._genre] = genres
        if provenance is not None:
            self._audio.tags[PROVENANCE] = [provenance]

    def raw(self) -> Raw:
        """See ``TagFile``."""
        tags = self._audio.tags
        names = (self._genre, PROVENANCE)
        return {name: [str(value) for value in tags.get(name, [])] for name in names}

    def restore(self, raw: Raw) -> None:
        """See ``TagFile``."""
        for name in (self._genre, PROVENANCE):
            self._audio.tags[name] = raw[name]

    def others(self) -> dict[str, object]:
        """See ``TagFile``."""
        names = (self._genre, PROVENANCE)
        items = list.__iter__(self._audio.tags)
        kept = sorted(
            (key, value.TYPE, str(value.value), value.language or 0, value.stream or 0)
            for key, value in items
            if key not in names
        )
        return {"attributes": kept}

    def save(self) -> None:
        """See ``TagFile``."""
        self._file.seek(0)
        self._audio.save(self._file, padding=keep_padding)
