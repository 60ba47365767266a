"""Files on object storage, named by URLs such as ``s3://bucket/album/track.flac``.

fsspec speaks to the storage. Only the byte ranges that a decoder asks for are fetched, in blocks
that are kept while the same file is heard, so that opening it several times costs nothing. A file
is watched by its size and by what its storage calls its version (ETag, MD5 or time of change).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import unquote

from tagger.errors import AudioError, MissingExtraError, StorageError, TaggerError

# A window of 2.9 s is 50 to 120 KB of a compressed file, 200 to 500 KB of a lossless one. After a
# jump 64 KiB are fetched, and half as much again each time that reading goes on: of four-minute
# tracks with an index that takes 20 to 40 % of the bytes, in 20 to 100 requests.
BLOCK_BYTES = 32_768
FIRST_BLOCKS = 2
MAX_BLOCKS_AT_ONCE = 128  # 4 MiB
KEPT_BLOCKS = 1_024  # 32 MiB

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


@dataclass(frozen=True)
class RemoteFile:
    """What a storage says of a file.

    Attributes
    ----------
    mtime_ns : int
        Whole seconds of its time of change; the rest is made of its version, so that a change
        within a second shows too.
    version : str or None
        Its ETag or hash, which two files share only if their bytes are the same.
    """

    url: str
    size: int
    mtime_ns: int
    version: str | None


def is_url(path: str) -> bool:
    """Tell whether a path names a file on object storage."""
    return _URL.match(path) is not None


def as_path(path: str) -> str:
    """Return a ``file:`` URL as the path that it names; anything else as it is."""
    if not path.startswith("file://"):
        return path
    name = path.removeprefix("file://").removeprefix("localhost")
    return name if os.path.lexists(name) else unquote(name)


def look(url: str) -> RemoteFile:
    """Ask the storage for a file, now.

    Raises
    ------
    AudioError
        If it is no file, or can't be had; the message is the reason.
    """
    try:
        storage, path = _storage(url)
        info = storage.info(path)
    except Exception as error:
        raise AudioError(f"can't be read: {explain(error)}") from error
    if info.get("type") != "file":
        raise AudioError("not a file")
    found = _remote_file(url, info)
    _keep(found, storage, path)
    return found


def walk(url: str) -> Iterator[RemoteFile]:
    """Yield every file at or below a URL, folder by folder in order of name.

    Raises
    ------
    StorageError
        If the storage can't be reached, refuses, or has nothing there.
    """
    try:
        storage, path = _storage(url)
        if storage.isfile(path):
            yield _remote_file(storage.unstrip_protocol(path), storage.info(path))
            return
        folders = [path.rstrip("/")]
        while folders:
            folder = folders.pop()
            entries = sorted(storage.ls(folder, detail=True), key=lambda entry: entry["name"])
            for entry in entries:
                # An empty object that stands for its folder is listed in it.
                if entry["type"] == "file" and not _is_folder_mark(entry, folder):
                    yield _remote_file(storage.unstrip_protocol(entry["name"]), entry)
            names = [entry["name"].rstrip("/") for entry in entries if entry["type"] != "file"]
            folders.extend(reversed(names))
    except TaggerError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{url}: there is nothing") from error
    except Exception as error:
        raise StorageError(f"{url} can't be read: {explain(error)}") from error


def open_bytes(path: str) -> BinaryIO:
    """Open a file for reading, wherever it is.

    Raises
    ------
    OSError
        If a local file can't be opened.
    AudioError
        If a file on object storage can't.
    """
    if not is_url(path):
        return open(path, "rb")  # noqa: PTH123 - a str may hold undecodable bytes
    if _kept is None or _kept.file.url != path:
        look(path)
    assert _kept is not None
    return io.BufferedReader(RangeReader(_kept), BLOCK_BYTES)


def version_identity(url: str) -> str | None:
    """Return an identity made of a file's version: 32 hexadecimal digits, or None.

    Fetching a whole file to hash its sound would cost more than hearing it.
    """
    if _kept is None or _kept.file.url != url or _kept.file.version is None:
        return None
    text = f"{_kept.file.version} {_kept.file.size}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fetched(url: str) -> tuple[int, int]:
    """Return how many bytes were fetched of a file, in how many requests, since ``look``."""
    if _kept is None or _kept.file.url != url:
        return 0, 0
    return _kept.bytes_fetched, _kept.requests


def trouble(path: str) -> str | None:
    """Return why a part of a file could not be fetched: decoders take that for the file's end."""
    if _kept is None or _kept.file.url != path or _kept.error is None:
        return None
    return f"can't be read: {explain(_kept.error)}"


class Blocks:
    """The blocks of one remote file that were fetched."""

    def __init__(self, file: RemoteFile, storage: Any, path: str) -> None:
        self.file = file
        self.bytes_fetched = self.requests = 0
        self.error: Exception | None = None
        self._storage, self._path = storage, path
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._at_once = FIRST_BLOCKS

    def block(self, number: int) -> bytes:
        """Return a block, fetching it (and more, if reading goes on and on) if need be.

        Raises
        ------
        OSError
            If the storage does not give it.
        """
        if number not in self._blocks:
            self._fetch(number)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def jump(self) -> None:
        """Note that reading goes on elsewhere: what follows there may not be wanted."""
        self._at_once = FIRST_BLOCKS

    def _fetch(self, first: int) -> None:
        stop = first + 1
        while stop < first + self._at_once and stop not in self._blocks:
            stop += 1
        start_byte, stop_byte = first * BLOCK_BYTES, min(stop * BLOCK_BYTES, self.file.size)
        try:
            data = self._storage.cat_file(self._path, start=start_byte, end=stop_byte)
            if len(data) != stop_byte - start_byte:
                raise OSError("it is shorter than it was")
        except Exception as error:
            self.error = error
            raise OSError(explain(error)) from error
        self.bytes_fetched += len(data)
        self.requests += 1
        self._at_once = min(self._at_once * 3 // 2, MAX_BLOCKS_AT_ONCE)
        for number in range(first, stop):
            at = (number - first) * BLOCK_BYTES
            self._blocks[number] = data[at : at + BLOCK_BYTES]
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)


class RangeReader(io.RawIOBase):
    """A remote file as a file object."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks, self._position = blocks, 0

    @property
    def name(self) -> str:
        """The file's URL."""
        return self._blocks.file.url

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._blocks.file.size}
        position = max(0, bases[whence] + offset)
        if position != self._position:
            self._blocks.jump()
        self._position = position
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read up to the end of a block."""
        if self._position >= self._blocks.file.size or not len(buffer):
            return 0
        number, at = divmod(self._position, BLOCK_BYTES)
        data = self._blocks.block(number)[at : at + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


# The file that is being heard: a worker hears one at a time.
_kept: Blocks | None = None


def _keep(file: RemoteFile, storage: Any, path: str) -> None:
    global _kept
    if _kept is None or _kept.file != file:
        _kept = Blocks(file, storage, path)


def _storage(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises
    ------
    MissingExtraError
        If no driver for it is installed.
    """
    protocol = url.split("://")[0].lower()
    try:
        import fsspec

        # Listings are for once: kept, they would fill the memory and hide changes.
        storage = fsspec.filesystem(protocol, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise MissingExtraError(
            f"no driver for {protocol}:// is installed: pip install 'tagger[cluster]' brings"
            " fsspec and that for s3://; gs:// needs gcsfs"
        ) from error
    return storage, storage._strip_protocol(url)


def _is_folder_mark(entry: dict[str, Any], folder: str) -> bool:
    return str(entry["name"]).rstrip("/") == folder or str(entry["name"]).endswith("/")


def _remote_file(url: str, info: dict[str, Any]) -> RemoteFile:
    version = next((str(info[key]).strip('"') for key in _VERSIONS if info.get(key)), None)
    changed = next((info[key] for key in _TIMES if info.get(key)), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    if isinstance(changed, datetime):
        changed = changed.timestamp()
    rest = zlib.crc32(version.encode()) % 10**9 if version else round(changed % 1 * 1e9) % 10**9
    return RemoteFile(url, int(info["size"] or 0), int(changed) * 10**9 + rest, version)


def explain(error: BaseException) -> str:
    """Return what a storage's error says, as one line."""
    if isinstance(error, FileNotFoundError):
        return "No such file"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
