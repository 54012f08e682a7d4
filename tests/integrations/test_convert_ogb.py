"""Graphs to OGB's files and back."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.corpus import TEST, TRAIN, VALIDATION
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import from_ogb, to_ogb
from lrdgraph.graph.convert_ogb import _spelled
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from tests.graph.worlds import assert_same, assert_same_enriched, corpus, enriched_graphs, graphs

# before ogb is imported, or it asks the network for a newer version
sys.modules["outdated"] = None  # type: ignore[assignment]

TRIPLES = [(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)]
GRAPH = build_graph(corpus(TRIPLES, weight=[0.5, 1.0, 0.25]), inverses=False)
ENRICHED = enrich(GRAPH, torch.tensor([[4, 1], [3, 2]]), lambda i, j: torch.tensor([[0.25, 0.5], [0.0, 0.0]]))


def roles(graph: ItemGraph, data: st.DataObject) -> torch.Tensor:
    role = st.sampled_from([TRAIN, VALIDATION, TEST])
    drawn = data.draw(st.lists(role, min_size=graph.num_edges, max_size=graph.num_edges))
    return torch.tensor(drawn, dtype=torch.int8)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.data())
def test_nothing_is_lost_on_the_way_round(graph: ItemGraph, data: st.DataObject) -> None:
    role = roles(graph, data)
    with tempfile.TemporaryDirectory() as folder:
        to_ogb(graph, Path(folder) / "set", role=role)
        back, told = from_ogb(Path(folder) / "set")
    assert isinstance(back, ItemGraph)
    assert_same(back, graph)
    assert torch.equal(told, role)


@settings(max_examples=40, deadline=None)
@given(enriched_graphs(), st.data())
def test_nothing_of_the_latent_edges_is_lost_on_the_way_round(graph: EnrichedGraph, data: st.DataObject) -> None:
    role = roles(graph.graph, data)
    with tempfile.TemporaryDirectory() as folder:
        to_ogb(graph, Path(folder) / "set", role=role)
        back, told = from_ogb(Path(folder) / "set")
    assert_same_enriched(back, graph)
    assert torch.equal(told, role)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("also_bought", "also_bought"),
        ("complement^-1", "complement^-1"),
        ("a b/c", "a b%2Fc"),
        ("_a__b_", "%5Fa%5F%5Fb%5F"),
        ("___", "%5F%5F%5F"),
        ("日", "%E6%97%A5"),
    ],
)
def test_spelling(name: str, spelled: str) -> None:
    assert _spelled(name) == spelled


def test_ogb_reads_it(tmp_path: Path) -> None:
    from ogb.io.read_graph_pyg import read_heterograph_pyg
    from ogb.linkproppred import DglLinkPropPredDataset, LinkPropPredDataset

    meta = to_ogb(ENRICHED, tmp_path / "set", role=torch.tensor([TRAIN, TEST, TRAIN]))
    assert json.loads((tmp_path / "set" / "meta.json").read_text()) == meta
    complement, brand = ("item", "complement", "item"), ("item", "brand", "attribute")
    latent = ("item", "latent", "item")

    held = LinkPropPredDataset("ogbl-items", meta_dict=meta)
    graph = held[0]
    assert {kind: int(count) for kind, count in graph["num_nodes_dict"].items()} == {"item": 4, "attribute": 2}
    assert {kind: index.tolist() for kind, index in graph["edge_index_dict"].items()} == {
        complement: [[0], [1]],
        brand: [[3], [1]],
        latent: [[3, 0], [2, 1]],
    }
    assert {kind: weight.tolist() for kind, weight in graph["edge_weight"].items()} == {
        complement: [0.5],
        brand: [0.25],
        latent: [0.75, 0.0],
    }
    assert graph["edge_posterior"][latent].tolist() == [[0.25, 0.5], [0.0, 0.0]]

    split = held.get_edge_split()
    assert list(split) == ["train", "valid", "test"]
    assert all(isinstance(split["test"][key], torch.Tensor) for key in ("head", "relation", "tail", "weight"))
    test = split["test"]
    assert [test["head"].tolist(), test["relation"].tolist(), test["tail"].tolist()] == [[2], [1], [0]]
    assert [test["weight"].tolist(), test["head_type"], test["tail_type"]] == [[1.0], ["item"], ["attribute"]]
    assert split["train"]["head"].tolist() == [0, 3]
    assert split["valid"]["head"].tolist() == []

    # PyG's class reads its own cache, which torch refuses to load
    files = meta["additional edge files"].split(",")
    geometric = read_heterograph_pyg(tmp_path / "set" / "raw", additional_edge_files=files, binary=True)[0]
    assert geometric.edge_weight[complement].tolist() == [0.5]
    assert geometric.edge_posterior[latent].tolist() == [[0.25, 0.5], [0.0, 0.0]]
    dgl = DglLinkPropPredDataset("ogbl-items", meta_dict=meta)[0]
    assert dgl.edges[brand].data["weight"].tolist() == [0.25]
    assert dgl.edges[latent].data["posterior"].tolist() == [[0.25, 0.5], [0.0, 0.0]]


def test_a_folder_is_replaced_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    to_ogb(ENRICHED, tmp_path / "set")
    to_ogb(GRAPH, tmp_path / "set", name="ogbl-other")
    graph, role = from_ogb(tmp_path / "set")
    assert isinstance(graph, ItemGraph)
    assert role.tolist() == [TRAIN] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    names = {"raw", "split", "mapping", "processed", "RELEASE_v1.txt", "meta.json"}
    assert {path.name for path in (tmp_path / "set").iterdir()} == names


def test_a_moved_folder_is_read(tmp_path: Path) -> None:
    to_ogb(GRAPH, tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "moved")
    assert_same(from_ogb(tmp_path / "moved")[0], GRAPH)  # type: ignore[arg-type]


def test_nothing_is_said_and_outdated_can_be_imported_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "outdated")
    to_ogb(GRAPH, tmp_path / "set")
    from_ogb(tmp_path / "set")
    assert "outdated" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_what_does_not_fit_gives_one_sentence(tmp_path: Path) -> None:
    for name in ("items", "ogbn-items", "ogbl-", "ogbl-../x"):
        with pytest.raises(ConfigError, match="no name of a link-prediction set"):
            to_ogb(GRAPH, tmp_path / "set", name=name)
    for role in (torch.zeros(2).long(), torch.zeros(3), torch.tensor([0, 0, 3]), torch.tensor([0, 0, 256])):
        with pytest.raises(DataError, match="Roles must be"):
            to_ogb(GRAPH, tmp_path / "set", role=role)
    precise = replace(ENRICHED, mixture=ENRICHED.mixture.double() / 3)
    with pytest.raises(DataError, match="OGB writes float32"):
        to_ogb(precise, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="does not exist"):
        from_ogb(tmp_path / "set")
    to_ogb(GRAPH, tmp_path / "set")
    edge_file = tmp_path / "set" / "raw" / "edge_index_dict.npz"
    edge_file.write_bytes(edge_file.read_bytes()[:-30])
    with pytest.raises(DataError, match="does not hold a whole graph"):
        from_ogb(tmp_path / "set")
    edge_file.unlink()
    with pytest.raises(DataError, match="does not hold a whole graph"):
        from_ogb(tmp_path / "set")
