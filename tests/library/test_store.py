from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tagger.errors import DatabaseError
from tagger.library import store as store_module
from tagger.library.store import Store
from tests.conftest import run_cli
from tests.library.collection import Collection, counts


def open_and_close(database: str, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    with Store(Path(database)):
        pass


def test_many_may_create_a_database_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(6)
    arguments = (os.fspath(tmp_path / "a.db"), start)
    processes = [context.Process(target=open_and_close, args=arguments) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 6


def test_two_scans_of_one_database_both_finish(collection: Collection) -> None:
    for number in range(12):
        collection.add(f"{number}.wav", 200 + 20 * number)
    command: list[str | Path] = [
        sys.executable, "-m", "tagger", "scan", collection.music, "--db", collection.database,
        "--workers", "1", "--model", "cnn", "--json",
    ]  # fmt: skip
    scans = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [scan.communicate(timeout=120)[1] for scan in scans]
    assert [scan.returncode for scan in scans] == [0, 0], errors
    assert b"locked" not in b"".join(errors)
    assert len(collection.rows()) == 12
    counts(collection.scan(), unchanged=12)


def test_a_writer_waits_for_another(collection: Collection) -> None:
    collection.add("a.wav")
    collection.scan()
    other = sqlite3.connect(collection.database, check_same_thread=False, isolation_level=None)
    other.execute("begin immediate")
    done = threading.Timer(0.7, other.execute, ["commit"])
    done.start()
    began = time.monotonic()
    counts(collection.scan(force=True), classified=1)
    assert time.monotonic() - began > 0.5
    done.join()
    other.close()


def test_a_busy_database_has_a_clear_line(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add("a.wav")
    collection.scan()
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    other = sqlite3.connect(collection.database, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(DatabaseError) as caught:
        collection.scan(force=True)
    other.close()
    assert str(caught.value) == (
        f"{collection.database}: another program has been writing to it for 0.1 s; try again"
    )


def test_a_full_disk_has_a_clear_line_and_exit_2(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        (collection.music / f"{number:050}.mp3").touch()
    with Store(collection.database):
        pass
    real = Store._prepare

    def small(store: Store) -> None:
        real(store)
        store.connection.execute("pragma max_page_count = 1")  # raised to what there is

    monkeypatch.setattr(Store, "_prepare", small)
    result = run_cli("scan", collection.music, "--db", collection.database, "--workers", 1)
    assert result.exit_code == 2
    assert f"tagger: {collection.database}: the disk is full" in result.stderr
    monkeypatch.undo()
    with Store(collection.database) as store:
        assert store.connection.execute("pragma integrity_check").fetchone()[0] == "ok"


def test_a_database_that_may_not_be_written(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection.add("a.wav")
    collection.scan()
    path.touch()
    real = sqlite3.connect

    def read_only(database: Path, **options: object) -> sqlite3.Connection:
        return real(f"file:{database}?mode=ro", uri=True, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", read_only)
    result = run_cli("scan", collection.music, "--db", collection.database, "--workers", 1)
    assert result.exit_code == 2
    line = f"tagger: {collection.database}: it may not be written; choose another with --db"
    assert line in result.stderr
    assert run_cli("report", "--db", collection.database).exit_code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(DatabaseError):
        Store(tmp_path / "a.db")


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseError, match="is not a tagger database"):
        Store(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("create table a (b)")
    with pytest.raises(DatabaseError, match="is another program's database"):
        Store(path)


def test_commits_reach_the_disk_before_they_are_counted(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        assert store.connection.execute("pragma synchronous").fetchone()[0] == 2  # full
        assert store.connection.execute("pragma journal_mode").fetchone()[0] == "wal"


def test_duplicates_are_reported(collection: Collection) -> None:
    first = collection.add("b/1.wav", seconds=3.0)
    collection.copy(first, "a/copy.wav")
    collection.add("other.wav", 999.0)
    bad = collection.music / "bad.mp3"
    bad.write_bytes(b"?" * 99)
    collection.copy(bad, "bad copy.mp3")
    collection.scan()
    with Store(collection.database) as store:
        [group] = store.duplicates()
    names = [Path(os.fsdecode(row["path"])).name for row in group]
    assert names == ["copy.wav", "1.wav"]
    result = run_cli("report", "--duplicates", "--db", collection.database)
    lines = result.stdout.splitlines()
    assert lines[0] == "group,path,size,duration_seconds,container,title,artist,album"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["1", os.fspath(collection.music / "a/copy.wav")], ["1", os.fspath(first)],
    ]  # fmt: skip
    as_json = run_cli("report", "--duplicates", "--format", "json", "--db", collection.database)
    assert as_json.stdout.count('"path"') == 2
    first.unlink()
    collection.scan(prune=True)
    assert run_cli("report", "--duplicates", "--db", collection.database).stdout.count("\n") == 1
