"""Triples as Parquet and as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Unpack

import polars as pl
from polars.io.plugins import register_io_source

from lrdgraph.export.registry import register_exporter
from lrdgraph.export.selection import Choice, select
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.storage import atomic_file


@register_exporter("parquet", ".parquet")
def export_parquet(
    source: EnrichedGraph | object, path: Path | str, *, provenance: Mapping[str, object], **choice: Unpack[Choice]
) -> int:
    """Write triples as Parquet: ``head``, ``relation``, ``tail``, ``kind``, and the numbers that there are.

    ``weight`` belongs to predefined relations, ``posterior`` to discovered ones; ``probability`` stands beside it where
    ``calibrated`` is true. A cell of which its row has nothing is null. The provenance is the entry ``lrdgraph`` of
    the file's metadata (``polars.read_parquet_metadata``), as JSON.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        path: the file; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like.
        choice: what to export, as :func:`lrdgraph.export.selection.select` takes it.

    Returns:
        The number of triples.

    Raises:
        ConfigError, UnknownIdError, DataError: as :func:`lrdgraph.export.selection.select`.
    """
    chosen = select(source, **choice)
    schema = {**dict.fromkeys(("head", "relation", "tail", "kind"), pl.String), **chosen.measures}
    told = json.dumps(chosen.provenance(provenance), ensure_ascii=False, default=str)
    count = 0

    def tables(*pushed_down: object) -> Iterator[pl.DataFrame]:
        nonlocal count
        for rows in chosen.blocks():
            count += len(rows)
            yield chosen.table(rows)

    with atomic_file(Path(path)) as temporary:
        register_io_source(tables, schema=schema).sink_parquet(temporary, metadata={"lrdgraph": told})
    return count


@register_exporter("jsonl", ".jsonl", ".ndjson")
def export_json_lines(
    source: EnrichedGraph | object, path: Path | str, *, provenance: Mapping[str, object], **choice: Unpack[Choice]
) -> int:
    """Write triples as JSON Lines, one object a line with the columns of :func:`export_parquet`.

    The first line has the ``provenance`` besides: an object that the other lines lack.

    Args:
        source, path, provenance, choice: as :func:`export_parquet`.

    Returns:
        The number of triples.

    Raises:
        ConfigError, UnknownIdError, DataError: as :func:`lrdgraph.export.selection.select`.
    """
    chosen = select(source, **choice)
    told = json.dumps(chosen.provenance(provenance), ensure_ascii=False, default=str)
    count = 0
    with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
        for rows in chosen.blocks():
            lines = chosen.table(rows).write_ndjson().encode()
            if not count:
                first, _, rest = lines.partition(b"\n")
                lines = first[:-1] + f',"provenance":{told}}}\n'.encode() + rest
            file.write(lines)
            count += len(rows)
    return count
