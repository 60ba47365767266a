"""Carrying out changes: batches of copies, journaled before they take their originals' places.

A batch is staged in a few threads, for most of its time goes into waiting for the disk; then one
commit makes the journal durable for all of it; then the copies are renamed, one by one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from tagger.errors import TagError
from tagger.library.journal import Ending, Intent, Journal
from tagger.tags.containers import load_libraries, tag_errors
from tagger.tags.fields import TagFile
from tagger.tags.write import (
    Found,
    Staged,
    Target,
    discard,
    examine,
    flush_folder,
    replace,
    stage,
    temp_name,
)

BATCH_FILES = 16  # as many copies may lie on the disk at once
THREADS = 4  # they wait for the disk more than they compute

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Job:
    """One file to be changed.

    Attributes
    ----------
    write_id : int
        Its row in the journal.
    make, check : callable
        See ``write.stage``.
    mtime_ns : callable
        Returns the time of change for the file as it is found; None is now.
    expected : tuple of (int, int) or None
        Size and time of change (ns) that the file must still have.
    """

    write_id: int
    file_id: int
    path: str
    key: str
    make: Callable[[BinaryIO, BinaryIO], Found]
    check: Callable[[TagFile], None]
    mtime_ns: Callable[[Target], int | None]
    expected: tuple[int, int] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one file; ``reason`` says why it was left alone."""

    path: str
    old: Sequence[str]
    new: Sequence[str]
    reason: str | None = None


@dataclass(frozen=True)
class Direction:
    """Writing or undoing, as the journal's states.

    Attributes
    ----------
    begin : callable
        Records, durably, that these copies are about to replace their originals.
    """

    done: str
    failed: str
    begin: Callable[[Sequence[tuple[Job, Staged]]], None]


def writing(journal: Journal) -> Direction:
    """Return the way forward: each file's old genre is stored before the file is replaced."""

    def begin(staged: Sequence[tuple[Job, Staged]]) -> None:
        journal.intend(
            Intent(
                job.write_id, copy.old_genres, copy.new_genres, copy.old_raw, copy.back,
                copy.target.state.st_size, copy.target.state.st_mtime_ns, copy.size, copy.mtime_ns,
            )
            for job, copy in staged
        )  # fmt: skip

    return Direction("done", "failed", begin)


def undoing(journal: Journal) -> Direction:
    """Return the way back: what was stored stays stored."""

    def begin(staged: Sequence[tuple[Job, Staged]]) -> None:
        journal.settle(Ending(job.write_id, "undoing") for job, _ in staged)

    return Direction("undone", "done", begin)


def carry_out(
    journal: Journal,
    direction: Direction,
    token: str,
    jobs: Sequence[Job],
    stopped: Callable[[], bool],
) -> Iterator[Outcome]:
    """Carry out jobs; yields how each ended, until ``stopped()``."""
    load_libraries()
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(jobs), BATCH_FILES):
            if stopped():
                return
            batch = _Batch(journal, direction, token, stopped, pool)
            yield from batch.run(jobs[start : start + BATCH_FILES])


class _Batch:
    """One batch: examined, staged, journaled, renamed, settled."""

    def __init__(
        self,
        journal: Journal,
        direction: Direction,
        token: str,
        stopped: Callable[[], bool],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._journal, self._direction, self._token = journal, direction, token
        self._stopped, self._pool = stopped, pool
        self._outcomes: list[Outcome] = []
        self._endings: list[Ending] = []

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Carry out the batch; returns how each job ended, if it was begun."""
        pairs = [(job, target) for job in jobs if (target := self._examine(job))]
        self._journal.name_copies(
            (job.write_id, os.path.join(target.folder, self._temp(job)))  # noqa: PTH118
            for job, target in pairs
        )
        staged = self._stage_all(pairs, self._pool.map)
        self._replace_all([(job, copy) for job, copy in staged if isinstance(copy, Staged)])
        for pair, (job, result) in zip(pairs, staged, strict=True):
            if isinstance(result, TagError):
                # Beside a batch of other copies there may have been no space that there is now.
                again = self._stage_all([pair], map)[0][1] if _lacked_space(result) else result
                if isinstance(again, Staged):
                    self._replace_all([(job, again)])
                else:
                    self._fail(job, str(again))
        self._journal.settle(self._endings)
        return self._outcomes

    def _temp(self, job: Job) -> str:
        return temp_name(self._token, job.write_id)

    def _fail(self, job: Job, reason: str) -> None:
        self._endings.append(Ending(job.write_id, self._direction.failed, reason))
        self._outcomes.append(Outcome(job.path, (), (), reason))

    def _examine(self, job: Job) -> Target | None:
        try:
            target = examine(job.path)
            found = (target.state.st_size, target.state.st_mtime_ns)
            if job.expected not in (None, found):
                raise TagError("changed since it was scanned: scan it again")
        except TagError as error:
            self._fail(job, str(error))
            return None
        return target

    def _stage_all(
        self,
        pairs: Sequence[tuple[Job, Target]],
        mapping: Callable[..., Iterable[Staged | TagError | None]],
    ) -> list[tuple[Job, Staged | TagError | None]]:
        results = list(mapping(self._stage, pairs))
        return [(job, result) for (job, _), result in zip(pairs, results, strict=True)]

    def _stage(self, pair: tuple[Job, Target]) -> Staged | TagError | None:
        """Return the staged copy, or why there is none; None if the run was stopped."""
        job, target = pair
        if self._stopped():
            return None
        try:
            temp, mtime_ns = self._temp(job), job.mtime_ns(target)
            with tag_errors():
                return stage(target, job.key, temp, job.make, job.check, mtime_ns=mtime_ns)
        except TagError as error:
            return error

    def _replace_all(self, staged: Sequence[tuple[Job, Staged]]) -> None:
        try:
            self._direction.begin(staged)
        except BaseException:
            for _, copy in staged:
                discard(copy)
            raise
        for job, copy in staged:
            try:
                replace(copy)
            except TagError as error:
                self._fail(job, str(error))
                continue
            self._endings.append(
                Ending(
                    job.write_id, self._direction.done, None, job.file_id, copy.size,
                    copy.mtime_ns, copy.new_genres,
                )
            )  # fmt: skip
            self._outcomes.append(Outcome(job.path, copy.old_genres, copy.new_genres))
        for folder in dict.fromkeys(copy.target.folder for _, copy in staged):
            flush_folder(folder)


def _lacked_space(error: TagError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_SPACE
