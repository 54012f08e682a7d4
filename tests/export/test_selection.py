from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.errors import ConfigError
from lrdgraph.export import select
from lrdgraph.export.selection import Selection
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary
from tests.export.worlds import enriched

SYMMETRIC = (Relation("like", "latent", symmetric=True), Relation("other", "latent", symmetric=False))


def triples(chosen: Selection) -> list[tuple[str, str, str, float]]:
    """All rows in order, each with what is most said of it."""
    rows = []
    for block in chosen.blocks():
        table = chosen.table(block)
        sure = block.value if block.probability is None else block.probability
        rows += zip(table["head"], table["relation"], table["tail"], sure.tolist(), strict=True)
    return rows


def slow(
    source: EnrichedGraph,
    threshold: float,
    top_k: int | None,
    items: Collection[str] | None,
    symmetric_once: bool,
    squared: bool,
) -> list[tuple[str, str, str, float]]:
    """The same by loops."""
    ids, found = source.graph.items.series.to_list(), []
    for k, relation in enumerate(source.latent):
        rows = []
        for p, (i, j) in enumerate(source.latent_index.T.tolist()):
            q = np.float32(source.mixture[p, k].item())
            sure = q * q if squared else q
            if sure >= np.float32(threshold) and (items is None or {ids[i - 1], ids[j - 1]} <= set(items)):
                rows.append((i, -sure, -q, j))
        if symmetric_once and relation.symmetric:
            pairs = {(i, j): (minus, i) for i, minus, _, j in rows}
            rows = [r for r in rows if pairs[r[0], r[3]] <= pairs.get((r[3], r[0]), (1.0, 0))]
        rows.sort()
        for i in dict.fromkeys(row[0] for row in rows):
            found += [(ids[i - 1], relation.name, ids[j - 1], float(-s)) for h, s, _, j in rows if h == i][:top_k]
    return found


@settings(max_examples=60)
@given(
    data=st.data(),
    threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    top_k=st.sampled_from([None, 1, 2]),
    items=st.sampled_from([None, ["a", "b", "d"], []]),
    symmetric_once=st.booleans(),
    squared=st.booleans(),
)
def test_equals_a_loop_over_pairs(data, threshold, top_k, items, symmetric_once, squared):
    every = [(i, j) for i in range(1, 5) for j in range(1, 5) if i != j]
    pairs = data.draw(st.lists(st.sampled_from(every), unique=True, max_size=12))
    quarters = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    shares = data.draw(st.lists(st.tuples(quarters, quarters), min_size=len(pairs), max_size=len(pairs)))
    graph = ItemGraph(
        *(torch.empty(2, 0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0)),
        *(RelationVocabulary(), Vocabulary(list("abcd")), Vocabulary([], "attribute")),
    )
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    source = EnrichedGraph(graph, index, torch.tensor(shares).reshape(-1, 2), SYMMETRIC)
    calibration = {"like": np.square, "other": np.square} if squared else None
    options = {"threshold": threshold, "top_k": top_k, "items": items, "symmetric_once": symmetric_once}
    chosen = select(source, calibration=calibration, **options)
    assert triples(chosen) == slow(source, **options, squared=squared)


def test_recorded_triples_come_whole_and_once():
    source = enriched(weight=[0.25, 1, 1, 1, 1])
    inverse = Relation("needs^-1", "inverse")
    graph = source.graph
    needs = graph.edges_of("needs")
    both = ItemGraph(
        torch.cat([graph.edge_index, graph.edge_index[:, needs].flip(0)], dim=1),
        torch.cat([graph.edge_type, torch.full((2,), 2)]),
        torch.cat([graph.edge_weight, graph.edge_weight[needs]]),
        graph.relations.add(inverse),
        graph.items,
        graph.attributes,
    )
    recorded = [
        ("pen", "needs", "ink", 0.25),
        ("pad", "needs", "case", 1.0),
        ("pen", "colour", "red", 1.0),
        ("ink", "colour", "blue", 1.0),
        ("pad", "colour", "red", 1.0),
    ]
    assert triples(select(both, which="predefined", threshold=0.9)) == recorded
    assert triples(select(both, which="predefined", items=["pad", "case"])) == [recorded[1], recorded[4]]
    named = select(both, which="predefined", relations=["needs^-1"])
    assert triples(named) == [("ink", "needs^-1", "pen", 0.25), ("case", "needs^-1", "pad", 1.0)]
    everything = select(replace(source, graph=both), which="all")
    assert triples(everything)[:5] == recorded
    assert len(triples(everything)) == 12


def test_a_known_symmetric_relation_is_told_once():
    graph = enriched().graph
    relations = RelationVocabulary([Relation("needs", symmetric=True), Relation("colour", "attribute")])
    edges = torch.tensor([[1, 2, 3, 4], [2, 1, 4, 3]])
    weight = torch.tensor([0.25, 0.5, 1.0, 1.0])
    kinds = torch.zeros(4, dtype=torch.int64)
    source = ItemGraph(edges, kinds, weight, relations, graph.items, graph.attributes)
    assert len(triples(select(source, which="predefined"))) == 4
    once = select(source, which="predefined", symmetric_once=True)
    assert triples(once) == [("ink", "needs", "pen", 0.5), ("pad", "needs", "case", 1.0)]


def test_columns_are_those_that_a_chosen_relation_has():
    source, squared = enriched(), {"latent_0": np.square}
    assert list(select(source).measures) == ["posterior", "calibrated"]
    assert list(select(source, which="predefined").measures) == ["weight"]
    assert list(select(source, calibration=squared, relations=["latent_1"]).measures) == ["posterior", "calibrated"]
    chosen = select(source, which="all", calibration=squared)
    assert list(chosen.measures) == ["weight", "posterior", "probability", "calibrated"]
    tables = {rows.relation.name: chosen.table(rows) for rows in chosen.blocks()}
    assert tables["latent_0"].row(0, named=True) == {
        **{"head": "pen", "relation": "latent_0", "tail": "ink", "kind": "latent", "weight": None},
        **{"posterior": pytest.approx(0.9), "probability": pytest.approx(0.81), "calibrated": True},
    }
    assert tables["latent_1"]["calibrated"].to_list() == [False, False]
    assert tables["latent_1"]["probability"].null_count() == 2
    assert tables["needs"].columns == tables["latent_0"].columns
    assert tables["needs"].schema == tables["latent_0"].schema
    assert tables["needs"]["calibrated"].null_count() == 2


def test_the_threshold_is_one_of_probability_where_it_is_calibrated():
    chosen = select(enriched(), calibration={"latent_0": np.square}, threshold=0.5)
    assert triples(chosen)[:2] == [
        ("pen", "latent_0", "ink", pytest.approx(0.81)),
        ("pen", "latent_0", "case", pytest.approx(0.64)),
    ]
    assert len(triples(chosen)) == 4


def test_what_has_no_recorded_relations_is_told():
    with pytest.raises(ConfigError, match="object holds no predefined relations; build a graph"):
        select(object(), which="predefined")
    with pytest.raises(ConfigError, match="ItemGraph discovers no relations"):
        select(enriched().graph)


@pytest.mark.parametrize("edges_at_once", [1, 2, 7])
def test_heads_that_are_sorted_apart_come_in_the_same_order(edges_at_once: int, monkeypatch: pytest.MonkeyPatch):
    source = many_pairs(40, 300)
    expected = slow(source, 0.3, 2, None, False, False)
    monkeypatch.setattr("lrdgraph.export.selection.EDGES_AT_ONCE", edges_at_once)
    chosen = select(source, threshold=0.3, top_k=2)
    assert triples(chosen) == expected
    assert len({len(block) for block in chosen.blocks()}) > 1


def many_pairs(items: int, pairs: int) -> EnrichedGraph:
    """Random pairs in no order, with two relations."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(1, items + 1, (2, pairs), generator=generator)
    index = index[:, index[0] != index[1]].unique(dim=1)
    index = index[:, torch.randperm(index.size(1), generator=generator)]
    graph = ItemGraph(
        *(torch.empty(2, 0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0)),
        *(RelationVocabulary(), Vocabulary([f"i{n}" for n in range(items)]), Vocabulary([], "attribute")),
    )
    mixture = torch.rand(index.size(1), 2, generator=generator) / 2
    return EnrichedGraph(graph, index, mixture, SYMMETRIC)
