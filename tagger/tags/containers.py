"""Which tag each container has, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import BinaryIO

from tagger.errors import TagError
from tagger.tags.fields import TagFile
from tagger.tags.id3file import AtStart, Id3Tags, InChunk
from tagger.tags.renderers import ApeTags, AsfTags, Mp4Tags, VorbisTags

_MODULES = (
    "aiff", "asf", "flac", "monkeysaudio", "mp4", "musepack", "oggflac", "oggopus", "oggspeex",
    "oggvorbis", "wavpack",
)  # fmt: skip


@dataclass(frozen=True)
class Container:
    """One kind of file.

    Attributes
    ----------
    name : str
        As people call it.
    tags : callable
        Opens the tag of an open file.
    """

    name: str
    tags: Callable[[BinaryIO], TagFile]


def _vorbis(module: str, class_name: str) -> Callable[[BinaryIO], TagFile]:
    return partial(VorbisTags, kind=f"mutagen.{module}", class_name=class_name)


def _ape(module: str, class_name: str) -> Callable[[BinaryIO], TagFile]:
    return partial(ApeTags, kind=f"mutagen.{module}", class_name=class_name)


# By FFmpeg's name of the container, with the codec where one container has several kinds of tag.
CONTAINERS = {
    "mp3": Container("MP3", partial(Id3Tags, place=AtStart())),
    "tta": Container("TrueAudio", partial(Id3Tags, place=AtStart())),
    "wav": Container("WAV", partial(Id3Tags, place=InChunk(("id3", "ID3")))),
    "aiff": Container("AIFF", partial(Id3Tags, place=InChunk(("ID3",)))),
    "flac": Container("FLAC", _vorbis("flac", "FLAC")),
    "ogg/vorbis": Container("Ogg Vorbis", _vorbis("oggvorbis", "OggVorbis")),
    "ogg/opus": Container("Ogg Opus", _vorbis("oggopus", "OggOpus")),
    "ogg/speex": Container("Ogg Speex", _vorbis("oggspeex", "OggSpeex")),
    "ogg/flac": Container("Ogg FLAC", _vorbis("oggflac", "OggFLAC")),
    "mp4": Container("MP4", Mp4Tags),
    "wv": Container("WavPack", _ape("wavpack", "WavPack")),
    "mpc": Container("Musepack", _ape("musepack", "Musepack")),
    "mpc8": Container("Musepack", _ape("musepack", "Musepack")),
    "ape": Container("Monkey's Audio", _ape("monkeysaudio", "MonkeysAudio")),
    "asf": Container("WMA", AsfTags),
}


def container_key(format_name: str | None, codec: str | None) -> str:
    """Return the key of a file's row in ``CONTAINERS``.

    Raises
    ------
    TagError
        If there is none.
    """
    codec = (codec or "").removeprefix("lib")
    for key in (f"{format_name}/{codec}", format_name or ""):
        if key in CONTAINERS:
            return key
    raise TagError(f"a genre can't be written into this kind of file ({format_name or 'unknown'})")


def load_libraries() -> None:
    """Import what reads tags and audio: threads that do it side by side can lock each other."""
    import av  # noqa: F401

    modules = (f"mutagen.{name}" for name in _MODULES)
    for module in ("mutagen.id3", "mutagen.apev2", "mutagen._riff", *modules):
        import_module(module)


@contextmanager
def tag_errors() -> Iterator[None]:
    """Turn what mutagen raises on a damaged file into TagError."""
    from mutagen import MutagenError

    try:
        yield
    except (TagError, OSError):
        raise
    except MutagenError as error:
        if error.args and isinstance(error.args[0], OSError):  # no space, for one
            raise error.args[0] from error
        raise TagError(f"its tag can't be read: {error or type(error).__name__}") from error
    except Exception as error:  # on damaged files mutagen raises nearly anything
        raise TagError(f"its tag is damaged ({type(error).__name__}: {error})") from error


def open_tags(file: BinaryIO, key: str) -> TagFile:
    """Open the tag of an open file.

    Raises
    ------
    TagError
        If it is damaged, or of a kind that could not be rewritten without loss.
    """
    with tag_errors():
        return CONTAINERS[key].tags(file)
