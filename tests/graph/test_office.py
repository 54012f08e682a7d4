"""The graph of Office Products, where its data lie beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data_loaders import load
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.candidates import two_hop_pairs
from lrdgraph.graph.cooccurrence import cooccurrence_pairs
from lrdgraph.splits import split

OFFICE = Path(__file__).resolve().parents[3] / "shared" / "data" / "office"
pytestmark = pytest.mark.skipif(not OFFICE.exists(), reason="the Office data are not beside the project")


def test_graph_and_candidates_of_office() -> None:
    corpus = load(OFFICE)
    graph = build_graph(corpus)
    counts = graph.edge_counts()
    assert counts["complement"] == counts["complement^-1"] == 38_071
    assert counts["substitute"] == counts["substitute^-1"] == 18_345
    kinds = {relation.name: relation.kind for relation in graph.relations}
    assert (kinds["complement"], kinds["category"], kinds["brand^-1"]) == ("predefined", "attribute", "inverse")
    hops = two_hop_pairs(graph, 30)
    assert int(torch.bincount(hops[1]).max()) == 30
    training = split(corpus).training()
    found = cooccurrence_pairs(training, corpus.num_items)
    user = torch.from_numpy(training.user)
    same = user[1:] == user[:-1]
    i, j = (torch.from_numpy(side)[same] for side in (training.item[:-1], training.item[1:]))
    present, held = found.position(i, j) >= 0, found.held_out(user[1:][same], i, j)
    assert bool((present | ~held).all())
    assert 0 < int(held.sum()) < int(present.sum())
