"""Triples in a text table: head, relation, tail, and the posterior or what else says how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import numpy as np

from lrdgraph.errors import DataError
from lrdgraph.export.registry import register_exporter
from lrdgraph.export.selection import Choice, Rows, Selection, select
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.storage import atomic_file


@register_exporter("triples", ".tsv")
def export_triples(
    source: EnrichedGraph | object, path: Path | str, *, provenance: Mapping[str, object], **choice: Unpack[Choice]
) -> int:
    """Write triples as tab-separated ``head relation tail posterior``.

    ``posterior`` is ``q(r | head, tail)`` of the discovery; it is not calibrated. Where predefined relations are
    exported too, or a calibration is given, there are further columns: ``kind`` of the relation, ``weight`` of what was
    recorded, ``probability`` where it is calibrated, and ``calibrated``, which says whether it is. Rows stand by
    relation, then head, the strongest first. Lines ``# key: value`` before the header say where they come from. The
    file depends on the arguments alone: the same model gives the same bytes. ``data_loaders.with_triples`` reads it
    back, as predefined relations whose weight is the posterior.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        path: the file; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like; the version of lrdgraph, the threshold and the
            limit are added.
        choice: what to export, as :func:`lrdgraph.export.selection.select` takes it: ``which``, ``threshold``,
            ``top_k``, ``relations``, ``items``, ``symmetric_once``, ``calibration``.

    Returns:
        The number of triples.

    Raises:
        ConfigError: a threshold outside [0, 1], ``top_k`` below 1, or a model without such relations.
        UnknownIdError: there is no relation or item of that name.
        DataError: an id, a name or a provenance entry holds a tab or a line break, which the format cannot carry, or a
            posterior is outside [0, 1].
    """
    chosen = select(source, **choice)
    lines = [f"# {_fits(key, 'key')}: {_fits(value, key)}\n" for key, value in chosen.provenance(provenance).items()]
    bare = set(chosen.measures) <= {"posterior", "calibrated"} and choice.get("which", "discovered") == "discovered"
    columns = ["head", "relation", "tail", *(["posterior"] if bare else ["kind", *chosen.measures])]
    broken = np.append(False, chosen.ids.str.contains(r"[\t\r\n]").to_numpy())
    count = 0
    with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
        file.write("".join([*lines, "\t".join(columns) + "\n"]).encode())
        for rows in chosen.blocks():
            _check(chosen, rows, broken)
            table = chosen.table(rows).select(columns)
            table.write_csv(file, include_header=False, separator="\t", quote_style="never")
            count += len(rows)
    return count


def _check(chosen: Selection, rows: Rows, broken: np.ndarray) -> None:
    _fits(rows.relation.name, "relation name")
    for ends in (rows.head, rows.tail):
        wrong = ends[broken[ends]]
        if len(wrong):
            _fits(chosen.ids[int(wrong[0]) - 1], "item id")


def _fits(value: object, what: str) -> str:
    text = str(value)
    if any(mark in text for mark in "\t\r\n"):
        raise DataError(f"The {what} {text[:60]!r} holds a tab or a line break, which a text table cannot carry.")
    return text
