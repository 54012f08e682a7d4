from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from lrdgraph.errors import DataError, UnknownIdError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary
from tests.graph.worlds import assert_same, edges, graphs


def small(**change: object) -> ItemGraph:
    parts = {
        "edge_index": torch.tensor([[1, 3, 1, 2], [2, 1, 3, 4]]),
        "edge_type": torch.tensor([0, 0, 0, 1]),
        "edge_weight": torch.tensor([0.5, 1.0, 0.25, 1.0]),
        "relations": RelationVocabulary([Relation("near"), Relation("brand", "attribute")]),
        "items": Vocabulary(["a", "b", "c"]),
        "attributes": Vocabulary(["x"], "attribute"),
    }
    return ItemGraph(**(parts | change))  # type: ignore[arg-type]


def test_edges_are_sorted_and_keep_their_weights() -> None:
    graph = small()
    assert graph.edge_index.tolist() == [[3, 1, 1, 2], [1, 2, 3, 4]]
    assert edges(graph) == {"near": [(1, 2, 0.5), (1, 3, 0.25), (3, 1, 1.0)], "brand": [(2, 4, 1.0)]}


def test_sizes_and_repr() -> None:
    graph = small()
    assert (graph.num_items, graph.num_nodes, graph.num_rows, graph.num_edges) == (3, 4, 5, 4)
    assert repr(graph) == "ItemGraph(3 items, 1 attributes, 4 edges: near [predefined] 3, brand [attribute] 1)"


def test_csr_lists_the_destinations_of_each_source() -> None:
    crow, col, weight = small().csr("near")
    assert crow.tolist() == [0, 0, 2, 2, 3, 3]
    assert col.tolist() == [2, 3, 1]
    assert weight.tolist() == [0.5, 0.25, 1.0]
    with pytest.raises(UnknownIdError, match="did you mean 'brand'"):
        small().csr("brnd")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"edge_type": torch.tensor([0, 0, 0])}, "needs edge_index"),
        ({"edge_weight": torch.ones(4, dtype=torch.float64)}, "float64"),
        ({"edge_index": torch.tensor([[0, 3, 1, 2], [2, 1, 3, 4]])}, "outside 1…4"),
        ({"edge_index": torch.tensor([[1, 3, 1, 2], [2, 1, 3, 5]])}, "outside 1…4"),
        ({"edge_type": torch.tensor([0, 0, 0, 2])}, "outside 0…1"),
        ({"edge_weight": torch.tensor([0.5, 1.0, -0.25, 1.0])}, "negative"),
        ({"edge_weight": torch.tensor([0.5, 1.0, torch.nan, 1.0])}, "not finite"),
        ({"edge_index": torch.tensor([[1, 3, 1, 2], [2, 1, 2, 4]])}, "1 → 2 of 'near' occurs twice"),
    ],
)
def test_bad_edges_give_one_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        small(**change)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs())
def test_save_and_load(tmp_path: Path, graph: ItemGraph) -> None:
    assert_same(ItemGraph.load(graph.save(tmp_path / "graph")), graph)


@pytest.mark.parametrize("broken", ["missing", "truncated", "half", "foreign", "list"])
def test_a_broken_folder_gives_one_sentence(tmp_path: Path, broken: str) -> None:
    folder = small().save(tmp_path / "graph")
    tensors = folder / "graph.safetensors"
    if broken == "missing":
        shutil.rmtree(folder)
    elif broken == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-9])
    elif broken == "half":
        tensors.unlink()
    else:
        (folder / "graph.json").write_text('{"format": 99}' if broken == "foreign" else "[1]")
    with pytest.raises(DataError, match="graph"):
        ItemGraph.load(folder)
