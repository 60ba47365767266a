"""Walking folders safely: what is opened, what is left out, and why.

Nothing is opened here but folders and their ``.taggerignore``. Every entry that looks like audio
comes out, with the reason if it is not to be heard; the others are counted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tagger.errors import NothingToDoError
from tagger.library.ignore import IGNORE_FILE, IgnoreRules
from tagger.sound import remote
from tagger.sound.remote import is_url

# What people keep music in; other files are not counted as found.
AUDIO_SUFFIXES = frozenset({
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape", ".asf", ".au", ".caf",
    ".dff", ".dsf", ".dts", ".eac3", ".flac", ".m4a", ".m4b", ".m4p", ".m4r", ".mka", ".mp+",
    ".mp1", ".mp2", ".mp3", ".mp4", ".mpc", ".mpp", ".oga", ".ogg", ".oma", ".opus", ".ra", ".rm",
    ".shn", ".snd", ".spx", ".tak", ".tta", ".voc", ".w64", ".wav", ".wave", ".weba", ".wma", ".wv",
})  # fmt: skip

_KINDS = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device",
          stat.S_IFBLK: "device", stat.S_IFDIR: "folder"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """An entry that looks like audio.

    Attributes
    ----------
    path : str
        Absolute, normalised; undecodable bytes as surrogates.
    device : int or None
        The file system that its folder lies on.
    problem : str or None
        Why it can't be scanned, if it can't.
    skipped : bool
        The problem is no fault: the file is left out on purpose.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    device: int | None = None
    problem: str | None = None
    skipped: bool = False


@dataclass(frozen=True)
class WalkOptions:
    """What a walk leaves out, in gitignore's patterns, and whether it follows links."""

    exclude: tuple[str, ...] = ()
    follow_links: bool = False


@dataclass
class Walk:
    """Every audio file at or below ``paths``, once each, folder by folder in order of name.

    Attributes
    ----------
    roots : list of str
        The paths, absolute, without those that lie in another.
    roots_with_files : set of str
        Those of the folders among them where a regular audio file was met.
    not_audio : int
        Files met so far that don't look like audio.

    Raises
    ------
    NothingToDoError
        If a path does not exist.
    """

    paths: Iterable[str]
    options: WalkOptions = field(default_factory=WalkOptions)
    roots: list[str] = field(init=False)
    roots_with_files: set[str] = field(default_factory=set, init=False)
    not_audio: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        paths = [remote.as_path(path) for path in self.paths]
        self._urls = [path for path in dict.fromkeys(paths) if is_url(path)]
        starts = sorted({os.path.abspath(path) for path in paths if not is_url(path)})
        for start in starts:
            if not os.path.lexists(start):
                raise NothingToDoError(f"{start} does not exist")
        try:
            IgnoreRules("", self.options.exclude)
        except ValueError as error:
            raise NothingToDoError(f"--exclude can't be understood: {error}") from error
        self.roots = []
        for start in starts:
            if not any(start.startswith(os.path.join(root, "")) for root in self.roots):
                self.roots.append(start)
        # What was met already and could be met again: hard links; with links followed, all.
        self._met: set[tuple[int, int]] = set()

    def __iter__(self) -> Iterator[Found]:
        for root in self.roots:
            if os.path.isdir(root):
                for found in self._folders(root, IgnoreRules(root, self.options.exclude)):
                    if found.problem is None:
                        self.roots_with_files.add(root)
                    yield found
            else:
                yield self._named(root)
        met: set[str] = set()
        for url in self._urls:
            for found in self._remote(url):
                if found.path not in met:
                    met.add(found.path)
                    yield found

    def _remote(self, url: str) -> Iterator[Found]:
        """Walk object storage; it has no links, and what is left out is said by ``--exclude``."""
        rules = IgnoreRules(url, self.options.exclude)
        for file in remote.walk(url):
            name = file.url.rsplit("/", 1)[-1]
            if file.url != url and not _looks_like_audio(name):
                self.not_audio += 1
            elif name.startswith("."):
                yield Found(file.url, problem="hidden file", skipped=True)
            elif reason := rules.reason(file.url, is_folder=False):
                yield Found(file.url, problem=reason, skipped=True)
            else:
                yield Found(file.url, file.size, file.mtime_ns)

    def _named(self, path: str) -> Found:
        """Look at a file that was named itself: whatever it is called, it is meant."""
        try:
            return self._regular(path, os.stat(path), _device(os.path.dirname(path)))
        except OSError as error:
            return Found(path, problem=_link_problem(path, error))

    def _folders(self, root: str, rules: IgnoreRules) -> Iterator[Found]:
        """Walk with a stack of our own: folders may be nested deeper than Python's."""
        stack = [(root, rules)]
        while stack:
            folder, rules = stack.pop()
            try:
                state = os.stat(folder)
                if self.options.follow_links and self._is_met(state):
                    continue
                with os.scandir(folder) as entries:
                    ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
                rules = rules.inside(folder, {entry.name for entry in ordered})
            except OSError as error:
                yield Found(folder, problem=f"folder can't be read: {error.strerror}")
                continue
            except ValueError as error:  # rather than hear what was meant to be left out
                yield Found(folder, problem=f"its {IGNORE_FILE} can't be understood: {error}")
                continue
            subfolders = []
            for entry in ordered:
                if self._is_folder(entry):
                    problem = self._folder_problem(entry, rules)
                    if problem is None:
                        subfolders.append((entry.path, rules))
                    else:
                        yield Found(entry.path, problem=problem, skipped=True)
                elif _looks_like_audio(entry.name):
                    yield self._look(entry, rules, state.st_dev)
                else:
                    self.not_audio += 1
            stack.extend(reversed(subfolders))

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        if entry.is_symlink() and _looks_like_audio(entry.name) and not self.options.follow_links:
            return False  # looked at as a file, and said to be a link
        try:
            return entry.is_dir()
        except OSError:
            return False

    def _folder_problem(self, entry: os.DirEntry[str], rules: IgnoreRules) -> str | None:
        if entry.name.startswith("."):
            return "hidden folder"
        if entry.is_symlink() and not self.options.follow_links:
            return "link to a folder; --follow-links follows it"
        return rules.reason(entry.path, is_folder=True)

    def _look(self, entry: os.DirEntry[str], rules: IgnoreRules, device: int) -> Found:
        """Look at an entry that is named like audio; only a regular file may be opened later."""
        name, path = entry.name, entry.path
        if name.startswith("."):
            hidden = "AppleDouble file" if name.startswith("._") else "hidden file"
            return Found(path, problem=hidden, skipped=True)
        reason = rules.reason(path, is_folder=False)
        if reason is not None:
            return Found(path, problem=reason, skipped=True)
        try:
            state = entry.stat()
        except OSError as error:
            return Found(path, problem=_link_problem(path, error))
        if entry.is_symlink() and not self.options.follow_links:
            return Found(path, problem="link; --follow-links follows it", skipped=True)
        return self._regular(path, state, device)

    def _regular(self, path: str, state: os.stat_result, device: int | None) -> Found:
        if not stat.S_ISREG(state.st_mode):
            kind = _KINDS.get(stat.S_IFMT(state.st_mode), "not a file")
            return Found(path, problem=f"not a regular file: {kind}", skipped=True)
        if (state.st_nlink > 1 or self.options.follow_links) and self._is_met(state):
            return Found(path, problem="the same file as another, by a link", skipped=True)
        return Found(path, state.st_size, state.st_mtime_ns, device)

    def _is_met(self, state: os.stat_result) -> bool:
        key = (state.st_dev, state.st_ino)
        if key in self._met:
            return True
        self._met.add(key)
        return False


def _looks_like_audio(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _link_problem(path: str, error: OSError) -> str:
    if os.path.islink(path):
        return "broken link" if isinstance(error, FileNotFoundError) else "link that leads nowhere"
    return f"can't be read: {error.strerror}"


def _device(folder: str) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def is_gone(path: str, device: int | None) -> bool:
    """Tell whether a file is no more, and not merely on a disk that is not mounted now.

    Its folder, or the nearest one above that is left, must lie on the file system that the file
    lay on (``device``): an empty mount point lies on another.
    """
    try:
        os.lstat(path)
        return False
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        return False
    folder = os.path.dirname(path)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return device is not None and _device(folder) == device
