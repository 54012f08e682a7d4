"""What is hidden is nowhere: not in another relation, not in an inverse, not turned round."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.quality.hidden import hide_pairs, hide_relation
from tests.quality.worlds import Edges, graph_of, keys, planted_inputs, with_inverses

ITEMS = 40
COMPLEMENT = [(i, j) for i in range(1, ITEMS + 1) for j in range(1, ITEMS + 1) if i != j and (3 * i + j) % 7 == 0]
SUBSTITUTE = [(i, j) for i in range(1, ITEMS + 1) for j in range(1, ITEMS + 1) if i != j and (i + j) % 9 == 0]
EDGES: Edges = {"complement": COMPLEMENT, "substitute": SUBSTITUTE, "made_by": [(i, ITEMS + 1) for i in range(1, 9)]}


def shop() -> ItemGraph:
    # the substitutes are symmetric; the complements, some of which are substitutes too, have an inverse
    edges = EDGES | {"complement^-1": [(j, i) for i, j in COMPLEMENT]}
    return graph_of(edges, ITEMS, 1, {"made_by": "attribute"})


def between_items(graph: ItemGraph) -> torch.Tensor:
    return graph.edge_index[:, (graph.edge_index <= graph.num_items).all(0)]


def test_a_fifth_of_the_pairs_is_hidden_in_all_relations_and_directions() -> None:
    graph = shop()
    found = hide_pairs(graph, 0.2, seed=3)
    hidden = set().union(*(keys(links.hidden) for links in found.links.values()))
    every = keys(between_items(graph))
    assert len(hidden) == round(0.2 * len(every))
    assert keys(between_items(found.graph)) == every - hidden
    assert found.graph.relations == graph.relations
    assert found.graph.edge_counts()["made_by"] == 8


def test_links_are_those_of_the_graph_and_both_parts_are_disjoint() -> None:
    graph = shop()
    found = hide_pairs(graph, 0.2)
    assert set(found.links) == {"complement", "substitute"}
    for name, links in found.links.items():
        assert sorted(map(tuple, links.all.T.tolist())) == sorted(EDGES[name])
        assert not keys(links.shown) & keys(links.hidden)
        edges = found.graph.edge_index[:, found.graph.edges_of(name)]
        assert sorted(links.shown.T.tolist()) == sorted(edges.T.tolist())


def test_a_seed_decides() -> None:
    first, again, other = (hide_pairs(shop(), 0.2, seed).links["complement"].hidden for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert keys(first) != keys(other)


@pytest.mark.parametrize("name", ["complement", "complement^-1"])
def test_a_relation_is_hidden_with_its_inverse(name: str) -> None:
    found = hide_relation(shop(), name, 0.1)
    assert found.graph.relations.names == ("substitute", "made_by")
    assert found.graph.edge_counts() == {"substitute": len(SUBSTITUTE), "made_by": 8}
    links = found.links[name]
    assert links.all.size(1) == len(COMPLEMENT)
    assert not keys(links.shown) & keys(links.hidden)
    assert len(keys(links.shown)) == round(0.1 * len(keys(links.all)))


def test_a_relation_of_the_same_edges_under_another_name_goes_too() -> None:
    turned = [(j, i) for i, j in COMPLEMENT]
    graph = graph_of(
        {"complement": COMPLEMENT, "comes_with": turned, "same": COMPLEMENT, "substitute": SUBSTITUTE}, ITEMS
    )
    assert hide_relation(graph, "complement").graph.relations.names == ("substitute",)


def test_types_of_what_stays_still_mean_what_they_meant() -> None:
    graph = shop()
    found = hide_relation(graph, "substitute").graph
    for name in found.relations.names:
        before, after = (g.edge_index[:, g.edges_of(name)] for g in (graph, found))
        assert torch.equal(before, after)


def test_refused() -> None:
    for share in (0, 1, 1.5):
        with pytest.raises(ConfigError, match="above 0 and below 1"):
            hide_pairs(shop(), share)
    with pytest.raises(UnknownIdError):
        hide_relation(shop(), "complemnt")
    with pytest.raises(DataError, match="too few"):
        hide_relation(shop(), "made_by")
    with pytest.raises(DataError, match="too few"):
        hide_pairs(graph_of({"r": [(1, 2)]}, 3), 0.2)


def test_the_planted_graph_has_what_the_tests_of_recovery_need() -> None:
    graph = planted_inputs().graph
    assert graph is not None
    counts = graph.edge_counts()
    assert counts["goes_with"] == counts["goes_with^-1"] > 300
    assert with_inverses({"r": [(1, 2)]}) == {"r": [(1, 2)], "r^-1": [(2, 1)]}
