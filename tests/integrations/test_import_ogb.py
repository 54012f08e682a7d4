"""A set that OGB's own saver wrote, through our conversion, as predefined relations."""

from __future__ import annotations

from pathlib import Path

from data_loaders import with_triples
from lrdgraph.graph.convert import to_ogb
from tests.data_loaders.kgs import told
from tests.export.test_triples import bare
from tests.export.worlds import enriched


def test_a_set_of_ours_is_read(tmp_path: Path) -> None:
    ids = ["a pen", "ink", "pad", "case"]
    to_ogb(enriched(ids, weight=[0.25, 1, 1, 1, 1]).graph, tmp_path / "set")
    corpus = with_triples(bare(ids), tmp_path / "set")
    rows = dict(zip(told(corpus), corpus.triples.weight.tolist(), strict=True))
    assert rows == {
        ("a pen", "needs", "ink"): 0.25,
        ("pad", "needs", "case"): 1.0,
        ("a pen", "colour", "red"): 1.0,
        ("pad", "colour", "red"): 1.0,
        ("ink", "colour", "blue"): 1.0,
    }


def test_latent_edges_are_left_out_and_counted(tmp_path: Path) -> None:
    to_ogb(enriched().detach(), tmp_path / "set")
    corpus = with_triples(bare(["pen", "ink", "pad", "case"]), tmp_path / "set")
    assert (len(corpus.triples), corpus.dropped) == (5, {"latent edges": 6})
