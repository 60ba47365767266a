"""``tagger inspect``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagger.cli.options import ModelOption
from tagger.errors import AudioError, OptionError
from tagger.genres import MIN_CONFIDENCE, tag_name

if TYPE_CHECKING:
    from tagger.library.classify import TrackResult
    from tagger.model.bundle import Bundle

PICTURE_SUFFIXES = (".png", ".svg")


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An audio file.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A .png or .svg. [default: FILE's name and .inspect.png, in this folder]",
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Show the genres here, draw nothing.")
    ] = False,
    model: ModelOption = None,
) -> None:
    """Draw a track as the model hears it: waveform, spectrograms, MFCC, genre over time."""
    from tagger.library.classify import classify_file
    from tagger.library.store import display_path, display_text
    from tagger.model.bundle import DEFAULT_MODEL, find_bundle, load_bundle
    from tagger.model.classifier import Classifier

    picture = output or Path(f"{os.path.basename(file)}.inspect.png")  # noqa: PTH119
    if not text and picture.suffix not in PICTURE_SUFFIXES:
        raise OptionError(f"{display_path(str(picture))}: a picture ends in .png or .svg")
    bundle = load_bundle(find_bundle(model or DEFAULT_MODEL))
    result = classify_file(file, Classifier(bundle), bundle.slice_count)
    if result.status != "classified":
        raise AudioError(f"{display_path(file)}: {display_text(result.reason or result.status)}")
    if text:
        _print_text(result, bundle)
        return
    _draw(result, bundle, picture)
    typer.echo(f"{display_path(str(picture))}: {_verdict(result)}")


def _verdict(result: TrackResult) -> str:
    """Return what was heard, in a few words; below the threshold, that it is not sure."""
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
    named = [f"{tag_name(genre)} {share:.0%}" for genre, share in ranked[:3]]
    if ranked[0][1] >= MIN_CONFIDENCE:
        return named[0]
    return f"not sure: {', '.join(named)}"


def _draw(result: TrackResult, bundle: Bundle, picture: Path) -> None:
    import numpy as np

    from tagger.library.store import display_path
    from tagger.pictures import HeardSlices, track_pictures
    from tagger.sound.whole import view_track

    slices = np.frombuffer(result.slice_probabilities, np.uint8)
    heard = HeardSlices(
        bundle.genres,
        np.array([result.probabilities[genre] for genre in bundle.genres]),
        np.array(result.slice_seconds),
        bundle.features.slice_samples / bundle.features.sample_rate_hz,
        slices.reshape(-1, len(bundle.genres)) / 255,
    )
    title = f"{display_path(os.path.basename(result.path))}: {_verdict(result)}"  # noqa: PTH119
    try:
        track_pictures(view_track(result.path), heard, title, picture)
    except OSError as error:
        raise OptionError(
            f"{display_path(str(picture))} can't be written: {error.strerror}"
        ) from error


def _print_text(result: TrackResult, bundle: Bundle) -> None:
    """Print a bar per genre, and the likeliest genre of each slice."""
    from tagger.cli.terminal import print_shares
    from tagger.library.store import display_path, display_text

    facts = [
        _clock(result.duration_seconds or 0.0),
        f"{result.codec}, {result.sample_rate_hz:,} Hz, {_channels(result.channels)}",
    ]
    facts += [f"{result.artist or '?'} - {result.title}"] if result.title else []
    facts += [f"tagged {result.existing_genre}"] if result.existing_genre else []
    typer.echo(display_path(result.path))
    typer.echo(display_text("; ".join(facts)))
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
    print_shares(_verdict(result), [(tag_name(genre), share) for genre, share in ranked])
    n_genres = len(bundle.genres)
    over_time = []
    for number, start in enumerate(result.slice_seconds):
        values = result.slice_probabilities[number * n_genres : (number + 1) * n_genres]
        best = max(range(n_genres), key=values.__getitem__)
        over_time.append((f"{_clock(start)}  {tag_name(bundle.genres[best])}", values[best] / 255))
    print_shares("Over time (each slice by itself, before calibration)", over_time)


def _channels(count: int | None) -> str:
    return {1: "mono", 2: "stereo"}.get(count or 0, f"{count} channels")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
