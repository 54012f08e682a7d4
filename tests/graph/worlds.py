"""Small corpora and graphs for the tests of this folder."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from hypothesis import strategies as st
from torch import Tensor

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Kind, Relation, RelationVocabulary
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


# an item and an attribute value are often of one name, and some names mean something in files of others
ODD = [
    "a b",
    " ",
    "'",
    '"',
    "<a>",
    "\n",
    "\t",
    "\0",
    "a\0",
    "日本",
    "é",
    "item",
    "attribute",
    "x",
    "x (attribute)",
    "01",
]
ODD += ["_", "__", "a___b", "_inverse", "r_inverse", "%5F", "a/b", "..", "."]
NAMES = st.sampled_from(ODD) | st.text(min_size=1, max_size=8)


@st.composite
def named(draw: st.DrawFn, name: str, *kinds: Kind) -> Relation:
    """A relation of this name, with all or nothing said of it."""
    words = st.just("") | NAMES
    symmetric = draw(st.sampled_from([None, True, False]))
    return Relation(name, draw(st.sampled_from(kinds)), draw(NAMES), draw(words), symmetric, draw(words))


@st.composite
def graphs(draw: st.DrawFn) -> ItemGraph:
    """Any graph: odd names and ids, an item and an attribute of one id, empty relations, loops, empty graphs."""
    items = draw(st.lists(NAMES, unique=True, max_size=5))
    attributes = draw(st.lists(NAMES, unique=True, max_size=4))
    names = draw(st.lists(NAMES.filter(lambda name: name != "latent"), unique=True, max_size=4))
    relations = RelationVocabulary(draw(named(name, "predefined", "inverse", "attribute", "latent")) for name in names)
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


@st.composite
def enriched_graphs(draw: st.DrawFn) -> EnrichedGraph:
    """Any graph with latent edges, of which there may be none; some have a posterior of nothing but zeros."""
    graph = draw(graphs())
    taken = set(graph.relations.names)
    names = draw(st.lists(NAMES.filter(lambda name: name not in taken), unique=True, min_size=1, max_size=3))
    node = st.integers(1, max(graph.num_items, 1))
    rows = sorted(draw(st.lists(st.tuples(node, node), unique=True, max_size=8))) if graph.num_items else []
    values = st.lists(st.just(0.0) | st.floats(0, 1, width=32), min_size=len(names), max_size=len(names))
    mixture = torch.tensor([draw(values) for _ in rows], dtype=torch.float32).reshape(len(rows), len(names))
    pairs = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).T.contiguous()
    return EnrichedGraph(graph, pairs, mixture, tuple(draw(named(name, "latent")) for name in names))


def assert_same_enriched(left: object, right: EnrichedGraph) -> None:
    assert isinstance(left, EnrichedGraph)
    assert_same(left.graph, right.graph)
    assert torch.equal(left.latent_index, right.latent_index)
    assert torch.equal(left.mixture, right.mixture)
    assert left.mixture.dtype == right.mixture.dtype
    assert left.latent == right.latent


def assert_same(left: ItemGraph, right: ItemGraph) -> None:
    for name in ("edge_index", "edge_type", "edge_weight"):
        assert torch.equal(getattr(left, name), getattr(right, name)), name
        assert getattr(left, name).dtype == getattr(right, name).dtype
    assert left.relations == right.relations
    assert left.items.series.to_list() == right.items.series.to_list()
    assert left.attributes.series.to_list() == right.attributes.series.to_list()
