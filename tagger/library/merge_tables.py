"""How each table of an attached database (``src``) goes into the main one.

Rows get new ids there; ``temp.scan_map``, ``temp.file_map`` and ``temp.run_map`` say which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

# When a file's size, time and genre were last known to be so: when it was heard, or when its
# genre was written.
_KNOWN_AT = """max({row}.scanned_at, coalesce((
    select max(coalesce(finished_at, started_at)) from {schema}.tag_writes
    join {schema}.tag_runs on tag_runs.id = run_id
    where file_id = {row}.id and state in ('done', 'undone')), ''))"""

# What a tag write changes of a file.
_FACTS = ("size", "mtime_ns", "existing_genre")

# How far a write came, where one run is in both databases; see library/journal.py.
_STATES = ("planned", "intended", "not written", "failed", "done", "undoing", "undone")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return a table's columns but ``id``."""
    rows = connection.execute(f"pragma main.table_info({table})").fetchall()
    return [row[1] for row in rows if row[1] != "id"]


def _models(connection: sqlite3.Connection) -> None:
    columns = ", ".join(_columns(connection, "models"))
    connection.execute(
        f"insert or ignore into main.models ({columns}) select {columns} from src.models"
    )


def _scans(connection: sqlite3.Connection) -> None:
    """Add scans; one that is there already, from a copy of the same database, is the same."""
    connection.execute("create temp table scan_map (old integer primary key, new int)")
    columns = _columns(connection, "scans")
    same = " and ".join(f"{name} is ?" for name in columns)
    values = ", ".join("?" * len(columns))
    names = ", ".join(columns)
    [last] = connection.execute("select coalesce(max(id), 0) from main.scans").fetchone()
    for old, *row in connection.execute(f"select id, {names} from src.scans order by id"):
        found = connection.execute(
            f"select id from main.scans where id <= ? and {same}", (last, *row)
        ).fetchone()
        new = found[0] if found else connection.execute(
            f"insert into main.scans ({names}) values ({values})", row
        ).lastrowid  # fmt: skip
        connection.execute("insert into temp.scan_map values (?, ?)", (old, new))


def _files(connection: sqlite3.Connection) -> None:
    """Add files; of one that is in both, the row with the newer result stays."""
    connection.execute(
        "create temp table file_map (old integer primary key, before int, new int, wins int)"
    )
    connection.execute(
        "insert into temp.file_map select src.files.id, ours.id, ours.id,"
        " ours.id is null or src.files.scanned_at > ours.scanned_at"
        " from src.files left join main.files as ours on ours.path = src.files.path"
    )
    _note_newer_facts(connection)
    names = _columns(connection, "files")
    values = ["scan_map.new" if name == "scan_id" else f"theirs.{name}" for name in names]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    connection.execute(
        f"insert into main.files ({', '.join(names)}) select {', '.join(values)}"
        " from temp.file_map join src.files as theirs on theirs.id = file_map.old"
        " left join temp.scan_map on scan_map.old = theirs.scan_id"
        f" where wins order by theirs.id on conflict (path) do update set {updates}"
    )
    connection.execute(
        "update temp.file_map set new = (select ours.id from src.files as theirs"
        " join main.files as ours on ours.path = theirs.path where theirs.id = old)"
        " where new is null"
    )
    assignments = ", ".join(f"{name} = facts.{name}" for name in _FACTS)
    connection.execute(
        f"update main.files set {assignments} from temp.facts where facts.file_id = main.files.id"
    )
    connection.execute("drop table temp.facts")


def _note_newer_facts(connection: sqlite3.Connection) -> None:
    """Note what a tag write made of a file where the other database has the newer result.

    Otherwise the file would seem to have changed since that result.
    """
    connection.execute(
        "create temp table facts as select ours.id as file_id,"
        + ", ".join(f"iif(wins, ours.{name}, theirs.{name}) as {name}" for name in _FACTS)
        + " from temp.file_map join src.files as theirs on theirs.id = old"
        " join main.files as ours on ours.id = before"
        " where ours.identity is theirs.identity"
        f" and iif(wins, {_later('ours', 'theirs')}, {_later('theirs', 'ours')})"
    )


def _later(row: str, other: str) -> str:
    schemas = {"ours": "main", "theirs": "src"}
    one, two = (_KNOWN_AT.format(row=name, schema=schemas[name]) for name in (row, other))
    return f"{one} > {two}"


def _predictions(connection: sqlite3.Connection) -> None:
    """Add predictions: of other models as they are, of the same one from the newer result."""
    names = [name for name in _columns(connection, "predictions") if name != "file_id"]
    for wins, verb in ((1, "replace"), (0, "ignore")):
        connection.execute(
            f"insert or {verb} into main.predictions (file_id, {', '.join(names)})"
            f" select file_map.new, {', '.join(names)} from src.predictions"
            " join temp.file_map on file_map.old = file_id where wins = ?",
            (wins,),
        )


def _tag_runs(connection: sqlite3.Connection) -> None:
    names = ", ".join(_columns(connection, "tag_runs"))
    connection.execute(
        f"insert into main.tag_runs ({names}) select {names} from src.tag_runs"
        " where token not in (select token from main.tag_runs) order by id"
    )
    connection.execute(
        "create temp table run_map as select theirs.id as old, ours.id as new"
        " from src.tag_runs as theirs join main.tag_runs as ours on ours.token = theirs.token"
    )


def _tag_writes(connection: sqlite3.Connection) -> None:
    """Add the journal's rows; of one that is in both, the one that came farther stays."""
    names = [n for n in _columns(connection, "tag_writes") if n not in ("run_id", "file_id")]
    rank = "case {row}.state " + " ".join(
        f"when '{state}' then {number}" for number, state in enumerate(_STATES)
    ) + " end"  # fmt: skip
    connection.execute(
        "create temp table write_map as select theirs.id as old, ours.id as new,"
        f" {rank.format(row='theirs')} > {rank.format(row='ours')} as wins"
        " from src.tag_writes as theirs join temp.run_map on run_map.old = theirs.run_id"
        " join main.tag_writes as ours on ours.run_id = run_map.new and ours.path = theirs.path"
    )
    connection.execute(
        "delete from main.tag_writes where id in (select new from temp.write_map where wins)"
    )
    connection.execute(
        f"insert into main.tag_writes (run_id, file_id, {', '.join(names)})"
        # A file that is no longer known has the id 0, which none has.
        f" select run_map.new, coalesce(file_map.new, 0), {', '.join(f'w.{n}' for n in names)}"
        " from src.tag_writes as w join temp.run_map on run_map.old = w.run_id"
        " left join temp.file_map on file_map.old = w.file_id"
        " where w.id not in (select old from temp.write_map where not wins) order by w.id"
    )
    connection.execute("drop table temp.write_map")


# In an order in which each finds what it refers to.
MERGES: dict[str, Callable[[sqlite3.Connection], None]] = {
    "models": _models,
    "scans": _scans,
    "files": _files,
    "predictions": _predictions,
    "tag_runs": _tag_runs,
    "tag_writes": _tag_writes,
}
