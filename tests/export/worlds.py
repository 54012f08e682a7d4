"""Enriched graphs whose posterior is given number by number, and a file of each export format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from lrdgraph.export import export
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

PAIRS = [(1, 2), (2, 1), (1, 3), (3, 4), (4, 1), (1, 4)]
POSTERIOR = [(0.9, 0.1), (0.6, 0.3), (0.5, 0.5), (0.0, 1.0), (0.7, 0.2), (0.8, 0.1)]


def enriched(
    ids: Sequence[str] = ("pen", "ink", "pad", "case"),
    pairs: Sequence[tuple[int, int]] = PAIRS,
    posterior: Sequence[Sequence[float]] = POSTERIOR,
    names: Sequence[str] | None = None,
    weight: Sequence[float] = (1, 1, 1, 1, 1),
    colours: Sequence[str] = ("red", "blue"),
) -> EnrichedGraph:
    """Items; "needs" 1 → 2 and 3 → 4, "colour" of 1 and 3 one value, of 2 another."""
    graph = ItemGraph(
        edge_index=torch.tensor([[1, 3, 1, 3, 2], [2, 4, len(ids) + 1, len(ids) + 1, len(ids) + 2]]),
        edge_type=torch.tensor([0, 0, 1, 1, 1]),
        edge_weight=torch.tensor(weight, dtype=torch.float32),
        relations=RelationVocabulary([Relation("needs"), Relation("colour", "attribute")]),
        items=Vocabulary(ids),
        attributes=Vocabulary(colours, "attribute"),
    )
    weights = torch.tensor(posterior, dtype=torch.float32).requires_grad_()
    return enrich(graph, torch.tensor(pairs).T.contiguous(), lambda i, j: weights, names)


def written(name: str, source: object, path: Path, **options: object) -> int:
    """Export with the provenance that the contract asks for."""
    return export(name, source, path, provenance={"model": "lrdgraph", "seed": 0, "corpus": "1234"}, **options)


PLAIN = ("graphml", "jsonl", "neo4j", "nquads", "ntriples", "parquet", "triples")
WITH_PYOXIGRAPH = ("jsonld", "trig", "turtle")
EXPORTS: dict[str, Callable[..., int]] = {name: partial(written, name) for name in (*PLAIN, *WITH_PYOXIGRAPH)}
"""One call for each registered exporter."""
