"""``tagger models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tagger.cli.options import JsonOption, print_json


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME|DIR]", help="Show this model's whole card.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """List the models that come with tagger, or show one's model card."""
    from tagger.model.bundle import DEFAULT_MODEL, bundled_names, find_bundle

    names = [name] if name else bundled_names()
    cards = [_card(find_bundle(wanted)) for wanted in names]
    if json_:
        print_json({card["name"]: card for card in cards})
        return
    for card in cards:
        mark = " (default)" if card["name"] == DEFAULT_MODEL else ""
        typer.echo(f"{card['name']}{mark}: {card.get('about', '')}")
        typer.echo(f"  {_accuracy(card)}")
        if name:
            _print_card(card)


def _card(folder: Path) -> dict[str, Any]:
    """Return a model's card and id; a start for training has no id."""
    from tagger.model.bundle import load_bundle, load_start, read_card

    card = read_card(folder)
    if "genres" not in card:
        load_start(folder)  # checks it
        return card
    return card | {"model_id": load_bundle(folder).model_id}


def _accuracy(card: dict[str, Any]) -> str:
    accuracy = card.get("accuracy")
    if not accuracy:
        return "not a genre model: a start for training"
    return (
        f"right on {accuracy['accuracy']:.1%} of {accuracy['tracks']} tracks"
        f" ({accuracy['slice_accuracy']:.1%} of slices); held out: {accuracy['held_out']}"
    )


def _print_card(card: dict[str, Any], indent: str = "  ") -> None:
    for key, value in card.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{key}:")
            _print_card(value, indent + "  ")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            typer.echo(f"{indent}{key}: {shown}")
