"""Graphs to DGL and back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dgl
import pytest
import torch
from hypothesis import given, settings

from lrdgraph.errors import DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import from_dgl, to_dgl
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import RelationVocabulary
from lrdgraph.vocabulary import Vocabulary
from tests.graph.worlds import assert_same, assert_same_enriched, corpus, edges, enriched_graphs, graphs

GRAPH = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)], weight=[0.5, 1.0, 0.25]))
ENRICHED = enrich(GRAPH, torch.tensor([[4, 1], [3, 2]]), lambda i, j: torch.tensor([[0.25, 0.5], [0.0, 0.0]]))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_nothing_is_lost_on_the_way_round(graph: ItemGraph) -> None:
    network, about = to_dgl(graph)
    back = from_dgl(network, json.loads(json.dumps(about)))
    assert isinstance(back, ItemGraph)
    assert_same(back, graph)


@settings(max_examples=60, deadline=None)
@given(enriched_graphs())
def test_nothing_of_the_latent_edges_is_lost_on_the_way_round(graph: EnrichedGraph) -> None:
    network, about = to_dgl(graph)
    assert_same_enriched(from_dgl(network, json.loads(json.dumps(about))), graph)


def test_by_hand() -> None:
    network, about = to_dgl(ENRICHED)
    assert {kind: network.num_nodes(kind) for kind in network.ntypes} == {"item": 4, "attribute": 2}
    assert {kind: network.num_edges(kind) for kind in network.canonical_etypes} == {
        ("item", "complement", "item"): 1,
        ("item", "complement^-1", "item"): 1,
        ("item", "brand", "attribute"): 2,
        ("attribute", "brand^-1", "item"): 2,
        ("item", "latent", "item"): 2,
    }
    brand = ("item", "brand", "attribute")
    assert [ends.tolist() for ends in network.edges(etype=brand)] == [[2, 3], [0, 1]]
    assert network.edges[brand].data["weight"].tolist() == [1.0, 0.25]
    latent = network.edges["latent"].data
    assert latent["posterior"].tolist() == [[0.25, 0.5], [0.0, 0.0]]
    assert latent["weight"].tolist() == [0.75, 0.0]
    assert about["items"] == ["i1", "i2", "i3", "i4"]
    assert [row["kind"] for row in about["relations"] + about["latent"]] == [
        *("predefined", "attribute", "inverse", "inverse", "latent", "latent"),
    ]


def test_the_posterior_stays_on_the_tape() -> None:
    weight = torch.tensor([[0.2], [0.7]], requires_grad=True)
    network, _ = to_dgl(enrich(GRAPH, torch.tensor([[1, 4], [2, 3]]), lambda i, j: weight))
    network.nodes["item"].data["x"] = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    network["latent"].update_all(dgl.function.u_mul_e("x", "posterior", "m"), dgl.function.sum("m", "y"))
    network.nodes["item"].data["y"].sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1.0], [4.0]]


def test_a_part_keeps_its_ids() -> None:
    network, about = to_dgl(ENRICHED)
    back = from_dgl(dgl.node_subgraph(network, {"item": torch.tensor([3, 2]), "attribute": torch.tensor([1])}), about)
    assert isinstance(back, EnrichedGraph)
    assert back.graph.items.series.to_list() == ["i4", "i3"]
    assert back.graph.attributes.series.to_list() == ["a2"]
    assert edges(back.graph)["brand"] == [(1, 3, 0.25)]
    assert back.latent_index.tolist() == [[1], [2]]
    assert back.mixture.tolist() == [[0.25, 0.5]]


def test_foreign_heterograph() -> None:
    pair = (torch.tensor([0, 1]), torch.tensor([1, 2]))
    network = dgl.heterograph({("item", "near", "item"): pair, ("item", "brand", "attribute"): pair})
    graph = from_dgl(network)
    assert isinstance(graph, ItemGraph)
    assert edges(graph) == {"near": [(1, 2, 1.0), (2, 3, 1.0)], "brand": [(1, 5, 1.0), (2, 6, 1.0)]}
    assert {relation.name: relation.kind for relation in graph.relations} == {
        "near": "predefined",
        "brand": "attribute",
    }
    assert graph.items.series.to_list() == ["0", "1", "2"]


def test_an_empty_graph_keeps_its_kind() -> None:
    empty = torch.empty(2, 0, dtype=torch.int64)
    nothing = Vocabulary([], "item"), Vocabulary([], "attribute")
    graph = ItemGraph(empty, empty[0], torch.empty(0), RelationVocabulary(), *nothing)
    network, about = to_dgl(graph)
    assert network.canonical_etypes == [("item", "latent", "item")]
    back = from_dgl(network, about)
    assert isinstance(back, ItemGraph)
    assert_same(back, graph)


def test_what_does_not_fit_gives_one_sentence() -> None:
    pair = (torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(DataError, match="type 'user'"):
        from_dgl(dgl.heterograph({("user", "buys", "item"): pair}))
    network, about = to_dgl(GRAPH)
    del network.nodes["item"].data["n_id"]
    with pytest.raises(DataError, match="4 nodes of kind 'item' and 3 ids"):
        from_dgl(network, {**about, "items": about["items"][:3]})
    with pytest.raises(DataError, match="block of a sampler"):
        from_dgl(dgl.to_block(network), about)
    with pytest.raises(DataError, match="named 'latent'"):
        to_dgl(build_graph(corpus([(1, "latent", 2)])))


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    code = """
import torch
from lrdgraph.graph import ItemGraph, RelationVocabulary, to_dgl
from lrdgraph.vocabulary import Vocabulary
empty = torch.empty(2, 0, dtype=torch.int64)
to_dgl(ItemGraph(empty, empty[0], torch.empty(0), RelationVocabulary(), Vocabulary(["a"]), Vocabulary([])))
"""
    root = Path(__file__).resolve().parents[2]
    clean = {"HOME": str(tmp_path), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], env=clean, check=True, capture_output=True)
    assert [path.name for path in tmp_path.rglob("*") if "dgl" in path.name] == []
