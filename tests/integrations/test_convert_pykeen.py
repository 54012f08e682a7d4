"""Graphs to PyKEEN and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from pykeen.triples import CoreTriplesFactory, TriplesFactory

from lrdgraph.errors import DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import from_pykeen, to_pykeen
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import RelationVocabulary
from lrdgraph.vocabulary import Vocabulary
from tests.graph.worlds import assert_same, assert_same_enriched, corpus, edges, enriched_graphs, graphs

GRAPH = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)], weight=[0.5, 1.0, 0.25]))
ENRICHED = enrich(GRAPH, torch.tensor([[4, 1, 2], [3, 2, 1]]), lambda i, j: torch.tensor([[0.25, 0.5], [0, 0], [0, 1]]))


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_nothing_is_lost_on_the_way_round(graph: ItemGraph) -> None:
    assume(graph.num_nodes and len(graph.relations))
    factory, values = to_pykeen(graph)
    assert json.loads(json.dumps(values.about)) == values.about
    back = from_pykeen(factory, values)
    assert isinstance(back, ItemGraph)
    assert_same(back, graph)


@settings(max_examples=80, deadline=None)
@given(enriched_graphs())
def test_nothing_of_the_latent_edges_is_lost_on_the_way_round(graph: EnrichedGraph) -> None:
    assume(graph.graph.num_nodes)
    factory, values = to_pykeen(graph)
    assert_same_enriched(from_pykeen(factory, values), graph)
    assert factory.num_triples == graph.graph.num_edges + int((graph.mixture > 0).sum())
    ids = graph.graph.items.series.to_list()
    assert [factory.entity_id_to_label[n] for n in range(len(ids))] == ids


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_labels_alone_tell_the_triples(graph: ItemGraph) -> None:
    """Whoever has the factory and nothing else has every triple by its ids, save what is said of the numbers."""
    assume(graph.num_nodes and len(graph.relations))
    factory, _ = to_pykeen(graph)
    back = from_pykeen(factory)
    assert isinstance(back, ItemGraph)
    assert torch.equal(back.edge_index, graph.edge_index)
    assert torch.equal(back.edge_type, graph.edge_type)
    assert back.relations.names == graph.relations.names


def test_by_hand() -> None:
    factory, values = to_pykeen(ENRICHED)
    assert factory.entity_to_id == {"i1": 0, "i2": 1, "i3": 2, "i4": 3, "a1": 4, "a2": 5}
    assert list(factory.relation_to_id) == ["complement", "brand", "complement^-1", "brand^-1", "latent_0", "latent_1"]
    triples = [
        *([0, 0, 1], [2, 1, 4], [3, 1, 5], [1, 2, 0], [4, 3, 2], [5, 3, 3]),
        *([3, 4, 2], [3, 5, 2], [1, 5, 0]),
    ]
    assert factory.mapped_triples.tolist() == triples
    assert values.weight.tolist() == [0.5, 1.0, 0.25, 0.5, 1.0, 0.25, 0.25, 0.5, 1.0]
    assert values.weights(torch.tensor([[1, 5, 0], [0, 0, 1]])).tolist() == [1.0, 0.5]
    with pytest.raises(DataError, match=r"triple \[0, 0, 2\] was not made"):
        values.weights(torch.tensor([[0, 0, 1], [0, 0, 2]]))


def test_an_item_and_an_attribute_of_one_id_stay_two() -> None:
    items, attributes = Vocabulary(["x", "x (attribute)", "y"], "item"), Vocabulary(["x", "z"], "attribute")
    relations = RelationVocabulary([GRAPH.relations[1]])
    graph = ItemGraph(torch.tensor([[1], [4]]), torch.tensor([0]), torch.ones(1), relations, items, attributes)
    factory, values = to_pykeen(graph)
    assert list(factory.entity_to_id) == ["x", "x (attribute)", "y", "x (attribute) (attribute)", "z"]
    assert_same(from_pykeen(factory, values), graph)  # type: ignore[arg-type]


def test_a_part_of_a_split_keeps_its_weights() -> None:
    factory, values = to_pykeen(ENRICHED)
    part = TriplesFactory(factory.mapped_triples[[7, 2, 0]], factory.entity_to_id, factory.relation_to_id)
    back = from_pykeen(part, values)
    assert isinstance(back, EnrichedGraph)
    assert edges(back.graph) == {
        **{"complement": [(1, 2, 0.5)], "brand": [(4, 6, 0.25)]},
        **{"complement^-1": [], "brand^-1": []},
    }
    assert torch.equal(back.latent_index, ENRICHED.latent_index)
    assert back.mixture.tolist() == [[0.0, 0.5], [0.0, 0.0], [0.0, 0.0]]


def test_small_posteriors_are_no_triples_and_are_not_lost() -> None:
    factory, values = to_pykeen(ENRICHED, min_posterior=0.3)
    assert factory.num_triples == 8
    assert_same_enriched(from_pykeen(factory, values), ENRICHED)
    precise = replace(ENRICHED, mixture=ENRICHED.mixture.double() / 3)
    assert_same_enriched(from_pykeen(*to_pykeen(precise)), precise)


def test_what_does_not_fit_gives_one_sentence() -> None:
    factory, values = to_pykeen(GRAPH)
    other = TriplesFactory.from_labeled_triples(factory.triples)
    with pytest.raises(DataError, match="numbers entities or relations otherwise"):
        from_pykeen(other, values)
    with pytest.raises(DataError, match="no labels"):
        from_pykeen(CoreTriplesFactory.create(factory.mapped_triples))
    bare = replace(GRAPH, edge_index=GRAPH.edge_index[:, :0], edge_type=GRAPH.edge_type[:0], edge_weight=torch.empty(0))
    assert to_pykeen(bare)[0].num_triples == 0
    with pytest.raises(DataError, match="without nodes or without relations"):
        to_pykeen(replace(bare, relations=RelationVocabulary()))
    with pytest.raises(DataError, match="without nodes or without relations"):
        to_pykeen(replace(bare, items=Vocabulary([]), attributes=Vocabulary([])))
