"""The honest account of a scan: what became of every file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Account:
    """What became of every file: ``found`` is the sum of the rest.

    Attributes
    ----------
    classified, unchanged, moved, skipped, failed : int
        ``unchanged``: heard before, and its audio is the same (its tags may not be). ``moved``:
        likewise, at a new path.
    not_audio : int
        Files met that don't look like audio; they are not counted as found.
    missing : int
        Known files that were marked as gone; they are not counted as found.
    reasons : Counter of str
        Of those skipped or failed.
    genres : Counter of str
        Of those classified.
    """

    classified: int = 0
    unchanged: int = 0
    moved: int = 0
    skipped: int = 0
    failed: int = 0
    not_audio: int = 0
    missing: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, reason: str | None) -> None:
        """Count one file."""
        setattr(self, status, getattr(self, status) + 1)
        if status in ("skipped", "failed"):
            self.reasons[f"{status}: {reason}"] += 1

    @property
    def found(self) -> int:
        """All files that look like audio."""
        return self.classified + self.unchanged + self.moved + self.skipped + self.failed

    def counts(self) -> dict[str, int]:
        """Return the honest count line's numbers, in its order."""
        names = ("found", "classified", "unchanged", "moved", "skipped", "failed")
        return {name: getattr(self, name) for name in names}
