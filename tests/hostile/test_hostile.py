"""A folder full of what goes wrong in real ones: every entry has its status and its reason."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.case import Case
from tests.hostile.entries import all_cases, build, is_regular
from tests.hostile.makers import sound

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes names and files of Linux")

# <sys/inotify.h>, <linux/prctl.h>, <linux/capability.h>
IN_ACCESS, IN_OPEN, IN_NONBLOCK = 0x1, 0x20, 0o4000
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2

BIG_BYTES = 2**27  # sparse files are compared by size and time only


@dataclass
class Hostile:
    folder: bytes
    cases: list[Case]
    database: Path
    before: dict[bytes, tuple[Any, ...]]
    account: dict[str, Any]
    run: subprocess.CompletedProcess[bytes]
    opened_outside: bytes


def obey_permissions() -> None:
    """Let a child of root be refused what is not permitted."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def scan(folder: bytes, database: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    command: list[str | bytes] = [
        sys.executable, "-m", "tagger", "scan", folder, "--db", str(database), "--json",
        "--model", "cnn", "--workers", "2", "--timeout", "60", "--exclude", "/excluded/", *options,
    ]  # fmt: skip
    return subprocess.run(
        command, capture_output=True, check=False, timeout=300, preexec_fn=obey_permissions
    )


def states(folder: bytes, cases: list[Case]) -> dict[bytes, tuple[Any, ...]]:
    """Return what each regular file holds, and when it was changed."""
    found: dict[bytes, tuple[Any, ...]] = {}
    for case in cases:
        path = os.path.join(folder, case.name)
        if is_regular(path):
            state = os.lstat(path)
            digest = b""
            if state.st_size < BIG_BYTES:
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
            found[case.name] = (state.st_size, state.st_mtime_ns, state.st_mode, digest)
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    outside = tmp_path_factory.mktemp("outside") / "outside.wav"
    outside.write_bytes(sound("wav", 4.0))
    folder = os.fsencode(tmp_path_factory.mktemp("hostile"))
    cases = all_cases(os.fsencode(outside))
    build(folder, cases)
    before = states(folder, cases)
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(IN_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(outside.parent), IN_OPEN | IN_ACCESS) > 0
    database = tmp_path_factory.mktemp("db") / "hostile.db"
    run = scan(folder, database)
    try:
        opened = os.read(watch, 4_096)
    except BlockingIOError:
        opened = b""
    os.close(watch)
    account = json.loads(run.stdout)
    yield Hostile(folder, cases, database, before, account, run, opened)
    for case in cases:  # so that pytest can remove it
        if not os.path.islink(path := os.path.join(folder, case.name)):
            os.chmod(path, 0o700)


def stored(database: Path, folder: bytes) -> dict[bytes, tuple[str, str | None]]:
    connection = sqlite3.connect(database)
    rows = connection.execute("select path, status, reason from files").fetchall()
    connection.close()
    return {path[len(folder) + 1 :]: (status, reason) for path, status, reason in rows}


def test_every_case_has_its_status_and_its_reason(hostile: Hostile) -> None:
    assert len(hostile.cases) >= 150
    expected = {case.name: (case.status, case.reason) for case in hostile.cases if case.status}
    assert stored(hostile.database, hostile.folder) == expected


def test_the_account_adds_up_and_says_that_some_failed(hostile: Hostile) -> None:
    account = hostile.account
    parts = ("classified", "unchanged", "moved", "skipped", "failed")
    assert account["found"] == sum(account[part] for part in parts)
    assert account["found"] == sum(case.status is not None for case in hostile.cases)
    for status in ("classified", "skipped", "failed"):
        assert account[status] == sum(case.status == status for case in hostile.cases)
    assert sum(account["reasons"].values()) == account["skipped"] + account["failed"]
    assert account["not_audio"] == 3  # the picture, the notes and .taggerignore
    assert hostile.run.returncode == 1


def test_no_file_was_changed_and_none_outside_was_opened(hostile: Hostile) -> None:
    assert states(hostile.folder, hostile.cases) == hostile.before
    events = (
        [struct.unpack_from("iIII", hostile.opened_outside, 0)] if hostile.opened_outside else []
    )
    assert events == []


def test_nothing_that_acts_on_a_terminal_is_printed(hostile: Hostile) -> None:
    printed = hostile.run.stdout + hostile.run.stderr
    assert not set(printed) & ({*range(0x20), 0x7F} - {0x0A, 0x0D})
    assert b"Traceback" not in printed
    text = printed.decode("utf-8")
    assert "\\x1b[2J\\x1b]0;gone\\x07.mp3" in text
    assert not any(sign in text for sign in "\u202e\u2028\x9b")


def test_failures_are_remembered_and_retried_when_asked(hostile: Hostile) -> None:
    again = json.loads(scan(hostile.folder, hostile.database).stdout)
    was = hostile.account
    assert [again[part] for part in ("classified", "unchanged", "skipped", "failed")] == [
        0, was["classified"], was["skipped"], was["failed"],
    ]  # fmt: skip
    assert again["reasons"] == was["reasons"]
    retried = json.loads(scan(hostile.folder, hostile.database, "--retry-failed").stdout)
    assert (retried["found"], retried["failed"]) == (was["found"], was["failed"])
    assert again["seconds"] < retried["seconds"]
