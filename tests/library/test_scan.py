from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagger.engines.processes import Failure
from tagger.errors import NothingToDoError
from tagger.library import classify, discover, worklist
from tagger.library.classify import TrackResult
from tagger.library.store import Store
from tests.conftest import chord, write_wav
from tests.library.collection import Collection, bundle, counts


def test_what_is_known_is_not_heard_again(collection: Collection) -> None:
    collection.add("a/1.wav")
    collection.add("a/2.wav", 500)
    counts(collection.scan(), classified=2)
    assert collection.engine.heard == ["1.wav", "2.wav"]
    counts(collection.scan(), unchanged=2)
    assert collection.engine.heard == []
    counts(collection.scan(force=True), classified=2)
    assert collection.engine.heard == ["1.wav", "2.wav"]


def test_work_goes_folder_by_folder_in_order_of_name(collection: Collection) -> None:
    for name in ("b/2.wav", "a/z.wav", "b/10.wav", "c.wav", "a/b/1.wav"):
        collection.add(name)
    collection.scan()
    assert collection.engine.heard == ["c.wav", "z.wav", "1.wav", "10.wav", "2.wav"]


def test_other_files_are_counted_apart(collection: Collection) -> None:
    collection.add("a.wav")
    (collection.music / "cover.jpg").touch()
    account = collection.scan()
    counts(account, classified=1)
    assert account.not_audio == 1


def test_new_sound_under_an_old_name_is_heard(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.scan()
    before = collection.rows()["a.wav"]["identity"]
    write_wav(path, chord(4.0, pitch_hz=900))
    counts(collection.scan(), classified=1)
    assert collection.rows()["a.wav"]["identity"] != before


def retag(path: Path, title: str = "New") -> None:
    """Do what another program does when a title is changed."""
    import mutagen
    from mutagen.id3 import TIT2

    audio = mutagen.File(path)
    if audio.tags is None:
        audio.add_tags()
    audio.tags.add(TIT2(encoding=3, text=title))
    audio.save()


def test_a_file_retagged_by_another_program_keeps_its_result(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.scan()
    before = collection.rows()["a.wav"]
    retag(path)
    counts(collection.scan(), unchanged=1)
    after = collection.rows()["a.wav"]
    assert (after["title"], after["mtime_ns"]) == ("New", path.stat().st_mtime_ns)
    same = ("id", "identity", "genre", "confidence", "scanned_at", "slice_probabilities")
    assert [after[name] for name in same] == [before[name] for name in same]
    counts(collection.scan(), unchanged=1)
    assert collection.engine.heard == []


@pytest.mark.parametrize("retagged", [False, True])
def test_a_moved_file_keeps_its_result(collection: Collection, retagged: bool) -> None:
    path = collection.add("old/a.wav")
    collection.scan()
    before = collection.rows()["old/a.wav"]
    (collection.music / "new").mkdir()
    moved = path.rename(collection.music / "new" / "b.wav")
    if retagged:
        retag(moved)
    counts(collection.scan(), moved=1)
    rows = collection.rows()
    assert list(rows) == ["new/b.wav"]
    assert rows["new/b.wav"]["id"] == before["id"]
    assert rows["new/b.wav"]["genre"] == before["genre"]
    counts(collection.scan(), unchanged=1)


def test_a_moved_file_is_not_decoded_again(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection.add("a.wav")
    collection.scan()
    path.rename(collection.music / "b.wav")
    monkeypatch.setattr("tagger.library.classify.decode_source", None)
    counts(collection.scan(), moved=1)


def test_a_copy_is_no_move(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.scan()
    collection.copy(path, "b.wav")
    counts(collection.scan(), classified=1, unchanged=1)
    rows = collection.rows()
    assert rows["a.wav"]["identity"] == rows["b.wav"]["identity"]
    assert rows["a.wav"]["genre"] == rows["b.wav"]["genre"]


def test_one_file_moved_to_two_places_is_moved_and_copied(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.scan()
    collection.copy(path, "b.wav")
    path.rename(collection.music / "c.wav")
    counts(collection.scan(), moved=1, classified=1)
    rows = collection.rows()
    assert rows["b.wav"]["genre"] == rows["c.wav"]["genre"]
    assert rows["b.wav"]["slice_probabilities"] == rows["c.wav"]["slice_probabilities"]


def test_another_file_of_the_same_size_and_time_is_no_move(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.scan()
    state = path.stat()
    path.unlink()
    other = collection.add("b.wav", pitch_hz=3000)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert other.stat().st_size == state.st_size
    counts(collection.scan(), classified=1)
    assert set(collection.rows()) == {"a.wav", "b.wav"}


def test_a_file_on_a_disk_that_is_not_mounted_has_not_moved(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection.add("disk/a.wav")
    collection.scan()
    path.rename(collection.music / "b.wav")
    monkeypatch.setattr(discover, "_device", lambda folder: -1)  # what is left lies elsewhere
    counts(collection.scan(), classified=1)
    assert set(collection.rows()) == {"disk/a.wav", "b.wav"}


def test_failures_are_remembered_until_the_file_changes(collection: Collection) -> None:
    bad = collection.music / "bad.mp3"
    bad.write_bytes(b"not music" * 99)
    counts(collection.scan(), failed=1)
    account = collection.scan()
    counts(account, failed=1)
    assert dict(account.reasons) == {"failed: not in a format that can be decoded": 1}
    assert collection.engine.heard == []
    counts(collection.scan(retry_failed=True), failed=1)
    assert collection.engine.heard == ["bad.mp3"]
    write_wav(bad, chord(3.0))
    counts(collection.scan(), classified=1)


def test_a_file_that_ended_two_workers_is_quarantined(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection.add("a.wav")
    failure = Failure("it ended 2 workers (SIGSEGV)", deaths=2)
    monkeypatch.setattr("tagger.library.scan.classify_task", lambda *arguments: failure)
    account = collection.scan()
    assert dict(account.reasons) == {"failed: quarantined: it ended 2 workers (SIGSEGV)": 1}
    monkeypatch.undo()
    counts(collection.scan(retry_failed=True), failed=1)
    assert collection.engine.heard == []
    counts(collection.scan(force=True), classified=1)
    path.touch()
    counts(collection.scan(), unchanged=1)


def test_a_file_that_grows_while_it_is_read_is_heard_next_time(collection: Collection) -> None:
    path = collection.add("a.wav")

    hear = classify._hear_file

    def hear_and_grow(*arguments: Any) -> TrackResult:
        result = hear(*arguments)
        with path.open("ab") as file:
            file.write(bytes(1000))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classify, "_hear_file", hear_and_grow)
        account = collection.scan()
    assert dict(account.reasons) == {"failed: changed while it was read; scan again": 1}
    counts(collection.scan(), classified=1)


def test_a_file_that_vanishes_before_it_is_heard(collection: Collection) -> None:
    path = collection.add("a.wav")
    collection.engine.on_task = lambda name: path.unlink()
    account = collection.scan()
    assert dict(account.reasons) == {"failed: can't be read: No such file or directory": 1}


def test_a_fifo_that_took_the_place_of_a_file_is_not_opened(collection: Collection) -> None:
    path = collection.add("a.wav")

    def swap(_: str) -> None:
        path.unlink()
        os.mkfifo(path)

    collection.engine.on_task = swap
    account = collection.scan()
    assert dict(account.reasons) == {"failed: not a regular file": 1}


def test_another_model_hears_again_and_both_are_kept(collection: Collection) -> None:
    collection.add("a.wav", seconds=12.0)
    collection.scan()
    fewer = replace(bundle(), slice_count=2)
    counts(collection.scan(bundle=fewer), classified=1)
    assert len(collection.rows()["a.wav"]["slice_probabilities"]) == 2 * 10
    counts(collection.scan(), unchanged=1)
    assert len(collection.rows()["a.wav"]["slice_probabilities"]) == 4 * 10


def test_pruning_marks_what_is_gone_and_keeps_its_result(collection: Collection) -> None:
    path = collection.add("sub/a.wav")
    collection.add("b.wav")
    collection.scan()
    kept = path.rename(collection.database.parent / "a.wav")
    account = collection.scan(prune=True)
    counts(account, unchanged=1)
    assert account.missing == 1
    row = collection.rows()["sub/a.wav"]
    assert (row["status"], row["reason"]) == ("missing", "the file is gone")
    kept.rename(path)
    counts(collection.scan(), unchanged=2)
    row = collection.rows()["sub/a.wav"]
    assert (row["status"], row["reason"]) == ("classified", None)
    assert row["genre"] is not None


def test_pruning_leaves_other_folders_alone(collection: Collection) -> None:
    path = collection.add("a/1.wav")
    collection.add("ab/1.wav")
    collection.scan()
    shutil.rmtree(collection.music / "ab")
    assert collection.scan(path.parent, prune=True).missing == 0
    assert collection.scan(prune=True).missing == 1


def test_pruning_spares_a_disk_that_is_not_mounted(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add("a.wav")
    collection.add("disk/b.wav")
    collection.scan()
    shutil.rmtree(collection.music / "disk")
    (collection.music / "disk").mkdir()  # an empty mount point, of another file system
    real = discover._device
    monkeypatch.setattr(
        discover, "_device", lambda folder: -1 if folder.endswith("disk") else real(folder)
    )
    assert collection.scan(prune=True).missing == 0


def test_pruning_spares_a_folder_where_nothing_is_left(collection: Collection) -> None:
    collection.add("a.wav")
    collection.scan()
    (collection.music / "a.wav").unlink()
    with pytest.raises(NothingToDoError, match="no audio files in"):
        collection.scan(prune=True)
    assert collection.rows()["a.wav"]["status"] == "classified"


def test_results_are_stored_while_others_are_waited_for(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.library.recorder.COMMIT_SECONDS", 0.0)
    for number in range(3):
        collection.add(f"{number}.wav")
    stored = []

    def look(_: str) -> None:
        with Store(collection.database) as other:
            stored.append(len(list(other.rows())))

    collection.engine.on_task = look
    collection.scan()
    assert stored == [0, 1, 2]


def test_an_interrupted_scan_keeps_what_ended_and_says_so(collection: Collection) -> None:
    for number in range(3):
        collection.add(f"{number}.wav")

    def interrupt(path: str) -> None:
        if path.endswith("2.wav"):
            raise KeyboardInterrupt

    collection.engine.on_task = interrupt
    with pytest.raises(KeyboardInterrupt):
        collection.scan()
    assert len(collection.rows()) == 2
    with Store(collection.database) as store:
        [scan] = store.connection.execute("select found, classified, finished_at from scans")
    assert (scan["found"], scan["classified"]) == (2, 2)
    assert scan["finished_at"] is not None
    collection.engine.on_task = lambda path: None
    counts(collection.scan(), classified=1, unchanged=2)


def test_the_list_of_work_keeps_its_order_beyond_one_chunk(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worklist, "CHUNK_ROWS", 2)
    names = [f"{number}.wav" for number in range(7)]
    for name in names:
        collection.add(name)
    counts(collection.scan(), classified=7)
    assert collection.engine.heard == names


def test_the_account_is_in_the_database_too(collection: Collection) -> None:
    collection.add("a.wav")
    (collection.music / ".b.wav").touch()
    (collection.music / "c.mp3").touch()
    (collection.music / "d.txt").touch()
    collection.scan(prune=True)
    with Store(collection.database) as store:
        [scan] = store.connection.execute("select * from scans")
    names = (
        "found",
        "classified",
        "unchanged",
        "moved",
        "skipped",
        "failed",
        "not_audio",
        "missing",
    )
    assert [scan[name] for name in names] == [3, 1, 0, 0, 1, 1, 1, 0]
    assert scan["reasons"] == '{"skipped: hidden file": 1, "failed: empty file": 1}'
