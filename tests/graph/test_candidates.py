from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.candidates import nearest_text_pairs, two_hop_pairs, union
from lrdgraph.graph.item_graph import ItemGraph
from tests.graph.worlds import corpus, pairs_of


def table(rows: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, rows.shape[1]), rows])


def assert_canonical(pairs: Tensor) -> None:
    assert pairs.dtype == torch.int64
    rows = pairs_of(pairs)
    assert rows == sorted(set(rows))
    assert all(i != j for i, j in rows)


def test_nearest_texts_by_hand() -> None:
    """Items 1 and 2 nearly agree, 3 lies between 2 and 4; lengths do not matter."""
    vectors = table(torch.tensor([[1.0, 0.0], [9.0, 3.0], [0.5, 0.5], [0.0, 7.0]]))
    assert pairs_of(nearest_text_pairs(vectors, 1)) == [(1, 2), (2, 1), (2, 3), (3, 4)]


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_nearest_texts_equal_a_slow_search(chunk: int) -> None:
    vectors = table(torch.randn(30, 6, generator=torch.Generator().manual_seed(0)))
    pairs = nearest_text_pairs(vectors, 4, chunk)
    unit = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-9)
    expected = set()
    for item in range(1, 31):
        others = sorted((o for o in range(1, 31) if o != item), key=lambda o: -float(unit[item] @ unit[o]))
        expected |= {(other, item) for other in others[:4]}
    assert set(pairs_of(pairs)) == expected
    assert_canonical(pairs)


def test_an_item_without_text_has_no_pair_and_few_items_have_few() -> None:
    vectors = table(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
    assert pairs_of(nearest_text_pairs(vectors, 10)) == [(1, 3), (3, 1)]
    assert nearest_text_pairs(table(torch.ones(1, 3)), 5).shape == (2, 0)
    assert nearest_text_pairs(table(torch.zeros(4, 3)), 5).shape == (2, 0)


def slow_two_hop(graph: ItemGraph, limit: int, max_degree: int) -> set[tuple[int, int]]:
    near: dict[int, set[int]] = {n: set() for n in range(graph.num_rows)}
    for source, destination in graph.edge_index.T.tolist():
        if source != destination:
            near[source].add(destination)
            near[destination].add(source)
    items = range(1, graph.num_items + 1)
    hub = {n for n in near if sum(neighbour <= graph.num_items for neighbour in near[n]) > max_degree}
    found = set()
    for item in items:
        shared = {other: len((near[item] & near[other]) - hub) for other in items if other != item}
        ranked = sorted((other for other in items if shared.get(other)), key=lambda other: (-shared[other], other))
        found |= {(other, item) for other in ranked[:limit]}
    return found


@pytest.mark.parametrize(("limit", "max_degree"), [(3, 100), (100, 100), (2, 4)])
def test_two_hops_equal_a_slow_search(limit: int, max_degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrdgraph.graph.candidates._ROWS_AT_ONCE", 5)
    random = np.random.default_rng(0)
    triples = [(int(h), "r" if t <= 20 else "s", int(t)) for h, t in random.integers(1, [21, 26], (60, 2))]
    graph = build_graph(corpus(triples, items=20, attributes=5))
    pairs = two_hop_pairs(graph, limit, max_degree)
    assert set(pairs_of(pairs)) == slow_two_hop(graph, limit, max_degree)
    assert_canonical(pairs)


def test_two_hops_by_hand() -> None:
    """1 and 2 share the attribute 5; 3 and 4 share the item 1; a neighbour itself is no pair."""
    graph = build_graph(corpus([(1, "brand", 5), (2, "brand", 5), (3, "near", 1), (1, "near", 4)]))
    assert pairs_of(two_hop_pairs(graph, 5)) == [(1, 2), (2, 1), (3, 4), (4, 3)]
    assert pairs_of(two_hop_pairs(graph, 5, max_degree=1)) == []


def test_union_adds_the_other_order_once() -> None:
    a, b = torch.tensor([[3, 1], [1, 2]]), torch.tensor([[2, 3], [1, 1]])
    assert pairs_of(union(a, b)) == [(1, 2), (1, 3), (2, 1), (3, 1)]
    assert pairs_of(union(a, b, both_orders=False)) == [(1, 2), (2, 1), (3, 1)]
    assert union().shape == (2, 0)
    assert union(torch.empty(2, 0, dtype=torch.int64)).shape == (2, 0)


def test_an_empty_graph_has_no_pairs() -> None:
    assert two_hop_pairs(build_graph(corpus([])), 5).shape == (2, 0)


def test_bad_settings_and_vectors_give_one_sentence() -> None:
    with pytest.raises(ConfigError, match="'k' must be 1 or more; got 0"):
        nearest_text_pairs(torch.ones(3, 2), 0)
    with pytest.raises(ConfigError, match="'limit_per_item'"):
        two_hop_pairs(build_graph(corpus([])), 0)
    with pytest.raises(DataError, match="NaN"):
        nearest_text_pairs(torch.full((3, 2), torch.nan), 1)
