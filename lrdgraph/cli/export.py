"""``lrdgraph export``: relations of a run as triples, in a file of any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrdgraph.cli.console import say
from lrdgraph.cli.item_file import ids_in
from lrdgraph.errors import ConfigError

if TYPE_CHECKING:
    from lrdgraph.experiment import Run


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, or the folder of format neo4j.")],
    format: Annotated[
        str | None,
        typer.Option(
            help="triples (TSV), parquet, jsonl, neo4j, graphml, ntriples, nquads, turtle, trig or jsonld; by "
            "default what FILE ends in."
        ),
    ] = None,
    which: Annotated[str, typer.Option(help="Relations to write: discovered, predefined or all.")] = "discovered",
    threshold: Annotated[float, typer.Option(help="The smallest posterior that is written, in [0, 1].")] = 0.5,
    top_k: Annotated[int | None, typer.Option(help="At most so many tails for each head and relation.")] = None,
    relation: Annotated[
        list[str] | None, typer.Option(help="A relation to write, as latent_0 (repeatable); by default all.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write triples between these items alone: one id a line.")
    ] = None,
    symmetric_once: Annotated[
        bool, typer.Option("--symmetric-once", help="One of (i, j) and (j, i) for relations known to be symmetric.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Probabilities beside posteriors, by the calibration.json of quality."),
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="IRI", help="RDF: what all IRIs begin with.")] = None,
    language: Annotated[str | None, typer.Option(metavar="TAG", help="RDF: language of labels, as en.")] = None,
    confidence: Annotated[str | None, typer.Option(help="RDF: reification, triple-term, named-graph or none.")] = None,
) -> None:
    """Write relations as triples.

    Head, relation and tail by external ids, each with its posterior or weight, and where they come from. The tables
    loader and prepare --triples read them back.
    """
    from lrdgraph.export import exporter_for

    if to.is_dir() and format != "neo4j":
        raise ConfigError(f"{to} is a folder; name a file, as {to / 'relations.tsv'}.")
    name = exporter_for(to, format)
    from lrdgraph.experiment import load_run
    from lrdgraph.models.serving import weights_hash
    from lrdgraph.quality.calibration import load_calibrations

    run = load_run(folder)
    options: dict[str, Any] = {"which": which, "symmetric_once": symmetric_once}
    options |= {} if items is None else {"items": ids_in(items)}
    if calibration is not None:
        of = {"weights": weights_hash(run.model), "corpus": run.fingerprint}
        options["calibration"] = load_calibrations(calibration, **of)
    rdf = {"base": base, "language": language, "confidence": confidence}
    options |= {key: value for key, value in rdf.items() if value is not None}
    count = write_triples(run, to, threshold, top_k, relation, name, **options)
    say(f"{count:,} triples in {to}")


def write_triples(
    run: Run,
    to: Path,
    threshold: float = 0.5,
    top_k: int | None = None,
    names: list[str] | None = None,
    format: str = "triples",
    **options: Any,
) -> int:
    """Export triples of a run together with where they come from; returns their number.

    Raises:
        ConfigError: the format does not take an option, or as the format.
    """
    from lrdgraph.config import config_hash, to_dict
    from lrdgraph.export import export, takes

    settings = run.settings
    provenance = {
        "model": settings.model_name,
        "experiment": settings.name,
        "seed": settings.training.seed,
        "corpus": run.fingerprint,
        "settings": config_hash(to_dict(settings)),
    }
    for name, fitted in options.get("calibration", {}).items():
        provenance[f"probability of {name}"] = (
            f"that {fitted.relation} is recorded, among {fitted.negatives:g} random pairs for each that is"
        )
    for option in ("base", "language", "confidence"):
        if option in options and not takes(format, option):
            raise ConfigError(f"Format '{format}' takes no --{option}; write RDF, as FILE.ttl, or leave it out.")
    if takes(format, "titles"):
        options["titles"] = run.titles
    options |= {"threshold": threshold, "top_k": top_k, "relations": names or None}
    return export(format, run.model, to, provenance=provenance, **options)
