from __future__ import annotations

import logging

import numpy as np
import polars as pl
import pytest
import torch

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.graph.build import build_graph
from lrdgraph.vocabulary import Vocabulary
from tests.graph.worlds import corpus, edges


def kinds(graph: object) -> dict[str, str]:
    return {relation.name: relation.kind for relation in graph.relations}  # type: ignore[attr-defined]


def test_a_triple_runs_from_head_to_tail_and_its_inverse_back() -> None:
    graph = build_graph(corpus([(1, "complement", 2), (3, "brand", 5)]))
    assert edges(graph) == {
        "complement": [(1, 2, 1.0)],
        "brand": [(3, 5, 1.0)],
        "complement^-1": [(2, 1, 1.0)],
        "brand^-1": [(5, 3, 1.0)],
    }
    assert kinds(graph) == {
        "complement": "predefined",
        "brand": "attribute",
        "complement^-1": "inverse",
        "brand^-1": "inverse",
    }
    assert graph.relations[2].label == "complement (inverse)"


def test_without_inverses_the_graph_is_what_the_data_holds() -> None:
    triples = [(1, "complement", 2), (5, "makes", 3), (3, "made_by", 5)]
    graph = build_graph(corpus(triples), inverses=False)
    assert kinds(graph) == {"complement": "predefined", "makes": "attribute", "made_by": "attribute"}
    assert graph.num_edges == 3


def test_weights_follow_their_triples_and_the_largest_of_equal_ones_counts(caplog: pytest.LogCaptureFixture) -> None:
    triples = [(2, "r", 1), (1, "r", 2), (1, "r", 3), (1, "r", 2), (1, "s", 2)]
    with caplog.at_level(logging.INFO):
        graph = build_graph(corpus(triples, weight=[0.1, 0.2, 0.3, 0.9, 0.4]))
    assert edges(graph)["r"] == [(1, 2, pytest.approx(0.9)), (1, 3, pytest.approx(0.3)), (2, 1, pytest.approx(0.1))]
    assert edges(graph)["r^-1"] == [(1, 2, pytest.approx(0.1)), (2, 1, pytest.approx(0.9)), (3, 1, pytest.approx(0.3))]
    assert edges(graph)["s"] == [(1, 2, pytest.approx(0.4))]
    assert "1 triples occur more than once" in caplog.text


def test_a_symmetric_relation_gets_no_inverse() -> None:
    symmetric = [(1, "also_viewed", 2), (2, "also_viewed", 1), (3, "also_viewed", 3)]
    assert kinds(build_graph(corpus(symmetric))) == {"also_viewed": "predefined"}
    assert "also_viewed^-1" in kinds(build_graph(corpus([*symmetric, (1, "also_viewed", 4)])))
    assert "also_viewed^-1" in kinds(build_graph(corpus(symmetric, weight=[1.0, 0.5, 1.0])))


def test_a_transpose_in_the_data_serves_as_inverse_whichever_is_named_first() -> None:
    produced = [(1, "film.film.produced_by", 5), (2, "film.film.produced_by", 6), (1, "film.film.produced_by", 6)]
    produces = [(tail, "film.producer.film", head) for head, _, tail in produced]
    for triples in ([*produced, *produces], [*produces, *produced]):
        graph = build_graph(corpus(triples))
        assert kinds(graph) == {"film.film.produced_by": "attribute", "film.producer.film": "inverse"}
        assert graph.num_edges == 6
    almost = build_graph(corpus([*produced, *produces[1:]]))
    assert set(almost.relations.names) >= {"film.film.produced_by^-1", "film.producer.film^-1"}


def test_of_two_item_relations_the_first_is_forward() -> None:
    graph = build_graph(corpus([(1, "sequel", 2), (2, "prequel", 1)]))
    assert kinds(graph) == {"sequel": "predefined", "prequel": "inverse"}


def test_a_relation_that_joins_items_anywhere_is_predefined() -> None:
    graph = build_graph(corpus([(1, "sequel", 2), (2, "sequel", 5)]))
    assert kinds(graph)["sequel"] == "predefined"


def test_relations_are_chosen_and_left_out() -> None:
    data = corpus([(1, "complement", 2), (1, "substitute", 3), (3, "brand", 5)])
    assert build_graph(data, relations=["brand", "complement"], inverses=False).relations.names == (
        "complement",
        "brand",
    )
    assert build_graph(data, exclude=["complement"], inverses=False).relations.names == ("substitute", "brand")
    assert build_graph(data, relations=[]).num_edges == 0
    with pytest.raises(UnknownIdError, match="did you mean 'complement'"):
        build_graph(data, exclude=["complment"])
    with pytest.raises(UnknownIdError, match="it holds complement, substitute, brand"):
        build_graph(data, relations=["zzz"])


def test_a_transpose_that_was_left_out_is_made() -> None:
    data = corpus([(1, "sequel", 2), (2, "prequel", 1)])
    assert build_graph(data, exclude=["prequel"]).relations.names == ("sequel", "sequel^-1")


def test_no_triples_and_relations_without_triples() -> None:
    graph = build_graph(corpus([]))
    assert (graph.num_edges, len(graph.relations), graph.num_nodes) == (0, 0, 6)
    named = build_graph(corpus([(1, "r", 2)], names=("empty", "r")))
    assert edges(named) == {"empty": [], "r": [(1, 2, 1.0)], "r^-1": [(2, 1, 1.0)]}


def test_a_taken_name_gives_one_sentence() -> None:
    with pytest.raises(DataError, match=r"'r\^-1' occurs more than once"):
        build_graph(corpus([(1, "r", 2), (1, "r^-1", 3)]))


def test_attribute_values_of_a_single_item_can_be_left_out() -> None:
    corpus = attribute_world()
    graph = build_graph(corpus, min_attribute_items=2)
    assert graph.attributes.series.to_list() == ["red"]
    edges = graph.edge_index[:, graph.edges_of("colour")]
    assert edges.tolist() == [[1, 2], [4, 4]]  # three items, so the one value left is node 4
    assert graph.edge_counts()["size"] == 0
    assert build_graph(corpus).attributes.series.to_list() == ["blue", "red", "large"]


def attribute_world() -> Corpus:
    """Three items; two are red, one is blue, one is large."""
    items = Vocabulary(["a", "b", "c"])
    none = np.zeros(0, dtype=np.int64)
    triples = Triples(
        head=np.array([3, 1, 2, 1]),
        relation=np.array([0, 0, 0, 1]),
        tail=np.array([4, 5, 5, 6]),
        names=("colour", "size"),
    )
    attributes = Vocabulary(["blue", "red", "large"], "attribute")
    return Corpus(
        "shop", Vocabulary([], "user"), items, none, none, none, pl.DataFrame(), attributes=attributes, triples=triples
    )


def test_a_share_of_the_triples() -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(1, 201, (4000, 2)), axis=0)
    made = corpus([(int(i), "needs", int(j)) for i, j in pairs], items=200)
    found = {}
    for share in (0.0, 0.2, 0.5, 1.0):
        graph = build_graph(made, inverses=False, share=share)
        assert abs(graph.num_edges - share * len(pairs)) < 150
        found[share] = set(zip(*graph.edge_index.tolist(), strict=True))
    assert found[0.0] < found[0.2] < found[0.5] < found[1.0]
    assert torch.equal(build_graph(made, share=0.5).edge_index, build_graph(made, share=0.5).edge_index)
    with pytest.raises(ConfigError, match=r"share of triples to keep is 1\.5"):
        build_graph(made, share=1.5)


def test_both_directions_are_kept_or_left_out_together() -> None:
    rng = np.random.default_rng(0)
    pairs = [(int(i), int(j)) for i, j in np.unique(rng.integers(1, 201, (2000, 2)), axis=0)]
    apart = [(i, "sequel", j) for i, j in pairs] + [(j, "prequel", i) for i, j in pairs]
    alike = [(i, "near", j) for i, j in {*pairs, *((j, i) for i, j in pairs)}]
    made = corpus(apart + alike, items=200)
    whole = build_graph(made)
    assert kinds(whole) == {"sequel": "predefined", "prequel": "inverse", "near": "predefined"}
    for share in (0.2, 0.5):
        graph = build_graph(made, share=share)
        assert kinds(graph) == kinds(whole)
        for name, count in graph.edge_counts().items():
            assert abs(count - share * whole.edge_counts()[name]) < 150
