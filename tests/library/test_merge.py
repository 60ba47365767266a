"""Several databases become one: the newer result of a file counts, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import DatabaseError
from tagger.library.classify import TrackResult
from tagger.library.journal import Ending, Intent, Journal
from tagger.library.merge import Merged, merge
from tagger.library.merge_tables import MERGES
from tagger.library.schema import migrations
from tagger.library.store import Store
from tests.conftest import run_cli


def result(name: str, genre: str = "rock", status: str = "classified", **facts: Any) -> TrackResult:
    probabilities = {genre: 0.75, "pop": 0.25} if status == "classified" else {}
    values: dict[str, Any] = {"size": 1000, "mtime_ns": 5, "identity": f"id of {name}"} | facts
    return TrackResult(f"/music/{name}", status, probabilities=probabilities,
                       slice_seconds=[0.0], slice_probabilities=b"\xff\0", embedding=b"\0" * 4,
                       **values)  # fmt: skip


class Shard:
    """A database, filled as scans and tag writes at given times would fill it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self._patch = path, monkeypatch

    def at(self, time: str) -> None:
        for room in ("store", "journal"):
            self._patch.setattr(f"tagger.library.{room}.now", lambda: f"2026-01-{time}T00:00:00")

    def scan(self, time: str, *results: TrackResult, model: str = "cnn-1") -> None:
        self.at(time)
        with Store(self.path) as store:
            store.add_model(model, model, ["rock", "pop"], "{}")
            scan_id = store.start_scan([f"/music at {time}"], model)
            with store.transaction():
                for one in results:
                    store.add_result(one, model, scan_id)
            store.finish_scan(scan_id, {"found": len(results)}, 1.5, {})

    def write(self, time: str, name: str, genre: str) -> None:
        self.at(time)
        with Store(self.path) as store:
            journal = Journal(store)
            run = journal.start_run({"mode": "fill"})
            known = store.known(f"/music/{name}")
            assert known is not None
            [write_id] = journal.plan(run, [(known.file_id, f"/music/{name}", "mp3")])
            journal.intend([Intent(write_id, [], [genre], {}, b"back", 1000, 5, 1010, 9)])
            journal.settle([Ending(write_id, "done", None, known.file_id, 1010, 9, [genre])])
            journal.finish_run(run)

    def undo(self) -> None:
        with Store(self.path) as store:
            journal = Journal(store)
            journal.settle([Ending(write.write_id, "undone") for write in journal.writes_of(1)])


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Shard, Shard]:
    return Shard(tmp_path / "a.db", monkeypatch), Shard(tmp_path / "b.db", monkeypatch)


def merged(shards: tuple[Shard, Shard], name: str = "all.db") -> tuple[Merged, Path]:
    output = shards[0].path.with_name(name)
    return merge([shard.path for shard in shards], output), output


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


GENRES = (
    "select path_text, status, genre from files left join predictions"
    " on file_id = id and predictions.model_id = files.model_id order by path"
)


def test_the_newer_result_counts_whichever_comes_first(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("both.mp3", "rock"), result("a.mp3", "rock"))
    b.scan("02", result("both.mp3", "pop"), result("b.mp3", "rock"))
    for order in ((a, b), (b, a)):
        counts, output = merged(order, f"{order[0].path.stem}.all")
        assert rows(output, GENRES) == [
            ("/music/a.mp3", "classified", "rock"),
            ("/music/b.mp3", "classified", "rock"),
            ("/music/both.mp3", "classified", "pop"),
        ]
        assert counts.files == counts.predictions == 3
    assert (counts.added[b.path], counts.newer[a.path], counts.older[a.path]) == (2, 0, 1)


def test_predictions_by_every_model_are_kept(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("x.mp3", "rock"))
    a.scan("03", result("x.mp3", "rock"), model="lstm-2")
    b.scan("02", result("x.mp3", "pop"), model="mlp-3")
    _, output = merged(shards)
    assert rows(output, "select model_id, genre from predictions order by model_id") == [
        ("cnn-1", "rock"), ("lstm-2", "rock"), ("mlp-3", "pop"),
    ]  # fmt: skip
    assert rows(output, "select model_id from files") == [("lstm-2",)]
    assert len(rows(output, "select * from models")) == 3


def test_a_newer_failure_keeps_the_older_prediction(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("x.mp3", "rock"))
    b.scan("02", result("x.mp3", status="failed", reason="can't be read"))
    _, output = merged(shards)
    assert rows(output, "select status, reason from files") == [("failed", "can't be read")]
    assert rows(output, "select genre from predictions") == [("rock",)]


def test_files_keep_the_scan_that_heard_them(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"))
    b.scan("02", result("b1.mp3"))
    b.scan("03", result("b2.mp3"))
    _, output = merged(shards)
    query = "select path_text, paths from files join scans on scan_id = scans.id order by path"
    assert rows(output, query) == [
        ("/music/a.mp3", '["/music at 01"]'),
        ("/music/b1.mp3", '["/music at 02"]'),
        ("/music/b2.mp3", '["/music at 03"]'),
    ]


def test_both_journals_are_kept_and_can_be_undone(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("other.mp3"), result("a.mp3"))
    a.write("02", "a.mp3", "Rock")
    b.scan("01", result("b.mp3"))
    b.write("03", "b.mp3", "Pop")
    counts, output = merged(shards)
    assert counts.tag_writes == 2
    with Store(output) as store:
        journal = Journal(store)
        [write] = journal.writes_of(2)
        assert (write.path, write.new_genres, write.back) == ("/music/b.mp3", ["Pop"], b"back")
        assert journal.last_run() == 2
    assert rows(output, "select path_text, existing_genre from files order by path") == [
        ("/music/a.mp3", "Rock"), ("/music/b.mp3", "Pop"), ("/music/other.mp3", None),
    ]  # fmt: skip


@pytest.mark.parametrize("first", ["writer", "listener"])
def test_a_file_written_since_the_newer_result_does_not_seem_changed(
    shards: tuple[Shard, Shard], first: str
) -> None:
    writer, listener = shards
    writer.scan("01", result("x.mp3", "rock"))
    listener.scan("02", result("x.mp3", "pop"))
    writer.write("03", "x.mp3", "Rock")
    order = (writer, listener) if first == "writer" else (listener, writer)
    _, output = merged(order)
    assert rows(output, "select size, mtime_ns, existing_genre from files") == [(1010, 9, "Rock")]
    assert rows(output, GENRES)[0][2] == "pop"


def test_a_database_and_its_copy_give_everything_once(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("x.mp3"), result("y.mp3"))
    a.write("02", "x.mp3", "Rock")
    with closing(sqlite3.connect(a.path)) as source, closing(sqlite3.connect(b.path)) as copy:
        source.backup(copy)
    b.undo()
    b.scan("03", result("z.mp3"))
    for order in ((a, b), (b, a)):
        counts, output = merged(order, f"{order[0].path.stem}.all")
        assert (counts.files, counts.tag_writes) == (3, 1)
        assert len(rows(output, "select * from scans")) == 2
        assert rows(output, "select state from tag_writes") == [("undone",)]


def test_a_database_of_an_older_version_is_read_and_left_as_it_is(
    shards: tuple[Shard, Shard],
) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"))
    old = {"001_files", "002_predictions", "003_scans"}
    with closing(sqlite3.connect(b.path)) as connection:
        import sqlite_utils

        from tagger.library.store import APPLICATION_ID

        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        database = sqlite_utils.Database(connection)
        names = [migration.name for migration in migrations.pending(database)]
        migrations.apply(database, stop_before=names[len(old)])
        connection.execute(
            "insert into files (path, path_text, size, mtime_ns, status, scanned_at)"
            " values (x'2f62', '/b', 1, 2, 'failed', '2025-01-01')"
        )
        connection.commit()
    before = b.path.read_bytes()
    _, output = merged(shards)
    assert rows(output, "select path_text from files order by path") == [("/b",), ("/music/a.mp3",)]
    assert b.path.read_bytes() == before
    assert rows(output, "select count(*) from files where worker_deaths = 0") == [(2,)]


def test_the_merged_database_is_sound(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"))
    b.scan("02", result("a.mp3"), result("b.mp3"))
    _, output = merged(shards)
    assert rows(output, "pragma integrity_check") == [("ok",)]
    assert rows(output, "pragma foreign_key_check") == []
    assert rows(output, "pragma journal_mode") == [("wal",)]
    assert sorted(path.name for path in output.parent.iterdir()) == ["a.db", "all.db", "b.db"]


def test_every_table_is_merged(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        tables = {
            name
            for [name] in store.connection.execute(
                "select name from sqlite_master where type = 'table'"
            )
            if not name.startswith(("_", "sqlite_"))
        }
    assert set(MERGES) == tables


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing.db", None, "no results at {path}"),
        ("diary.db", b"dear diary " * 99,
         "{path} is not a tagger database (file is not a database); choose another with --db"),
        ("empty.db", b"", "{path} is not a tagger database"),
    ],
)  # fmt: skip
def test_what_is_no_database_of_ours_is_named(
    shards: tuple[Shard, Shard], name: str, make: bytes | None, message: str
) -> None:
    a, _ = shards
    a.scan("01", result("a.mp3"))
    path = a.path.with_name(name)
    if make is not None:
        path.write_bytes(make)
    with pytest.raises(DatabaseError) as caught:
        merge([a.path, path], a.path.with_name("all.db"))
    assert str(caught.value) == message.format(path=path)
    assert not a.path.with_name("all.db").exists()


def test_a_database_of_a_newer_version_is_refused(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"))
    b.scan("01", result("b.mp3"))
    with closing(sqlite3.connect(b.path)) as connection:
        connection.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at)"
            " values ('tagger', '999_future', '')"
        )
        connection.commit()
    with pytest.raises(DatabaseError, match="b.db was made by a newer version of tagger"):
        merged(shards)


def test_nothing_is_overwritten(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"))
    b.scan("02", result("b.mp3"))
    before = b.path.read_bytes()
    done = run_cli("merge", a.path, b.path, "-o", b.path)
    assert done.exit_code == 2
    assert done.stderr == f"tagger: {b.path} exists already: name a new file with -o\n"
    assert b.path.read_bytes() == before


def test_the_command_tells_what_came_together(shards: tuple[Shard, Shard]) -> None:
    a, b = shards
    a.scan("01", result("a.mp3"), result("both.mp3"))
    b.scan("02", result("both.mp3"))
    output = a.path.with_name("all.db")
    done = run_cli("merge", a.path, b.path, "-o", output)
    assert done.exit_code == 0
    assert done.stdout == (
        f"{a.path}: 2 files added, 0 with a newer result, 0 with an older one\n"
        f"{b.path}: 0 files added, 1 with a newer result, 0 with an older one\n"
        f"{output}: 2 files, 2 predictions, 0 tag writes\n"
    )
    again = json.loads(run_cli("merge", a.path, "-o", f"{output}2", "--json").stdout)
    assert (again["files"], again["sources"][str(a.path)]["added"]) == (2, 2)
