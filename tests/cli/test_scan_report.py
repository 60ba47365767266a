"""Scan and report as a person uses them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tagger.model.bundle import bundled_folder
from tests.conftest import chord, run_cli, shared, write_wav

COLUMNS = [
    "path", "genre", "confidence", "second_genre", "second_confidence", "title", "artist",
    "album", "existing_genre", "duration_seconds", "status", "reason", "model", "scanned_at",
    "blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock",
]  # fmt: skip


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, object]]:
    """A folder with good, odd and bad files, scanned once: (folder, database, JSON)."""
    folder = tmp_path_factory.mktemp("music")
    write_wav(folder / "good.wav", chord(12.0))
    write_wav(folder / "=1+1.wav", chord(3.0, pitch_hz=500))
    write_wav(folder / "short.wav", chord(1.0))
    write_wav(folder / "silent.wav", np.zeros(66_150, np.float32))
    (folder / "bad.mp3").write_bytes(b"not music" * 99)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    shutil.copy(folder / "good.wav", folder / os.fsdecode(b"caf\xe9.wav"))
    database = tmp_path_factory.mktemp("db") / "a.db"
    result = run_cli("scan", folder, "--db", database, "--json", "--workers", 2)
    assert result.exit_code == 1, result.output
    return folder, database, json.loads(result.stdout)


def test_the_account_is_honest(scanned: tuple[Path, Path, dict[str, object]]) -> None:
    account = scanned[2]
    assert account["found"] == 6
    parts = ("classified", "unchanged", "moved", "skipped", "failed")
    assert [account[part] for part in parts] == [4, 0, 0, 1, 1]
    assert str(account["model"]).startswith("cnn-") or account["model"]


def rows(database: Path) -> dict[str, dict[str, str]]:
    result = run_cli("report", "--db", database)
    assert result.exit_code == 0
    table = list(csv.DictReader(io.StringIO(result.stdout_bytes.decode(errors="surrogateescape"))))
    assert list(table[0]) == COLUMNS
    return {os.path.basename(row["path"]): row for row in table}  # noqa: PTH119 - odd bytes


def test_the_csv_has_a_row_per_file(scanned: tuple[Path, Path, dict[str, object]]) -> None:
    table = rows(scanned[1])
    assert len(table) == 6
    good = table["good.wav"]
    assert good["status"] == "classified"
    assert good["genre"] in COLUMNS[14:]
    assert float(good["confidence"]) == max(float(good[genre]) for genre in COLUMNS[14:])
    assert float(good["duration_seconds"]) == 12.0
    assert (table["silent.wav"]["status"], table["silent.wav"]["reason"]) == ("skipped", "silence")
    assert table["silent.wav"]["genre"] == ""
    assert table["bad.mp3"]["reason"] == "not in a format that can be decoded"
    assert "only 1.0 s long: less than one slice" in table["short.wav"]["reason"]
    assert "caf\udce9.wav" in table  # its bytes, as the file system has them


def test_no_cell_of_the_csv_is_a_formula() -> None:
    from tagger.report.table import write_csv

    row = {"path": b"=cmd.wav", "title": "=HYPERLINK()", "artist": "+1", "album": "@SUM",
           "existing_genre": "-2", "model_id": "m", "probabilities": {}}  # fmt: skip
    file = io.StringIO()
    write_csv([row], [], file)
    cells = next(csv.DictReader(io.StringIO(file.getvalue())))
    assert [cells[name] for name in ("path", "title", "artist", "album", "existing_genre")] == [
        "'=cmd.wav", "'=HYPERLINK()", "'+1", "'@SUM", "'-2",
    ]  # fmt: skip


def test_the_report_says_where_it_is_not_sure(
    scanned: tuple[Path, Path, dict[str, object]],
) -> None:
    def reasons(least: float) -> dict[str, str | None]:
        arguments = ("--format", "json", "--min-confidence", least)
        table = json.loads(run_cli("report", "--db", scanned[1], *arguments).stdout)
        return {os.path.basename(row["path"]): row["reason"] for row in table}  # noqa: PTH119

    assert reasons(0.0)["good.wav"] is None
    assert reasons(1.0)["good.wav"] == "not sure"
    assert reasons(1.0)["short.wav"] == f"not sure; {reasons(0.0)['short.wav']}"
    assert reasons(1.0)["silent.wav"] == "silence"


def test_json_has_the_same_rows(scanned: tuple[Path, Path, dict[str, object]]) -> None:
    result = run_cli("report", "--db", scanned[1], "--format", "json")
    table = json.loads(result.stdout)
    assert [list(row) for row in table] == [COLUMNS] * 6
    good = next(row for row in table if row["path"].endswith("good.wav"))
    assert good["confidence"] == good[good["genre"]]


def test_a_second_scan_touches_nothing_and_a_forced_one_all(
    scanned: tuple[Path, Path, dict[str, object]], tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    shutil.copytree(scanned[0], folder)
    database = tmp_path / "a.db"
    run_cli("scan", folder, "--db", database)
    again = json.loads(run_cli("scan", folder, "--db", database, "--json").stdout)
    assert (again["classified"], again["unchanged"]) == (0, 4)
    assert (again["skipped"], again["failed"]) == (1, 1)  # remembered, and still counted
    write_wav(folder / "good.wav", chord(9.0))
    changed = json.loads(run_cli("scan", folder, "--db", database, "--json").stdout)
    assert (changed["classified"], changed["unchanged"]) == (1, 3)
    forced = json.loads(run_cli("scan", folder, "--db", database, "--json", "--force").stdout)
    assert (forced["classified"], forced["unchanged"]) == (4, 0)
    (folder / "bad.mp3").unlink()


def test_the_corpus_is_classified_whole(tmp_path: Path) -> None:
    result = run_cli("scan", shared("corpus"), "--db", tmp_path / "a.db", "--json")
    account = json.loads(result.stdout)
    assert result.exit_code == 0
    assert account["found"] == account["classified"] == 14


def test_values_are_stored_as_numbers(scanned: tuple[Path, Path, dict[str, object]]) -> None:
    connection = sqlite3.connect(scanned[1])
    kinds = connection.execute(
        "select distinct typeof(confidence), typeof(slice_probabilities) from predictions"
    ).fetchall()
    assert kinds == [("real", "blob")]
    [bad] = [name for name, strict in connection.execute(
        "select name, strict from pragma_table_list where type = 'table' and schema = 'main'"
    ) if not strict and name in ("files", "predictions", "models", "scans")] or [None]  # fmt: skip
    assert bad is None
    view = connection.execute("select path, genre from library").fetchall()
    assert len(view) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan", "{tmp}/missing"], "tagger: {tmp}/missing does not exist"),
        (["scan", "{tmp}/empty"], "tagger: no audio files in {tmp}/empty"),
        (["report"], "tagger: no results yet at {tmp}/a.db: run `tagger scan FOLDER` first"),
        (["scan", "{tmp}", "--model", "nonsense"], "tagger: no model 'nonsense': give a folder"),
        (["scan", "{tmp}", "--model", "{tmp}/broken"], "tagger: model {tmp}/broken: network."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(bundled_folder() / "cnn", tmp_path / "broken")
    (tmp_path / "broken" / "network.tflite").write_bytes(b"x")
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    result = run_cli(*given, "--db", tmp_path / "a.db")
    assert result.exit_code == 2
    assert result.stderr.startswith(message.format(tmp=tmp_path))
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["text", "other"])
def test_a_database_that_is_not_ours_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.db"
    if kind == "text":
        path.write_bytes(b"my diary, not a database " * 9)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("create table items (id integer)")
        connection.close()
    before = path.read_bytes()
    write_wav(tmp_path / "a.wav", chord(3.0))
    result = run_cli("scan", tmp_path, "--db", path)
    assert result.exit_code == 2
    assert "choose another with --db" in result.stderr
    assert path.read_bytes() == before


def test_the_database_is_found_by_its_variable(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", chord(3.0))
    environment = os.environ | {"TAGGER_DB": str(tmp_path / "mine.db")}
    command = [sys.executable, "-m", "tagger", "scan", str(tmp_path), "--workers", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.db").exists()
    assert "Created" not in done.stderr  # no greeting of the runtime
