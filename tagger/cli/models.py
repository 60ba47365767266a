"""``tagger models``."""

from __future__ import annotations

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
    from tagger.model.bundle import DEFAULT_MODEL, bundled_names, find_bundle, load_bundle

    names = [name] if name else bundled_names()
    bundles = [load_bundle(find_bundle(wanted)) for wanted in names]
    if json_:
        print_json({bundle.name: bundle.card | {"model_id": bundle.model_id} for bundle in bundles})
        return
    for bundle in bundles:
        mark = " (default)" if bundle.name == DEFAULT_MODEL else ""
        typer.echo(f"{bundle.name}{mark}: {bundle.card.get('about', '')}")
        typer.echo(f"  {_accuracy(bundle.card)}")
        if name:
            _print_card(bundle.card | {"model_id": bundle.model_id})


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
