"""``lrdgraph index``: an index of a run's item vectors, for ``lrdgraph recommend --index``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lrdgraph.cli.console import say
from lrdgraph.cli.recommend import INDEX, seconds_of


class Kind(StrEnum):
    """How an index looks for items."""

    FLAT = "flat"
    IVF = "ivf"
    HNSW = "hnsw"


def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    kind: Annotated[
        Kind, typer.Option(help="flat compares with all items, ivf with some of many lists, hnsw walks a graph.")
    ] = Kind.FLAT,
    breadth: Annotated[
        int | None, typer.Option(help="How many lists or graph nodes a search looks at; more find more.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="The moment whose recent popularity it knows: seconds since 1970, or an ISO date (UTC); by default "
            "that after all training events.",
        ),
    ] = None,
) -> None:
    """Build an index of item vectors for serving.

    It is kept in DIR/index, and used by 'lrdgraph recommend DIR --index'. Build it anew after more training.
    """
    from lrdgraph.experiment import load_run
    from lrdgraph.models.serving import build_index

    moment = None if at is None else seconds_of(at, "--at")
    made = build_index(load_run(folder).model, kind.value, at=moment, breadth=breadth)
    made.save(folder / INDEX)
    say(f"{made!r}: {folder / INDEX}")
    say(f"next:       lrdgraph recommend {folder} --index --history ID,ID,…")
