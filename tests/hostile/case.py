"""One entry of the hostile folder, and what a scan must say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Content = bytes | Callable[[bytes], None]


@dataclass(frozen=True)
class Case:
    """One entry of the folder.

    Attributes
    ----------
    name : bytes
        Its path in the folder.
    content : bytes or callable
        What it holds; or what makes it, given its path.
    status : str or None
        None if it must not be counted as found.
    reason : str or None
        All of it.
    """

    name: bytes
    content: Content
    status: str | None
    reason: str | None = None
