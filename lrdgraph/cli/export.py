"""``lrdgraph export``: discovered relations as triples in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrdgraph.cli.console import say
from lrdgraph.errors import ConfigError

if TYPE_CHECKING:
    from lrdgraph.experiment import Run


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    to: Annotated[Path, typer.Option(metavar="FILE.tsv", help="The file to write.")],
    threshold: Annotated[float, typer.Option(help="The smallest posterior that is written, in [0, 1].")] = 0.5,
    top_k: Annotated[int | None, typer.Option(help="At most so many tails for each head and relation.")] = None,
    relation: Annotated[
        list[str] | None, typer.Option(help="A relation to write, as latent_0 (repeatable); by default all.")
    ] = None,
) -> None:
    """Write discovered relations as triples.

    Columns head, relation, tail and posterior, by external ids; the tables loader reads them back.
    """
    if to.is_dir():
        raise ConfigError(f"{to} is a folder; name a file, as {to / 'relations.tsv'}.")
    from lrdgraph.experiment import load_run

    count = write_triples(load_run(folder), to, threshold, top_k, relation)
    say(f"{count:,} triples in {to}")


def write_triples(
    run: Run, to: Path, threshold: float = 0.5, top_k: int | None = None, names: list[str] | None = None
) -> int:
    """Export the triples of a run together with where they come from; returns their number."""
    from lrdgraph.config import config_hash, to_dict
    from lrdgraph.export import export_triples

    settings = run.settings
    provenance = {
        "model": settings.model_name,
        "experiment": settings.name,
        "seed": settings.training.seed,
        "corpus": run.fingerprint,
        "settings": config_hash(to_dict(settings)),
    }
    return export_triples(
        run.model, to, provenance=provenance, threshold=threshold, top_k=top_k, relations=names or None
    )
