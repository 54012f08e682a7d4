from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.errors import DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import from_hetero_data, from_networkx, to_hetero_data, to_networkx
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation
from tests.graph.worlds import NAMES, assert_same, corpus, edges, graphs

networkx = pytest.importorskip("networkx")
geometric = pytest.importorskip("torch_geometric.data")

GRAPH = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)], weight=[0.5, 1.0, 0.25]))


@st.composite
def enriched_graphs(draw: st.DrawFn) -> EnrichedGraph:
    graph = draw(graphs())
    taken = set(graph.relations.names)
    names = draw(st.lists(NAMES.filter(lambda name: name not in taken), unique=True, min_size=1, max_size=3))
    node = st.integers(1, max(graph.num_items, 1))
    rows = sorted(draw(st.lists(st.tuples(node, node), unique=True, max_size=8))) if graph.num_items else []
    values = st.lists(st.floats(0, 1, width=32), min_size=len(names), max_size=len(names))
    mixture = torch.tensor([draw(values) for _ in rows], dtype=torch.float32).reshape(len(rows), len(names))
    pairs = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).T.contiguous()
    return EnrichedGraph(graph, pairs, mixture, tuple(Relation(name, "latent", draw(NAMES)) for name in names))


def assert_same_enriched(left: object, right: EnrichedGraph) -> None:
    assert isinstance(left, EnrichedGraph)
    assert_same(left.graph, right.graph)
    assert torch.equal(left.latent_index, right.latent_index)
    assert torch.equal(left.mixture, right.mixture)
    assert left.latent == right.latent


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
    assert data["item"].ids == ["i1", "i2", "i3", "i4"]
    assert data["attribute"].ids == ["a1", "a2"]
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


def test_posteriors_keep_double_precision_in_hetero_data() -> None:
    mixture = torch.rand(1, 2, dtype=torch.float64)
    back = from_hetero_data(to_hetero_data(enrich(GRAPH, torch.tensor([[1], [2]]), lambda i, j: mixture)))
    assert isinstance(back, EnrichedGraph)
    assert torch.equal(back.mixture, mixture)
