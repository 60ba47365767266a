from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import kill_scans


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_kills_lose_at_most_two_seconds(tmp_path: Path) -> None:
    folder, database = tmp_path / "music", tmp_path / "library.db"
    folder.mkdir()
    kill_scans.make_tracks(folder, 400)
    kills = [
        kill_scans.kill_once(folder, database, after_seconds, whole_group)
        for after_seconds, whole_group in ((0.4, True), (2.5, False), (3.5, True), (3.0, False))
    ]
    for kill in filter(None, kills):
        assert kill.integrity == "ok"
        assert kill.oldest_lost_seconds <= kill_scans.PROMISED_SECONDS
        assert kill.left_processes == 0
    kill_scans.scan_whole(folder, database)
    assert len(kill_scans.stored(database)[1]) == 400
