"""Small corpora and graphs for the tests of this folder."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from hypothesis import strategies as st
from torch import Tensor

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary


def corpus(
    triples: list[tuple[int, str, int]],
    items: int = 4,
    attributes: int = 2,
    weight: list[float] | None = None,
    events: list[list[int]] | None = None,
    split: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
) -> Corpus:
    """A corpus of triples over nodes (items 1 …, then attributes) and of histories, a list of items for each user."""
    names = names if names is not None else tuple(dict.fromkeys(name for _, name, _ in triples))
    events = events or [[1]]
    user = np.repeat(np.arange(1, len(events) + 1), [len(history) for history in events])
    return Corpus(
        name="small",
        users=Vocabulary([f"u{n}" for n in range(1, len(events) + 1)], "user"),
        items=Vocabulary([f"i{n}" for n in range(1, items + 1)], "item"),
        attributes=Vocabulary([f"a{n}" for n in range(1, attributes + 1)], "attribute"),
        user=user,
        item=np.concatenate([np.asarray(history, dtype=np.int64) for history in events]),
        time=np.arange(len(user), dtype=np.int64),
        fields=pl.DataFrame(),
        triples=Triples(
            np.array([head for head, _, _ in triples], dtype=np.int64),
            np.array([names.index(name) for _, name, _ in triples], dtype=np.int64),
            np.array([tail for _, _, tail in triples], dtype=np.int64),
            names,
            None if weight is None else np.array(weight, dtype=np.float32),
        ),
        split=split,
    )


def edges(graph: ItemGraph) -> dict[str, list[tuple[int, int, float]]]:
    """Source, destination and weight of every edge, by relation name."""
    found: dict[str, list[tuple[int, int, float]]] = {name: [] for name in graph.relations.names}
    columns = (*graph.edge_index.tolist(), graph.edge_type.tolist(), graph.edge_weight.tolist())
    for source, destination, kind, weight in zip(*columns, strict=True):
        found[graph.relations[kind].name].append((source, destination, weight))
    return {name: sorted(rows) for name, rows in found.items()}


def pairs_of(pairs: Tensor) -> list[tuple[int, int]]:
    return [(i, j) for i, j in pairs.T.tolist()]


NAMES = st.text(min_size=1, max_size=8)


@st.composite
def graphs(draw: st.DrawFn) -> ItemGraph:
    """Any graph: odd names and ids, an item and an attribute of one id, empty relations, loops, empty graphs."""
    items = draw(st.lists(NAMES, unique=True, max_size=5))
    attributes = draw(st.lists(NAMES, unique=True, max_size=4))
    names = draw(st.lists(NAMES.filter(lambda name: name != "latent"), unique=True, max_size=4))
    kinds = st.sampled_from(["predefined", "inverse", "attribute", "latent"])
    relations = RelationVocabulary(Relation(name, draw(kinds), draw(NAMES)) for name in names)
    nodes = len(items) + len(attributes)
    edge = st.tuples(*[st.integers(1, max(nodes, 1))] * 2, st.integers(0, max(len(names) - 1, 0)))
    rows = draw(st.lists(edge, unique=True, max_size=12)) if nodes and names else []
    weights = draw(st.lists(st.floats(0, 1e6, width=32), min_size=len(rows), max_size=len(rows)))
    table = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    return ItemGraph(
        edge_index=table[:, :2].T.contiguous(),
        edge_type=table[:, 2].clone(),
        edge_weight=torch.tensor(weights, dtype=torch.float32),
        relations=relations,
        items=Vocabulary(items, "item"),
        attributes=Vocabulary(attributes, "attribute"),
    )


def assert_same(left: ItemGraph, right: ItemGraph) -> None:
    for name in ("edge_index", "edge_type", "edge_weight"):
        assert torch.equal(getattr(left, name), getattr(right, name)), name
        assert getattr(left, name).dtype == getattr(right, name).dtype
    assert left.relations.to_json() == right.relations.to_json()
    assert left.items.series.to_list() == right.items.series.to_list()
    assert left.attributes.series.to_list() == right.attributes.series.to_list()
