"""Triples as GraphML (Brandes et al., 2002, http://graphml.graphdrawing.org), for NetworkX, Gephi, yEd and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Unpack
from xml.sax.saxutils import quoteattr

import numpy as np
import polars as pl

from lrdgraph.errors import DataError
from lrdgraph.export.registry import register_exporter
from lrdgraph.export.selection import Choice, Selection, select, titled
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.storage import atomic_file

TYPES = {"weight": "double", "posterior": "double", "probability": "double", "calibrated": "boolean"}
NODES_AT_ONCE = 100_000
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"


@register_exporter("graphml", ".graphml")
def export_graphml(
    source: EnrichedGraph | object,
    path: Path | str,
    *,
    provenance: Mapping[str, object],
    titles: Sequence[str] | None = None,
    **choice: Unpack[Choice],
) -> int:
    """Write a directed GraphML graph.

    A node is ``n`` and its number in the graph, with ``id``, ``kind`` (item or attribute) and ``label``, its title or,
    without one, its id; only nodes that a triple touches are written. An edge has ``relation``, ``label``, ``kind`` and
    the numbers that there are. The provenance is data of the graph.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        path: the file; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like.
        titles: one for each item, in their order.
        choice: what to export, as :func:`lrdgraph.export.selection.select` takes it.

    Returns:
        The number of triples.

    Raises:
        ConfigError, UnknownIdError, DataError: as :func:`lrdgraph.export.selection.select`; titles do not fit; a text
            holds a control character, which XML cannot carry.
    """
    chosen = select(source, **choice)
    labels = titled(chosen.graph, titles)
    told = {key: str(value) for key, value in chosen.provenance(provenance).items()}
    keys = [("graph", f"p{n}", key, "string") for n, key in enumerate(told)]
    keys += [("node", name, name, "string") for name in ("id", "kind", "label")]
    keys += [("edge", f"e_{name}", name, "string") for name in ("relation", "label", "kind")]
    keys += [("edge", f"e_{name}", name, TYPES[name]) for name in chosen.measures]
    count = 0
    with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
        _line(file, '<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">')
        for domain, identity, name, kind in keys:
            attributes = f'attr.name={quoteattr(name)} attr.type="{kind}"'
            _line(file, f'<key id="{identity}" for="{domain}" {attributes}/>')
        _line(file, '<graph edgedefault="directed">')
        for n, value in enumerate(told.values()):
            _line(file, f'<data key="p{n}">{_text(value)}</data>')
        _write_nodes(file, chosen, labels)
        for rows in chosen.blocks():
            relation = rows.relation
            told_of = {"relation": relation.name, "label": relation.label, "kind": relation.kind}
            constant = "".join(f'<data key="e_{key}">{_text(value)}</data>' for key, value in told_of.items())
            ends = pl.DataFrame({"head": rows.head, "tail": rows.tail, **chosen.numbers(rows)})
            numbers = [
                pl.format('<data key="e_{}">{}</data>', pl.lit(name), name).fill_null("") for name in chosen.measures
            ]
            opened = pl.format('<edge source="n{}" target="n{}">{}', "head", "tail", pl.lit(constant))
            _lines(file, ends.select(pl.concat_str([opened, *numbers, pl.lit("</edge>")])))
            count += len(rows)
        _line(file, "</graph>", "</graphml>")
    return count


def _write_nodes(file: IO[bytes], chosen: Selection, labels: pl.Series) -> None:
    touched = np.zeros(chosen.graph.num_rows, dtype=bool)
    for rows in chosen.blocks():
        touched[rows.head] = touched[rows.tail] = True
    every = np.flatnonzero(touched)
    for start in range(0, len(every), NODES_AT_ONCE):
        nodes = every[start : start + NODES_AT_ONCE]
        table = pl.DataFrame({"n": nodes, "id": chosen.ids.gather(nodes - 1), "label": labels.gather(nodes - 1)})
        label = pl.when(pl.col("label") == "").then("id").otherwise("label")
        kind = pl.when(pl.col("n") <= chosen.graph.num_items).then(pl.lit("item")).otherwise(pl.lit("attribute"))
        table = table.select("n", id=_escaped(table["id"]), kind=kind, label=_escaped(table.select(label).to_series()))
        parts = [f'<data key="{name}">{{}}</data>' for name in ("id", "kind", "label")]
        _lines(
            file, table.select(pl.format('<node id="n{}">' + "".join(parts) + "</node>", "n", "id", "kind", "label"))
        )


def _escaped(texts: pl.Series) -> pl.Series:
    wrong = texts.filter(texts.str.contains(_FORBIDDEN))
    if len(wrong):
        raise DataError(
            f"The text {str(wrong[0])[:60]!r} holds a character that XML cannot carry; choose another format."
        )
    return texts.str.replace_many(_ESCAPES)


def _text(value: str) -> str:
    return str(_escaped(pl.Series([value]))[0])


def _line(file: IO[bytes], *lines: str) -> None:
    file.write("".join(f"{line}\n" for line in lines).encode())


def _lines(file: IO[bytes], lines: pl.DataFrame) -> None:
    lines.write_csv(file, include_header=False, quote_style="never")
