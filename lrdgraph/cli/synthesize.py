"""``lrdgraph synthesize``: a made-up shop of any size, whose relations are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrdgraph.cli.console import say


def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder for the tables; read them as any others.")],
    items: Annotated[int, typer.Option(help="Number of items, a multiple of 8.")] = 100_000,
    interactions_per_item: Annotated[int, typer.Option(help="Interactions for each item, on average.")] = 10,
    events_per_user: Annotated[float, typer.Option(help="Interactions of each user, on average.")] = 10.0,
    follow: Annotated[float, typer.Option(help="Share of transitions along a planted relation.")] = 0.5,
    relations: Annotated[int, typer.Option(help="Planted relations, 7 at most.")] = 4,
    recorded: Annotated[int, typer.Option(help="How many of them are written down as triples.")] = 1,
    zipf: Annotated[float, typer.Option(help="Exponent of popularity.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of all chance: the same seed gives the same files.")] = 0,
) -> None:
    """Make up a shop with known relations.

    Writes tables of interactions, items and triples, which prepare reads, and planted.parquet: all that is to be found.
    """
    from lrdgraph.synthetic import SyntheticSettings
    from lrdgraph.synthetic import synthesize as write

    settings = SyntheticSettings(
        items=items,
        interactions_per_item=interactions_per_item,
        events_per_user=events_per_user,
        follow=follow,
        relations=relations,
        recorded=recorded,
        zipf=zipf,
        seed=seed,
    )
    about = write(out, settings)
    say(f"{about['users']:,} users, {items:,} items, {settings.interactions:,} interactions in {out}")
    planted = ", ".join(settings.names)
    say(f"planted relations, {items:,} triples each: {planted} (recorded: {recorded}; all in planted.parquet)")
