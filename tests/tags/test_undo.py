"""Taking writes back, and tidying up after a run that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest

from tagger.errors import DatabaseError
from tagger.library.lock import writer_lock
from tagger.tags import batch
from tagger.tags.apply import recover, undo_all
from tagger.tags.plan import Mode
from tagger.tags.write import Staged, replace
from tests.tags.library import Library
from tests.tags.sounds import add_tags, read_genres

Maker = Callable[[str, Path], Path]


@pytest.fixture
def song(sounds: Maker, library: Library, music: Path) -> Path:
    path = sounds("mp3", music)
    library.add(path)
    return path


def test_another_genre_since_is_left_alone(song: Path, library: Library) -> None:
    library.write()
    audio = mutagen.File(song)
    audio.tags["TCON"].text = ["Shoegaze"]
    audio.save()
    before = song.read_bytes()
    [outcome] = library.undo()
    assert outcome.reason == "its genre is no longer what was written: Shoegaze"
    assert song.read_bytes() == before
    assert list(library.states()) == ["done"]


def test_removed_genre_since_is_left_alone(song: Path, library: Library) -> None:
    library.write()
    audio = mutagen.File(song)
    del audio.tags["TCON"]
    audio.save()
    [outcome] = library.undo()
    assert outcome.reason == "its genre is no longer what was written: none"


def test_a_tag_edit_that_kept_size_and_time_survives(
    sounds: Maker, library: Library, music: Path
) -> None:
    """Some taggers write into the padding and keep the time: only bytes tell."""
    path = sounds("mp3", music)
    add_tags(path, ["Techno"])
    library.add(path)
    library.write(mode=Mode.REPLACE)
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b"A comment", b"B comment"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    [outcome] = library.undo()
    assert outcome.reason is None
    assert b"B comment" in path.read_bytes()
    assert read_genres(path) == ["Techno"]


def test_runs_are_taken_back_one_by_one(song: Path, library: Library) -> None:
    library.write()
    library.add(song)
    library.write(mode=Mode.MERGE, top=3)
    assert read_genres(song) == ["Rock", "Pop", "Jazz"]
    library.undo()
    assert read_genres(song) == ["Rock"]
    library.undo()
    assert read_genres(song) == []
    assert library.journal.last_run() is None


def test_the_last_write_below_a_path(
    song: Path, library: Library, sounds: Maker, music: Path
) -> None:
    other = sounds("flac", music)
    library.add(other)
    library.write()
    library.add(song)
    library.write(mode=Mode.MERGE, top=2)
    writes = library.journal.writes_below([str(song)])
    assert [(write.path, write.new_genres) for write in writes] == [(str(song), ["Rock", "Pop"])]
    assert len(library.journal.writes_below([str(music)])) == 2
    assert library.journal.writes_below([str(music / "sound")]) == []
    assert [o.reason for o in undo_all(library.journal, writes)] == [None]
    assert read_genres(other) == ["Rock", "Pop"]


def test_a_moved_file_is_found(song: Path, library: Library, music: Path) -> None:
    library.write()
    moved = song.rename(music / "moved.mp3")
    library.store.connection.execute("update files set path = ?", (os.fsencode(moved),))
    assert [o.reason for o in library.undo()] == [None]
    assert read_genres(moved) == []


def test_unavailable_files_are_named(song: Path, library: Library) -> None:
    library.write()
    song.unlink()
    assert [o.reason for o in library.undo()] == ["no longer there"]
    assert list(library.states()) == ["done"]


class PowerFailureError(BaseException):
    """What no handler expects."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("way", ["write", "undo"])
def test_end_between_journal_and_rename(
    way: str, moment: str, song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = song.read_bytes()
    if way == "undo":
        library.write()

    def fail(staged: Staged) -> None:
        if moment == "after":
            replace(staged)
        raise PowerFailureError

    monkeypatch.setattr(batch, "replace", fail)
    with pytest.raises(PowerFailureError):
        library.write() if way == "write" else library.undo()
    assert (moment == "before") == bool(list(song.parent.glob(".tagger-*")))
    recover(library.journal)
    assert list(song.parent.iterdir()) == [song]
    written = (way == "write") == (moment == "after")
    ended = {"write": "not written", "undo": "undone"}[way]
    assert list(library.states()) == ["done" if written else ended]
    assert (song.read_bytes() == old) == (not written)
    assert library.is_unchanged(song)
    monkeypatch.undo()
    if written:
        assert [o.reason for o in library.undo()] == [None]
        assert song.read_bytes() == old


def test_end_while_copies_are_made(
    song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PowerFailureError

    monkeypatch.setattr(library.journal, "intend", fail)
    monkeypatch.setattr(batch, "discard", lambda _: None)
    with pytest.raises(PowerFailureError):
        library.write()
    assert list(song.parent.glob(".tagger-*"))
    recover(library.journal)
    assert list(song.parent.iterdir()) == [song]
    assert list(library.states()) == ["not written"]


def test_end_while_copies_are_made_for_an_undo(
    song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.write()

    def fail(_: object) -> None:
        raise PowerFailureError

    monkeypatch.setattr(library.journal, "settle", fail)
    monkeypatch.setattr(batch, "discard", lambda _: None)
    with pytest.raises(PowerFailureError):
        library.undo()
    monkeypatch.undo()
    assert list(song.parent.glob(".tagger-*"))
    recover(library.journal)
    assert list(song.parent.iterdir()) == [song]
    assert [o.reason for o in library.undo()] == [None]


def test_a_file_out_of_reach_is_settled_later(
    song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Staged) -> None:
        raise PowerFailureError

    monkeypatch.setattr(batch, "replace", fail)
    with pytest.raises(PowerFailureError):
        library.write()
    away = song.rename(song.with_name("away"))
    recover(library.journal)
    assert list(library.states()) == ["intended"]
    away.rename(song)
    recover(library.journal)
    assert list(library.states()) == ["not written"]


def test_one_writer(tmp_path: Path) -> None:
    database = tmp_path / "tagger.db"
    code = (
        "import sys, time; from pathlib import Path; from tagger.library.lock import writer_lock\n"
        "with writer_lock(Path(sys.argv[1]), 'undo'): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(DatabaseError) as caught,
            writer_lock(database, "write-tags"),
        ):
            pass
        assert str(caught.value) == (
            f"tagger undo (process {holder.pid}) is changing files of this library:"
            " wait until it ends, then try again"
        )
        holder.send_signal(signal.SIGKILL)
    for _ in range(50):
        try:
            with writer_lock(database, "write-tags"):
                return
        except DatabaseError:
            time.sleep(0.1)
    pytest.fail("the lock outlived its holder")
