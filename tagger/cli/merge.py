"""``tagger merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagger.cli.options import JsonOption, print_json
from tagger.cli.terminal import progress_bar


def merge(
    databases: Annotated[list[Path], typer.Argument(metavar="DB...", help="Results databases.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The database to make.")
    ],
    json_: JsonOption = False,
) -> None:
    """Make one results database of several; they stay as they are.

    Of a file that is in several, the newest result counts. Nothing else is left out: predictions
    by other models, scans and what write-tags wrote come along from all.
    """
    from tagger.library.merge import merge as run_merge

    with progress_bar(len(databases), "merge", "database") as bar:
        merged = run_merge(databases, output, lambda source: bar.update(str(source)))
    if json_:
        sources = {
            str(source): {
                "added": merged.added[source],
                "newer": merged.newer[source],
                "older": merged.older[source],
            }
            for source in merged.added
        }
        counts = {name: getattr(merged, name) for name in ("files", "predictions", "tag_writes")}
        print_json({**counts, "sources": sources, "database": str(output)})
        return
    for source in merged.added:
        typer.echo(
            f"{source}: {merged.added[source]:,} files added, {merged.newer[source]:,} with a"
            f" newer result, {merged.older[source]:,} with an older one"
        )
    typer.echo(
        f"{output}: {merged.files:,} files, {merged.predictions:,} predictions,"
        f" {merged.tag_writes:,} tag writes"
    )
