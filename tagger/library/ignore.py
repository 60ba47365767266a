"""What a walk leaves out on purpose: ``--exclude`` and ``.taggerignore``, in gitignore's syntax."""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".taggerignore"


class IgnoreRules:
    """The rules that hold in one folder: its own, and those of the folders above up to the root.

    Parameters
    ----------
    root : str
        Where the walk began; ``exclude`` is relative to it.
    exclude : iterable of str
        Patterns of the command line; a ``.taggerignore`` further down may take them back (``!``).
    """

    def __init__(self, root: str, exclude: Iterable[str] = ()) -> None:
        patterns = list(exclude)
        self._levels: tuple[tuple[str, str, GitIgnoreSpec], ...] = ()
        if patterns:
            self._levels = ((root, "--exclude", _spec(patterns)),)

    def inside(self, folder: str, names: Set[str]) -> IgnoreRules:
        """Return the rules for a folder that holds ``names``.

        Raises
        ------
        OSError
            If the folder's ``.taggerignore`` can't be read.
        """
        if IGNORE_FILE not in names:
            return self
        path = os.path.join(folder, IGNORE_FILE)
        if not os.path.isfile(path):
            return self
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            spec = _spec(file.read().splitlines())
        rules = IgnoreRules(folder)
        rules._levels = (*self._levels, (folder, IGNORE_FILE, spec))
        return rules

    def reason(self, path: str, *, is_folder: bool) -> str | None:
        """Return why an entry of the folder is left out, or None; the innermost rule decides."""
        for folder, source, spec in reversed(self._levels):
            below = path[len(os.path.join(folder, "")) :] + ("/" if is_folder else "")
            include = spec.check_file(below).include
            if include is not None:
                return f"excluded by {source}" if include else None
        return None


def _spec(patterns: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)
