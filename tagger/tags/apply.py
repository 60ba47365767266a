"""Writing a plan, taking it back, and tidying up after a run that was killed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tagger.errors import TagError
from tagger.library.journal import Ending, Journal, Write
from tagger.tags.batch import Job, Outcome, carry_out, undoing, writing
from tagger.tags.containers import open_tags, tag_errors
from tagger.tags.edits import rebuild
from tagger.tags.fields import TagFile
from tagger.tags.plan import Decision
from tagger.tags.write import Found, Target, copy_stretch, look, os_errors


def _never() -> bool:
    return False


def write_all(
    journal: Journal,
    decisions: Sequence[Decision],
    *,
    options: dict[str, Any],
    keep_mtime: bool = True,
    stopped: Callable[[], bool] = _never,
) -> Iterator[Outcome]:
    """Write what was planned, as one run of the journal.

    Parameters
    ----------
    options : dict
        What the person asked for, for the record; JSON values.
    stopped : callable
        Asked between files; true ends the run early.
    """
    run_id = journal.start_run(options)
    ids = journal.plan(run_id, ((d.candidate.file_id, d.candidate.path, d.key) for d in decisions))
    jobs = [
        _write_job(write_id, decision, keep_mtime=keep_mtime)
        for write_id, decision in zip(ids, decisions, strict=True)
    ]
    yield from carry_out(journal, writing(journal), journal.token(run_id), jobs, stopped)
    journal.finish_run(run_id)


def _write_job(write_id: int, decision: Decision, *, keep_mtime: bool) -> Job:
    candidate, new = decision.candidate, list(decision.new)

    def make(source: BinaryIO, copy: BinaryIO) -> Found:
        tags = _copy_and_open(source, copy, decision.key)
        found = look(tags)
        if tuple(found.genres) != decision.old:
            raise TagError("changed since it was planned")
        with tag_errors():
            tags.put(new, decision.provenance)
            tags.save()
        return found

    def check(tags: TagFile) -> None:
        if tags.genres() != new:
            raise TagError(f"the genre can't be read back as {'; '.join(new)}")

    def mtime_ns(target: Target) -> int | None:
        return target.state.st_mtime_ns if keep_mtime else None

    expected = (candidate.size, candidate.mtime_ns)
    return Job(
        write_id, candidate.file_id, candidate.path, decision.key, make, check, mtime_ns, expected
    )


def undo_all(
    journal: Journal, writes: Sequence[Write], *, stopped: Callable[[], bool] = _never
) -> Iterator[Outcome]:
    """Take back writes, each only if the genre still is what was written.

    A file that nothing else changed since becomes what it was, byte for byte; in any other, the
    genre is set to exactly what it was, and the rest stays.
    """
    if writes:
        token = journal.token(writes[0].run_id)
        jobs = [_undo_job(write) for write in writes]
        yield from carry_out(journal, undoing(journal), token, jobs, stopped)


def _undo_job(write: Write) -> Job:
    def make(source: BinaryIO, copy: BinaryIO) -> Found:
        found = look(open_tags(source, write.container))
        if found.genres != write.new_genres:
            genres = "; ".join(found.genres) or "none"
            raise TagError(f"its genre is no longer what was written: {genres}")
        if write.back is not None and rebuild(source, copy, write.back, copy_stretch):
            return found
        tags = _copy_and_open(source, copy, write.container)
        with tag_errors():
            tags.restore(write.old_raw)
            tags.save()
        return found

    def check(tags: TagFile) -> None:
        if tags.genres() != write.old_genres:
            raise TagError("the old genre can't be read back")

    def mtime_ns(target: Target) -> int:
        found = target.state.st_mtime_ns
        old = write.old_mtime_ns
        return old if old is not None and found == write.new_mtime_ns else found

    return Job(write.write_id, write.file_id, write.path, write.container, make, check, mtime_ns)


def _copy_and_open(source: BinaryIO, copy: BinaryIO, key: str) -> TagFile:
    copy_stretch(source, copy, 0, os.fstat(source.fileno()).st_size)
    copy.flush()
    return open_tags(copy, key)


def recover(journal: Journal) -> list[Write]:
    """Settle what a killed run left behind; returns those rows.

    A file that can't be looked at now, on a drive that is not there for one, is left for a later
    time. The caller holds the writer's lock, so no other run is at it.
    """
    rows = journal.unsettled()
    endings = [ending for row in rows if (ending := _look(row))]
    journal.settle(endings)
    return rows


def _look(row: Write) -> Ending | None:
    """Return how a write ended, as its file shows; None if it can't be told now."""
    if row.temp is not None and not _remove(row.temp):
        return None
    if row.state == "planned":
        return Ending(row.write_id, "not written", "the run ended early")
    if row.state not in ("intended", "undoing"):
        return Ending(row.write_id, row.state)
    try:
        with os_errors(), tag_errors(), Path(row.path).open("rb") as file:
            genres = open_tags(file, row.container).genres()
            state = os.fstat(file.fileno())
    except TagError:
        return None
    written = genres == row.new_genres
    facts = (row.file_id, state.st_size, state.st_mtime_ns, genres)
    if row.state == "intended" and not written:
        return Ending(row.write_id, "not written", "the run was killed before it")
    ending = "done" if written else "undone"
    return Ending(row.write_id, ending, "found after the run was killed", *facts)


def _remove(temp: str) -> bool:
    """Remove a temporary copy; tells whether it is gone, and not just out of reach."""
    with contextlib.suppress(OSError):
        os.unlink(temp)  # noqa: PTH108 - a str may hold undecodable bytes
    return os.path.isdir(os.path.dirname(temp)) and not os.path.lexists(temp)  # noqa: PTH112, PTH120
