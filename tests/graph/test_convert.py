from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import (
    from_hetero_data,
    from_networkx,
    to_dgl,
    to_hetero_data,
    to_networkx,
    to_ogb,
    to_pykeen,
)
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from tests.graph.worlds import assert_same, assert_same_enriched, corpus, edges, enriched_graphs, graphs

networkx = pytest.importorskip("networkx")
geometric = pytest.importorskip("torch_geometric.data")

GRAPH = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)], weight=[0.5, 1.0, 0.25]))
IDS = (GRAPH.items, GRAPH.attributes)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_nothing_is_lost_on_the_way_round(graph: ItemGraph) -> None:
    for back in (from_hetero_data(to_hetero_data(graph)), from_networkx(to_networkx(graph))):
        assert isinstance(back, ItemGraph)
        assert_same(back, graph)


@settings(max_examples=60, deadline=None)
@given(enriched_graphs())
def test_nothing_of_the_latent_edges_is_lost_on_the_way_round(graph: EnrichedGraph) -> None:
    assert_same_enriched(from_hetero_data(to_hetero_data(graph)), graph)
    assert_same_enriched(from_networkx(to_networkx(graph)), graph)


def test_hetero_data_by_hand() -> None:
    data = to_hetero_data(enrich(GRAPH, torch.tensor([[1, 4], [2, 3]]), lambda i, j: torch.tensor([[0.2], [0.7]])))
    assert data["item"].num_nodes == 4
    assert data["attribute"].n_id.tolist() == [0, 1]
    assert data.ids == {"item": ["i1", "i2", "i3", "i4"], "attribute": ["a1", "a2"]}
    assert set(data.edge_types) == {
        ("item", "complement", "item"),
        ("item", "brand", "attribute"),
        ("item", "complement^-1", "item"),
        ("attribute", "brand^-1", "item"),
        ("item", "latent", "item"),
    }
    brand = data["item", "brand", "attribute"]
    assert brand.edge_index.tolist() == [[2, 3], [0, 1]]
    assert brand.edge_weight.tolist() == [1.0, 0.25]
    latent = data["item", "latent", "item"]
    assert latent.edge_index.tolist() == [[0, 3], [1, 2]]
    assert latent.posterior.tolist() == [[pytest.approx(0.2)], [pytest.approx(0.7)]]
    assert latent.edge_weight.tolist() == [pytest.approx(0.2), pytest.approx(0.7)]
    data.validate()


def test_hetero_data_runs_through_a_layer_of_geometric() -> None:
    from torch_geometric.nn import HeteroConv, SAGEConv

    weight = torch.tensor([[0.2], [0.7]], requires_grad=True)
    data = to_hetero_data(enrich(GRAPH, torch.tensor([[1, 4], [2, 3]]), lambda i, j: weight))
    assert data["item", "latent", "item"].posterior.requires_grad
    conv = HeteroConv({kind: SAGEConv((3, 3), 3) for kind in data.edge_types})
    x = {kind: torch.randn(data[kind].num_nodes, 3) for kind in data.node_types}
    assert conv(x, data.edge_index_dict)["item"].shape == (4, 3)


def test_foreign_hetero_data() -> None:
    data = geometric.HeteroData()
    data["item"].num_nodes = 3
    data["attribute"].num_nodes = 1
    data["item", "near", "item"].edge_index = torch.tensor([[0, 1], [1, 2]])
    data["item", "brand", "attribute"].edge_index = torch.tensor([[2], [0]])
    graph = from_hetero_data(data)
    assert isinstance(graph, ItemGraph)
    assert edges(graph) == {"near": [(1, 2, 1.0), (2, 3, 1.0)], "brand": [(3, 4, 1.0)]}
    assert [relation.kind for relation in graph.relations] == ["predefined", "attribute"]
    assert graph.items.series.to_list() == ["0", "1", "2"]
    data["user"].num_nodes = 2
    with pytest.raises(DataError, match="type 'user'"):
        from_hetero_data(data)


def test_networkx_by_hand() -> None:
    network = to_networkx(enrich(GRAPH, torch.tensor([[1], [2]]), lambda i, j: torch.tensor([[0.25, 0.5]])))
    assert network.nodes[("attribute", "a1")] == {"kind": "attribute", "id": "a1"}
    assert network[("item", "i1")][("item", "i2")]["complement"] == {"weight": 0.5, "kind": "predefined"}
    assert network[("item", "i2")][("item", "i1")]["complement^-1"]["kind"] == "inverse"
    assert network[("item", "i1")][("item", "i2")]["latent"] == {
        "weight": 0.75,
        "kind": "latent",
        "posterior": {"latent_0": 0.25, "latent_1": 0.5},
    }
    assert network.number_of_edges() == 7


def test_edges_added_in_networkx_come_back() -> None:
    network = to_networkx(GRAPH)
    network.add_node(("item", "new"))
    network.add_edge(("item", "new"), ("item", "i1"), key="bundle", weight=0.3)
    network.add_edge(("item", "new"), ("attribute", "a1"), key="author")
    graph = from_networkx(network)
    assert isinstance(graph, ItemGraph)
    assert graph.items.series.to_list()[-1] == "new"
    assert edges(graph)["bundle"] == [(5, 1, pytest.approx(0.3))]
    assert edges(graph)["brand"] == [(3, 6, 1.0), (4, 7, 0.25)]
    assert [graph.relations[graph.relations.index(name)].kind for name in ("bundle", "author")] == [
        "predefined",
        "attribute",
    ]


def test_bad_graphs_give_one_sentence() -> None:
    with pytest.raises(DataError, match="Node 'x' is not"):
        from_networkx(networkx.MultiDiGraph([("x", "y")]))
    taken = build_graph(corpus([(1, "latent", 2)]))
    for convert in (to_hetero_data, to_networkx):
        with pytest.raises(DataError, match="named 'latent'"):
            convert(taken)  # type: ignore[operator]
    twice = enrich(GRAPH, torch.tensor([[1, 1], [2, 2]]), lambda i, j: torch.ones(2, 1))
    with pytest.raises(DataError, match="pair occurs twice"):
        to_networkx(twice)
    network = to_networkx(enrich(GRAPH, torch.tensor([[1], [2]]), lambda i, j: torch.ones(1, 2)))
    del network.graph["latent"]
    with pytest.raises(DataError, match="relation 'latent_0', which"):
        from_networkx(network)
    data = to_hetero_data(enrich(GRAPH, torch.tensor([[1], [2]]), lambda i, j: torch.ones(1, 2)))
    data["item", "latent", "item"].posterior = torch.ones(1, 3)
    with pytest.raises(DataError, match="1 latent edges of 2 relations"):
        from_hetero_data(data)
    del data["item", "latent", "item"].posterior
    with pytest.raises(DataError, match="have no posterior"):
        from_hetero_data(data)


def test_all_that_is_said_of_a_relation_goes_along() -> None:
    told = Relation("also_bought", "predefined", "Bought too", "Whoever buys one buys the other.", True, "a model")
    base = build_graph(corpus([(1, "also_bought", 2)]), inverses=False)
    graph = ItemGraph(base.edge_index, base.edge_type, base.edge_weight, RelationVocabulary([told]), *IDS)
    latent = Relation("goes with", "latent", "Goes with", "Used at one time.", False, "a keyword method")
    enriched = EnrichedGraph(graph, torch.tensor([[1], [2]]), torch.tensor([[0.5]]), (latent,))
    for back in (from_hetero_data(to_hetero_data(enriched)), from_networkx(to_networkx(enriched))):
        assert isinstance(back, EnrichedGraph)
        assert back.relations == RelationVocabulary([told, latent])
    assert to_networkx(enriched).graph["latent"][0]["description"] == "Used at one time."


def test_a_part_of_hetero_data_keeps_its_ids() -> None:
    graph = enrich(GRAPH, torch.tensor([[1, 4], [2, 3]]), lambda i, j: torch.tensor([[0.2], [0.7]]))
    part = to_hetero_data(graph).subgraph({"item": torch.tensor([3, 2]), "attribute": torch.tensor([1])})
    back = from_hetero_data(part)
    assert isinstance(back, EnrichedGraph)
    assert back.graph.items.series.to_list() == ["i4", "i3"]
    assert back.graph.attributes.series.to_list() == ["a2"]
    assert edges(back.graph)["brand"] == [(1, 3, 0.25)]
    assert back.latent_index.tolist() == [[1], [2]]
    part["item"].n_id = torch.tensor([3, 9])
    with pytest.raises(DataError, match="position outside its 4 ids"):
        from_hetero_data(part)


def test_foreign_networkx() -> None:
    network = networkx.MultiDiGraph()
    network.add_edge(("item", 1), ("item", 2))
    network.add_edge(("item", 1), ("item", 3))
    graph = from_networkx(network)
    assert isinstance(graph, ItemGraph)
    assert edges(graph) == {"0": [(1, 2, 1.0), (1, 3, 1.0)]}
    assert graph.items.series.to_list() == ["1", "2", "3"]
    for other in (networkx.DiGraph(network), networkx.MultiGraph(network)):
        with pytest.raises(DataError, match="no direction or no keys"):
            from_networkx(other)


@pytest.mark.parametrize(
    ("package", "extra", "convert"),
    [
        ("torch_geometric.data", "torch-geometric", to_hetero_data),
        ("networkx", "networkx", to_networkx),
        ("dgl", "lrdgraph[dgl]", to_dgl),
        ("ogb.io", "lrdgraph[ogb]", lambda graph: to_ogb(graph, "nowhere")),
        ("pykeen.triples", "lrdgraph[pykeen]", to_pykeen),
    ],
)
def test_a_missing_package_is_named(
    package: str, extra: str, convert: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (package.split(".")[0], package):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=re.escape(f"pip install {extra}'")):
        convert(GRAPH)
    assert list(tmp_path.iterdir()) == []


def test_posteriors_keep_double_precision() -> None:
    mixture = torch.tensor([[0.1, 0.5]], dtype=torch.float64)
    graph = enrich(GRAPH, torch.tensor([[1], [2]]), lambda i, j: mixture)
    for back in (from_hetero_data(to_hetero_data(graph)), from_networkx(to_networkx(graph))):
        assert_same_enriched(back, graph)
