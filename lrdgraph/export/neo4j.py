"""A folder of CSV files for ``neo4j-admin database import`` (Neo4j operations manual, "Import")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import polars as pl

from lrdgraph.export.registry import register_exporter
from lrdgraph.export.selection import Choice, select, titled
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.relations import RelationVocabulary
from lrdgraph.storage import atomic_folder, check_replaceable, write_json

TYPES = {"weight": "float", "posterior": "float", "probability": "float", "calibrated": "boolean"}


@register_exporter("neo4j")
def export_neo4j(
    source: EnrichedGraph | object,
    path: Path | str,
    *,
    provenance: Mapping[str, object],
    titles: Sequence[str] | None = None,
    **choice: Unpack[Choice],
) -> int:
    """Write ``nodes.csv``, ``relationships.csv`` and ``about.json`` to a folder.

    Nodes are those that a triple touches, labelled ``Item`` or ``Attribute``, with the properties ``id`` and ``title``;
    ``:ID`` is a number of the file's own. The name of a relation is the type. ``about.json`` holds provenance and the
    relation vocabulary. Ids may hold line breaks, which Neo4j reads with ``--multiline-fields=true``.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        path: the folder; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like.
        titles: one for each item, in their order.
        choice: what to export, as :func:`lrdgraph.export.selection.select` takes it.

    Returns:
        The number of triples.

    Raises:
        ConfigError: ``path`` is a file, or a folder of other files; or as :func:`lrdgraph.export.selection.select`.
        UnknownIdError, DataError: as there; titles do not fit.
    """
    check_replaceable(Path(path), "relationships.csv", "an export for Neo4j")
    chosen = select(source, **choice)
    labels = titled(chosen.graph, titles)
    touched = np.zeros(chosen.graph.num_rows, dtype=bool)
    columns = [f"{name}:{TYPES[name]}" for name in chosen.measures]
    count = 0
    with atomic_folder(Path(path)) as folder:
        with (folder / "relationships.csv").open("wb") as file:
            file.write((",".join([":START_ID", ":END_ID", ":TYPE", "kind", *columns]) + "\n").encode())
            for rows in chosen.blocks():
                touched[rows.head] = touched[rows.tail] = True
                ends = pl.DataFrame({"head": rows.head, "tail": rows.tail})
                words = (pl.lit(rows.relation.name).alias("type"), pl.lit(rows.relation.kind).alias("kind"))
                numbers = chosen.numbers(rows).values()
                ends.with_columns(*words, *numbers).write_csv(file, include_header=False)
                count += len(rows)
        nodes = np.flatnonzero(touched)
        table = pl.DataFrame(
            {
                ":ID": nodes,
                "id": chosen.ids.gather(nodes - 1),
                "title": labels.gather(nodes - 1),
                ":LABEL": np.where(nodes <= chosen.graph.num_items, "Item", "Attribute"),
            }
        )
        table.write_csv(folder / "nodes.csv")
        relations = RelationVocabulary(chosen.relations).to_json()
        told = {key: str(value) for key, value in chosen.provenance(provenance).items()}
        write_json(folder / "about.json", {"provenance": told, "relations": relations})
    return count
