"""``tagger train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tagger.cli.features import HopOption, hear_folder
from tagger.cli.options import WorkersOption
from tagger.sound import HOP_LENGTHS

ListOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Tracks of this part of --split given, one per line."),
]


def train(
    data: Annotated[Path, typer.Argument(help="A folder per genre, or a feature archive.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The bundle.")],
    arch: Annotated[
        str | None, typer.Option(metavar="NAME", help="The network: musicnn, cnn, lstm, mlp.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is held out: slices (the article's, leaky), tracks, artists, given."
            " [default: given where the data has it, else tracks]",
        ),
    ] = None,
    artists: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lines `track ::: artist`, for --split artists."),
    ] = None,
    train_list: ListOption = None,
    valid_list: ListOption = None,
    test_list: ListOption = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Hold out N parts in turn; then learn from all."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="[default: the network's own]")] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Stop after N epochs without improvement."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same network.")] = 0,
    resume: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="Train on from this bundle.")
    ] = None,
    hop: HopOption = HOP_LENGTHS[0],
    workers: WorkersOption = None,
) -> None:
    """Train a network and write a model bundle with its measured accuracy."""
    from tagger.model.architectures import DEFAULT_ARCHITECTURE, find_architecture
    from tagger.model.bundle import find_bundle
    from tagger.training.archive import load_archive
    from tagger.training.build import Plan, train_bundle
    from tagger.training.fit import require_training
    from tagger.training.gtzan import read_artists

    with _native_logs_off():
        require_training()
    find_architecture(arch or DEFAULT_ARCHITECTURE)
    archive = hear_folder(data, hop, workers) if data.is_dir() else load_archive(data)
    archive = _with_lists(archive, train_list, valid_list, test_list)
    plan = Plan(
        architecture=arch or DEFAULT_ARCHITECTURE,
        split=split or ("given" if "train" in archive.split else "tracks"),
        seed=seed,
        folds=folds,
        epochs=epochs,
        patience=patience,
        artists=read_artists(artists) if artists else None,
        resume=find_bundle(resume) if resume else None,
    )
    with _native_logs_off():
        bundle, metrics = train_bundle(
            archive, output, plan, data_name=data.resolve().name, on_epoch=_print_epoch
        )
    typer.echo(f"held out: {metrics['held_out']} ({metrics['tracks']} tracks)")
    typer.echo(f"slice accuracy {metrics['slice_accuracy']:.1%}")
    typer.echo(f"track accuracy {metrics['accuracy']:.1%}")
    typer.echo(f"calibration error {metrics['ece']:.3f}")
    typer.echo(f"{bundle.model_id} written to {output}")


@contextmanager
def _native_logs_off() -> Iterator[None]:
    """Keep what TensorFlow's C++ code logs off the terminal; Python's stderr stays."""
    from tagger.model.native import native_stderr_off

    python_stderr = sys.stderr
    with os.fdopen(os.dup(2), "w") as kept:
        if sys.stderr is sys.__stderr__:
            sys.stderr = kept
        try:
            with native_stderr_off():
                yield
        finally:
            sys.stderr = python_stderr


def _with_lists(archive: Any, *lists: Path | None) -> Any:
    """Mark an archive's tracks by the list files that were given for train, valid and test."""
    from dataclasses import replace

    from tagger.training.gtzan import read_track_list

    split = archive.split
    for part, path in zip(("train", "valid", "test"), lists, strict=True):
        if path is not None:
            named = read_track_list(path)
            split = [
                part if track in named else old
                for track, old in zip(archive.track, split, strict=True)
            ]
    import numpy as np

    return replace(archive, split=np.array(split, dtype=np.str_))


def _print_epoch(epoch: int, epochs: int, logs: dict[str, float]) -> None:
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in logs.items())
    typer.echo(f"epoch {epoch}/{epochs}: {shown}", err=True)
