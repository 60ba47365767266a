"""A few real kills; the benchmark does hundreds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_writes.py"


@pytest.mark.slow
def test_killed_writers_harm_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--files", "24"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("3 kills in ")
    assert list(tmp_path.iterdir()) == []
