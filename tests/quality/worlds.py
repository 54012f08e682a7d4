"""A planted shop with its relations written down, and small graphs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.vocabulary import Vocabulary
from tests.discovery.planted import language_vectors, plant

Edges = dict[str, list[tuple[int, int]]]


def graph_of(edges: Edges, items: int, attributes: int = 0, kinds: dict[str, str] | None = None) -> ItemGraph:
    """A graph of weight 1; relations are predefined unless named otherwise, inverses by their ending."""
    kinds = {name: "inverse" for name in edges if name.endswith("^-1")} | (kinds or {})
    pairs = [(*pair, n) for n, held in enumerate(edges.values()) for pair in held]
    columns = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3).T.contiguous()
    return ItemGraph(
        columns[:2],
        columns[2],
        torch.ones(columns.size(1)),
        RelationVocabulary(Relation(name, kinds.get(name, "predefined")) for name in edges),  # type: ignore[arg-type]
        Vocabulary([f"i{n}" for n in range(1, items + 1)], "item"),
        Vocabulary([f"a{n}" for n in range(1, attributes + 1)], "attribute"),
    )


def with_inverses(edges: Edges) -> Edges:
    return edges | {f"{name}^-1": [(j, i) for i, j in held] for name, held in edges.items()}


def planted_inputs(num_items: int = 150, num_users: int = 500, share: float = 0.5, seed: int = 0) -> ModelInputs:
    """What discovery finds in a planted shop, a share of it written down: ``goes_with``, directed, and ``brand``."""
    shop = plant(num_items, num_users, seed=seed)
    rng = np.random.default_rng(seed)
    edges = {}
    for number, name in enumerate(("goes_with", "brand")):
        held = np.argwhere(shop.relation == number)
        edges[name] = [tuple(pair) for pair in held[rng.random(len(held)) < share].tolist()]
    sequences = shop.sequences
    events = torch.from_numpy(np.stack([sequences.user, sequences.item, sequences.time]))
    popularity = torch.bincount(events[1], minlength=num_items + 1).float()
    graph = graph_of(with_inverses(edges), num_items)
    return ModelInputs(graph.items, popularity, events, num_users, language_vectors(shop.texts), graph)


def keys(index: Tensor) -> set[tuple[int, int]]:
    """Unordered pairs of ``(2, n)``."""
    return {(min(pair), max(pair)) for pair in index.T.tolist()}
