"""A small collection to scan in this process, without workers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tagger.library import worker
from tagger.library.account import Account
from tagger.library.discover import WalkOptions
from tagger.library.scan import ScanOptions, scan
from tagger.library.store import Store
from tagger.model.bundle import Bundle, find_bundle, load_bundle
from tests.conftest import chord, write_wav


@lru_cache
def bundle() -> Bundle:
    return load_bundle(find_bundle("cnn"))


class InlineEngine:
    """Runs tasks one after the other in this process, and counts them."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.on_task: Callable[[str], None] = lambda path: None

    def run(
        self,
        function: Callable[..., Any],
        work: Iterable[tuple[Any, ...]],
        on_idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Any, Any]]:
        if worker._classifier is None:
            worker.load_worker(os.fspath(bundle().folder))
        for arguments in work:
            self.heard.append(Path(arguments[0]).name)
            self.on_task(arguments[0])
            on_idle()
            yield arguments, function(*arguments)


class Collection:
    """A folder of music and its database."""

    def __init__(self, folder: Path) -> None:
        self.music, self.database = folder / "music", folder / "library.db"
        self.music.mkdir()
        self.engine = InlineEngine()

    def add(self, name: str, pitch_hz: float = 220.0, seconds: float = 3.0) -> Path:
        path = self.music / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_wav(path, chord(seconds, pitch_hz=pitch_hz))

    def copy(self, source: Path, name: str) -> Path:
        path = self.music / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, path)
        return path

    def scan(self, *paths: Path, **options: Any) -> Account:
        """Scan with ``ScanOptions``; ``exclude`` and ``follow_links`` are ``WalkOptions``."""
        walk = WalkOptions(options.pop("exclude", ()), options.pop("follow_links", False))
        self.engine.heard.clear()
        with Store(self.database) as store:
            return scan(
                [os.fspath(path) for path in paths or (self.music,)],
                store,
                options.pop("bundle", bundle()),
                self.engine,
                ScanOptions(**options, walk=walk),
            )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the stored rows by path below the folder of music."""
        with Store(self.database) as store:
            prefix = os.fsencode(self.music) + b"/"
            return {os.fsdecode(row["path"].removeprefix(prefix)): row for row in store.rows()}


def counts(account: Account, **expected: int) -> None:
    """Assert what an account says; what is not named must be zero."""
    assert {name: n for name, n in account.counts().items() if n and name != "found"} == expected
    assert account.found == sum(expected.values())
