"""The house's rules, checked on its own text."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tagger

PACKAGE = Path(tagger.__file__).parent

# Imports go down only; a room may use its own floor's rooms no more than those above.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("report", "tags"),
    ("library", "training", "pictures"),
    ("model",),
    ("sound", "engines", "genres"),
    ("errors",),
)
# Training measures what a scan hears, with the very task that a scan runs.
SAME_FLOOR = {("training", "library"), ("training", "pictures")}

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imports() -> Iterator[tuple[str, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.startswith("tagger."):
                    yield str(path.relative_to(PACKAGE)), room, name.split(".")[1]


def test_imports_go_down_only() -> None:
    upward = [
        f"{path} imports {used}"
        for path, room, used in imports()
        if room != used and (room, used) not in SAME_FLOOR and FLOOR[used] <= FLOOR[room]
    ]
    assert upward == []


def test_only_the_cli_prints() -> None:
    printing = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    ]
    assert printing == []


@pytest.mark.parametrize("command", [[], ["scan"], ["train"], ["report"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    heavy = ("numpy", "librosa", "sqlite_utils", "tensorflow", "scipy", "av", "mutagen", "jinja2")
    program = (
        "import sys\n"
        "from tagger.cli import app\n"
        f"try: app({[*command, '--help']!r})\n"
        "except SystemExit: pass\n"
        f"print(sorted(set({heavy!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "Usage:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
