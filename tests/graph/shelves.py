"""A graph to learn from: items stand on shelves, and what goes with what, and who made it, follows the shelf."""

from __future__ import annotations

import numpy as np
import torch

from lrdgraph.graph.build import build_graph
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from tests.graph.worlds import corpus

SHELVES, ITEMS = 4, 80
SHELF = torch.arange(ITEMS) % SHELVES


def shelves(seed: int = 0, per_item: int = 8) -> EnrichedGraph:
    """``ITEMS`` items; ``complement`` joins items of one shelf, ``brand`` is the shelf, latent edges run at random.

    The first latent relation is likely where the next shelf follows, the second says nothing.
    """
    rng = np.random.default_rng(seed)
    triples = [(n, "brand", ITEMS + 1 + (n - 1) % SHELVES) for n in range(1, ITEMS + 1)]
    for n in range(1, ITEMS + 1):
        others = np.arange(1 + (n - 1) % SHELVES, ITEMS + 1, SHELVES)
        triples += [(n, "complement", int(m)) for m in rng.choice(others[others != n], per_item, replace=False)]
    weight = rng.uniform(0.25, 1, len(triples)).tolist()
    graph = build_graph(corpus(triples, ITEMS, SHELVES, weight=weight))
    pairs = torch.from_numpy(rng.integers(1, ITEMS + 1, (2, 400))).unique(dim=1)
    pairs = pairs[:, pairs[0] != pairs[1]]

    def posterior(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        follows = (SHELF[i - 1] + 1) % SHELVES == SHELF[j - 1]
        return torch.stack([torch.where(follows, 0.75, 0.125), torch.full((len(i),), 0.125)], dim=1)

    return enrich(graph, pairs, posterior)
