"""``tagger features``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tagger.cli.options import WorkersOption
from tagger.cli.terminal import progress_bar
from tagger.sound import HOP_LENGTHS

HopOption = Annotated[
    int,
    typer.Option(
        "--hop",
        help=f"Samples between frames: {' or '.join(map(str, HOP_LENGTHS))} (the article's).",
    ),
]


def features(
    folder: Annotated[Path, typer.Argument(help="A folder per genre with audio files in it.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.npz")],
    hop: HopOption = HOP_LENGTHS[0],
    workers: WorkersOption = None,
) -> None:
    """Hear a data set once and keep its features, for training and evaluation."""
    from tagger.training.archive import save_archive

    archive = hear_folder(folder, hop, workers)
    save_archive(archive, output)
    typer.echo(f"{len(archive)} tracks written to {output}")


def hear_folder(folder: Path, hop: int, workers: int | None) -> Any:
    """Return the archive of a folder per genre, naming on stderr what could not be heard."""
    from tagger.engines.processes import available_cores
    from tagger.training.gtzan import extract, list_clips

    clips = list_clips(folder)
    with progress_bar(len(clips), "features") as bar:
        archive, unreadable = extract(
            clips, hop_length=hop, workers=workers or available_cores(), progress=bar.counting
        )
    for path, reason in unreadable.items():
        typer.echo(f"passed over {path}: {reason}", err=True)
    return archive
