"""Enriched graphs whose posterior is given number by number, and a file of each export format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from lrdgraph.export import export_triples
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
) -> EnrichedGraph:
    """Items; "needs" 1 → 2 and 3 → 4, "colour" of 1 and 3 one value, of 2 another."""
    graph = ItemGraph(
        edge_index=torch.tensor([[1, 3, 1, 3, 2], [2, 4, len(ids) + 1, len(ids) + 1, len(ids) + 2]]),
        edge_type=torch.tensor([0, 0, 1, 1, 1]),
        edge_weight=torch.ones(5),
        relations=RelationVocabulary([Relation("needs"), Relation("colour", "attribute")]),
        items=Vocabulary(ids),
        attributes=Vocabulary(["red", "blue"], "attribute"),
    )
    weights = torch.tensor(posterior, dtype=torch.float32).requires_grad_()
    return enrich(graph, torch.tensor(pairs).T.contiguous(), lambda i, j: weights, names)


EXPORTS: dict[str, Callable[[EnrichedGraph, Path], int]] = {
    "triples": lambda graph, path: export_triples(graph, path, provenance={"seed": 0}),
}
"""One call for each registered exporter."""
