"""A scan on a cluster, as a person runs it, against the same scan on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.machines import ROOT, Machines, machines
from tests.conftest import chord, run_cli, shared, write_wav

pytest.importorskip("distributed", reason="needs the cluster extra: distributed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("workers")) as made:
        yield made


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number in range(150):
        write_wav(folder / f"{number:03}.wav", chord(4.0, pitch_hz=100.0 + number))
    (folder / "bad.mp3").write_bytes(b"not music" * 99)
    shutil.copy(folder / "000.wav", folder / os.fsdecode(b"caf\xe9.wav"))
    return folder


def stored(database: Path) -> tuple[list[Any], list[Any]]:
    """Return all rows of files and predictions, less when they were stored."""
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("pragma table_info(files)")]
        kept = ", ".join(name for name in columns if name not in ("id", "scanned_at"))
        files = connection.execute(f"select {kept} from files order by path").fetchall()
        predictions = connection.execute(
            "select path, predictions.* from predictions join files on file_id = id order by path"
        ).fetchall()
    connection.close()
    return files, [row[:1] + row[2:] for row in predictions]


def scan(folder: Path, database: Path, *options: object) -> dict[str, Any]:
    result = run_cli("scan", folder, "--db", database, "--json", *options)
    assert result.exit_code in (0, 1), result.output
    account: dict[str, Any] = json.loads(result.stdout)
    return account


@pytest.mark.parametrize("which", ["corpus", "music"])
def test_the_results_are_those_of_this_machine_to_the_bit(
    cluster: Machines, music: Path, tmp_path: Path, which: str
) -> None:
    folder = music if which == "music" else shared("corpus")
    here = scan(folder, tmp_path / "here.db", "--workers", 2)
    there = scan(folder, tmp_path / "there.db", "--scheduler", cluster.address)
    counts = ("found", "classified", "unchanged", "moved", "skipped", "failed", "reasons", "genres")
    assert [there[name] for name in counts] == [here[name] for name in counts]
    assert stored(tmp_path / "there.db") == stored(tmp_path / "here.db")
    again = scan(folder, tmp_path / "there.db", "--scheduler", cluster.address)
    assert (again["classified"], again["unchanged"]) == (0, here["classified"])


def test_ctrl_c_keeps_what_was_finished_and_the_next_scan_goes_on(
    cluster: Machines, music: Path, tmp_path: Path
) -> None:
    database = tmp_path / "a.db"
    command = [sys.executable, "-m", "tagger", "scan", str(music), "--db", str(database),
               "--scheduler", cluster.address]  # fmt: skip
    running = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not classified(database):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in complaints
    assert complaints.endswith("stopped; everything finished so far is kept\n")
    finished = classified(database)
    assert 0 < finished < 151
    account = scan(music, database, "--scheduler", cluster.address)
    assert (account["found"], account["failed"]) == (152, 1)
    assert (account["classified"], account["unchanged"]) == (151 - finished, finished)


def classified(database: Path) -> int:
    if not database.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            [number] = connection.execute("select count(*) from predictions").fetchone()
        return int(number)
    except sqlite3.OperationalError:
        return 0  # its tables are being made
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"],
         "tagger: no Dask scheduler answers at tcp://127.0.0.1:1; start one with"
         " `dask scheduler`, or use --scheduler local:N\n"),
        (["--scheduler", "local:2", "--workers", "2"],
         "tagger: --workers counts processes on this machine: leave it out, or use local:N\n"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_line(
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("tagger.engines.link.CONNECT_SECONDS", 1.0)
    result = run_cli("scan", music, "--db", tmp_path / "a.db", *options)
    assert (result.exit_code, result.stderr) == (2, message)


def test_help_loads_no_cluster_library() -> None:
    program = (
        "import sys\n"
        "from tagger.cli import app\n"
        "try: app(['scan', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'distributed', 'dask', 'fsspec', 's3fs'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "--scheduler" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
