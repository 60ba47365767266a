"""What a run would change in each file, and why it would leave a file alone."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from tagger.errors import TagError
from tagger.genres import ID3V23_SEPARATOR, MIN_CONFIDENCE, tag_name
from tagger.library.albums import with_album_genres
from tagger.library.journal import Candidate
from tagger.sound.remote import is_url
from tagger.tags.containers import container_key, open_tags, tag_errors
from tagger.tags.fields import TagFile
from tagger.tags.write import examine, os_errors

# A further genre needs at least this: twice what ten equally likely genres would get.
MIN_FURTHER_CONFIDENCE = 0.2


class Mode(StrEnum):
    """What happens to a genre that is there."""

    FILL = "fill"
    MERGE = "merge"
    REPLACE = "replace"


class Verdict(StrEnum):
    """What a plan says of a file."""

    WRITE = "write"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True)
class Policy:
    """What a person wants.

    Attributes
    ----------
    only, excluded : frozenset of str
        Genre labels; an empty ``only`` means all.
    names : mapping of str to str
        Label to the name to write; empty means not to write it.
    joined : str or None
        Writes several genres as one text with this between them.
    """

    mode: Mode = Mode.FILL
    min_confidence: float = MIN_CONFIDENCE
    top: int = 1
    only: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    joined: str | None = None
    id3v23_separator: str = ID3V23_SEPARATOR
    provenance: bool = False


@dataclass(frozen=True)
class Decision:
    """What is to become of one file."""

    candidate: Candidate
    verdict: Verdict
    reason: str | None = None
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    key: str = ""
    provenance: str | None = None

    @property
    def confidence(self) -> float | None:
        """The confidence of the most likely genre."""
        return max(self.candidate.probabilities.values(), default=None)


def with_album_votes(
    candidates: Iterable[Candidate], rows: Iterable[dict[str, Any]]
) -> Iterator[Candidate]:
    """Yield candidates, those of an album with what its tracks voted for.

    Parameters
    ----------
    candidates : iterable of Candidate
    rows : iterable of dict
        The store's, of every file: tracks vote even if they are not to be written.
    """
    voted = {row["path"]: row["probabilities"] for row in with_album_genres(rows)}
    for candidate in candidates:
        probabilities = voted.get(os.fsencode(candidate.path))
        yield replace(candidate, probabilities=probabilities) if probabilities else candidate


def make_plan(candidates: Iterable[Candidate], policy: Policy) -> Iterator[Decision]:
    """Decide for each file; its tag is read where a genre might be written."""
    for candidate in candidates:
        wanted, reason = choose_genres(candidate, policy)
        if reason:
            yield Decision(candidate, Verdict.SKIP, reason)
            continue
        try:
            yield _decide(candidate, wanted, policy)
        except TagError as error:
            yield Decision(candidate, Verdict.FAIL, str(error))


def choose_genres(candidate: Candidate, policy: Policy) -> tuple[list[str], str | None]:
    """Return the names to write, most likely first; or none of them, and why."""
    if is_url(candidate.path):
        return [], "on object storage: tags are written into local files only"
    if candidate.status != "classified" or not candidate.probabilities:
        return [], f"not classified: {candidate.reason or 'scan it again'}"
    ranked = sorted(candidate.probabilities.items(), key=lambda item: -item[1])
    [(first, confidence), *further] = ranked
    if confidence < policy.min_confidence:
        shown = math.floor(confidence * 100) / 100  # 0.497 must not be shown as 0.50 < 0.50
        return [], f"not sure: {tag_name(first)} {shown:.2f} < {policy.min_confidence:.2f}"
    if not _is_wanted(first, policy):
        return [], f"not wanted: {tag_name(first)}"
    labels = [first] + [
        genre
        for genre, probability in further[: policy.top - 1]
        if probability >= MIN_FURTHER_CONFIDENCE and _is_wanted(genre, policy)
    ]
    names = [policy.names.get(label, tag_name(label)) for label in labels]
    if not names[0]:
        return [], f"mapped to nothing: {tag_name(first)}"
    return list(dict.fromkeys(name for name in names if name)), None


def _is_wanted(genre: str, policy: Policy) -> bool:
    return (not policy.only or genre in policy.only) and genre not in policy.excluded


def _decide(candidate: Candidate, wanted: list[str], policy: Policy) -> Decision:
    """Compare what is wanted with what the file holds.

    Raises
    ------
    TagError
        If the file is not what was scanned, or could not be written.
    """
    key = container_key(candidate.container, candidate.codec)
    target = examine(candidate.path)
    if (target.state.st_size, target.state.st_mtime_ns) != (candidate.size, candidate.mtime_ns):
        raise TagError("changed since it was scanned: scan it again")
    with os_errors(), tag_errors(), Path(target.path).open("rb") as file:
        tags = open_tags(file, key)
        old = tags.genres()
    new, reason = combine(old, wanted, policy, separator_for(tags, policy))
    if reason:
        return Decision(candidate, Verdict.SKIP, reason, tuple(old), key=key)
    provenance = describe_source(candidate) if policy.provenance else None
    return Decision(candidate, Verdict.WRITE, None, tuple(old), tuple(new), key, provenance)


def separator_for(tags: TagFile, policy: Policy) -> str | None:
    """Return what joins several genres in this file; None where they are separate values."""
    if policy.joined is not None:
        return policy.joined
    return None if tags.multiple else policy.id3v23_separator


def combine(
    old: list[str], wanted: list[str], policy: Policy, separator: str | None
) -> tuple[list[str], str | None]:
    """Return the values to write; or none, and why not."""
    if old and policy.mode is Mode.FILL:
        return [], f"already has a genre: {'; '.join(old)}"
    if policy.mode is Mode.MERGE:
        there = {part.strip().casefold() for text in old for part in _split(text, separator)}
        added = [genre for genre in wanted if genre.casefold() not in there]
        if not added:
            return [], "would not change"
        new = old + added
    else:
        new = wanted
    if separator is not None:
        new = [separator.join(new)]
    return ([], "would not change") if new == old else (new, None)


def _split(text: str, separator: str | None) -> list[str]:
    return text.split(separator) if separator else [text]


def describe_source(candidate: Candidate) -> str:
    """Return where a genre comes from: ``rock 0.83, pop 0.10 (cnn-1a2b3c4d)``."""
    ranked = sorted(candidate.probabilities.items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{genre} {probability:.2f}" for genre, probability in ranked)
    return f"{shares} ({candidate.model_id})"


def folder_of(decision: Decision) -> str:
    """Return the folder under which a decision is shown."""
    return os.path.dirname(decision.candidate.path)  # noqa: PTH120 - undecodable bytes
