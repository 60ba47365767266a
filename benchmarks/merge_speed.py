"""How long merging databases takes: two shards that share a tenth of their files.

python -m benchmarks.merge_speed [FILES]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cluster_overhead import stub
from tagger.library.merge import merge
from tagger.library.store import Store


def fill(path: Path, numbers: range) -> None:
    """Make a shard."""
    with Store(path) as store:
        store.add_model("stub", "stub", [], "{}")
        with store.transaction():
            for number in numbers:
                store.add_result(stub(number), "stub", 1)


def main(files: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        shards = [Path(folder) / "a.db", Path(folder) / "b.db"]
        fill(shards[0], range(files))
        fill(shards[1], range(files * 9 // 10, files * 19 // 10))
        began = time.perf_counter()
        merged = merge(shards, Path(folder) / "all.db")
        seconds = time.perf_counter() - began
        size = (Path(folder) / "all.db").stat().st_size
        print(
            f"two times {files:,} files merged into {merged.files:,} in {seconds:.1f} s:"
            f" {2 * files / seconds:,.0f} files/s; {size / merged.files:.0f} bytes a file"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
