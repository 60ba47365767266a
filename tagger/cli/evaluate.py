"""``tagger evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tagger.cli.options import (
    JsonOption,
    ModelOption,
    WorkersOption,
    print_json,
)
from tagger.cli.terminal import progress_bar


def evaluate(
    data: Annotated[Path, typer.Argument(help="A folder per genre, or a feature archive.")],
    model: ModelOption = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only the archive's tracks so marked, such as valid."),
    ] = None,
    workers: WorkersOption = None,
    json_: JsonOption = False,
) -> None:
    """Measure a model on labelled tracks."""
    from tagger.model.bundle import DEFAULT_MODEL, find_bundle, load_bundle
    from tagger.training.evaluate import metrics

    bundle = load_bundle(find_bundle(model or DEFAULT_MODEL))
    heard = (
        _hear_folder(bundle, data, workers, split)
        if data.is_dir()
        else _hear_archive(bundle, data, split)
    )
    measured = metrics(heard, bundle.genres) | {"model": bundle.model_id, "split": split or "all"}
    if json_:
        print_json(measured)
        return
    typer.echo(f"{measured['tracks']} tracks ({measured['split']}), model {bundle.model_id}")
    typer.echo(f"track accuracy    {measured['accuracy']:.1%}")
    typer.echo(f"slice accuracy    {measured['slice_accuracy']:.1%}")
    typer.echo(f"calibration error {measured['ece']:.3f}")
    typer.echo(f"\n{'genre':<12}{'tracks':>7}{'precision':>11}{'recall':>8}{'f1':>7}")
    for genre, row in measured["per_genre"].items():
        typer.echo(
            f"{genre:<12}{row['tracks']:>7}{row['precision']:>11.1%}{row['recall']:>8.1%}"
            f"{row['f1']:>7.2f}"
        )
    typer.echo(f"\n{'confidence':<12}{'called':>7}{'right':>11}")
    for threshold, row in measured["thresholds"].items():
        right = "-" if row["precision"] is None else f"{row['precision']:.1%}"
        typer.echo(f">= {threshold:<9}{row['called']:>7.0%}{right:>11}")


def _hear_archive(bundle: Any, path: Path, split: str | None) -> Any:
    from tagger.errors import DatasetError
    from tagger.training.archive import load_archive
    from tagger.training.evaluate import hear_archive

    archive = load_archive(path)
    if split is not None:
        known = ", ".join(sorted({name for name in map(str, archive.split) if name})) or "none"
        archive = archive.select(archive.split == split)
        if not len(archive):
            raise DatasetError(f"{path} has no tracks of split {split!r}; it has: {known}")
    return hear_archive(bundle, archive)


def _hear_folder(bundle: Any, folder: Path, workers: int | None, split: str | None) -> Any:
    from tagger.engines.processes import available_cores
    from tagger.errors import DatasetError
    from tagger.training.evaluate import hear_clips
    from tagger.training.gtzan import list_clips

    if split is not None:
        raise DatasetError("--split chooses among an archive's tracks; a folder has no splits")
    clips = list_clips(folder)
    with progress_bar(len(clips), "evaluate") as bar:
        heard, unreadable = hear_clips(bundle, clips, workers or available_cores(), bar.counting)
    for path, reason in unreadable.items():
        typer.echo(f"passed over {path}: {reason}", err=True)
    return heard
