"""Discovered relations as triples in a text table: head, relation, tail, posterior."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from lrdgraph import __version__
from lrdgraph.errors import ConfigError, DataError, UnknownIdError, nearest
from lrdgraph.export.registry import discovered, register_exporter
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.storage import atomic_file

ROWS_AT_ONCE = 100_000


@register_exporter("triples")
def export_triples(
    source: EnrichedGraph | object,
    path: Path | str,
    *,
    provenance: Mapping[str, object],
    threshold: float = 0.5,
    top_k: int | None = None,
    relations: Collection[str] | None = None,
) -> int:
    """Write discovered relations as tab-separated ``head relation tail posterior``.

    ``posterior`` is ``q(r | head, tail)`` of the discovery; it is not calibrated. Rows stand by relation, then head,
    the largest posterior first. Lines ``# key: value`` before the header say where they come from. The file depends on
    the arguments alone: the same model gives the same bytes. ``data_loaders.with_triples`` reads it back, as
    predefined relations whose weight is the posterior.

    Args:
        source: a model with discovered relations (one that has ``enriched()``), or an enriched graph.
        path: the file; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like; the version of lrdgraph, the threshold and the
            limit are added.
        threshold: the smallest posterior that is written.
        top_k: for each head and relation at most so many tails, those of the largest posterior; None for all.
        relations: names of the latent relations to write; None for all.

    Returns:
        The number of triples.

    Raises:
        ConfigError: a threshold outside [0, 1], ``top_k`` below 1, or a model without discovered relations.
        UnknownIdError: there is no latent relation of that name.
        DataError: an id, a name or a provenance entry holds a tab or a line break, which the format cannot carry, or a
            posterior is outside [0, 1].
    """
    if not 0 <= threshold <= 1 or (top_k is not None and top_k < 1):
        raise ConfigError(
            f"The threshold lies in [0, 1] and top_k is 1 or more; got threshold={threshold} and top_k={top_k}."
        )
    graph = discovered(source)
    chosen = _chosen(graph, relations)
    own = {"lrdgraph": __version__, "threshold": threshold, "top_k": "all" if top_k is None else top_k}
    lines = [f"# {_fits(key, 'key')}: {_fits(value, key)}\n" for key, value in {**provenance, **own}.items()]
    count = 0
    with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
        file.write("".join([*lines, "head\trelation\ttail\tposterior\n"]).encode())
        for block in _blocks(graph, chosen, threshold, top_k):
            block.write_csv(file, include_header=False, separator="\t", quote_style="never")
            count += block.height
    return count


def _chosen(graph: EnrichedGraph, relations: Collection[str] | None) -> list[int]:
    names = [relation.name for relation in graph.latent]
    for name in relations or ():
        if name not in names:
            hint = nearest(name, names) or f"; known are {', '.join(names)}"
            raise UnknownIdError(f"There is no discovered relation '{name}'{hint}.")
    return [k for k, name in enumerate(names) if relations is None or name in relations]


def _blocks(graph: EnrichedGraph, chosen: list[int], threshold: float, top_k: int | None) -> Iterator[pl.DataFrame]:
    head, tail = graph.latent_index.numpy()
    ids = graph.graph.items.series
    for k in chosen:
        posterior = graph.mixture[:, k].numpy()
        kept = np.flatnonzero(posterior >= threshold)
        kept = kept[np.lexsort((tail[kept], -posterior[kept], head[kept]))]
        if top_k is not None:
            rank = np.arange(len(kept)) - np.searchsorted(head[kept], head[kept])
            kept = kept[rank < top_k]
        if len(kept) and not 0 <= posterior[kept].min() <= posterior[kept].max() <= 1:
            raise DataError(f"A posterior of '{graph.latent[k].name}' is outside [0, 1]; make the mixture a share.")
        name = _fits(graph.latent[k].name, "relation name")
        for start in range(0, len(kept), ROWS_AT_ONCE):
            rows = kept[start : start + ROWS_AT_ONCE]
            ends = {"head": ids.gather(head[rows] - 1), "tail": ids.gather(tail[rows] - 1)}
            for column in ends.values():
                broken = column.filter(column.str.contains(r"[\t\r\n]"))
                if len(broken):
                    _fits(broken[0], "item id")
            yield pl.DataFrame(
                {
                    "head": ends["head"],
                    "relation": [name] * len(rows),
                    "tail": ends["tail"],
                    "posterior": posterior[rows],
                }
            )


def _fits(value: object, what: str) -> str:
    text = str(value)
    if any(mark in text for mark in "\t\r\n"):
        raise DataError(f"The {what} {text[:60]!r} holds a tab or a line break, which a text table cannot carry.")
    return text
