from __future__ import annotations

import numpy as np
import polars as pl
import torch

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.triples import ItemValues, TripleSampler, relation_slots
from lrdgraph.vocabulary import Vocabulary

# items 1 to 6, values 7 (red), 8 (blue), 9 (wood); item 5 has no colour, item 1 has two materials
FACTS = [(1, 0, 2), (2, 0, 3), (4, 0, 1), (1, 1, 7), (2, 1, 7), (3, 1, 8), (6, 1, 7), (1, 2, 9), (1, 2, 8), (4, 2, 9)]


def graph(*, inverses: bool = False) -> ItemGraph:
    head, relation, tail = (np.array(column) for column in zip(*FACTS, strict=True))
    corpus = Corpus(
        name="facts",
        users=Vocabulary(["u"], "user"),
        items=Vocabulary([f"i{n}" for n in range(1, 7)]),
        user=np.ones(6, dtype=np.int64),
        item=np.arange(1, 7),
        time=np.arange(6),
        fields=pl.DataFrame(),
        attributes=Vocabulary(["red", "blue", "wood"], "attribute"),
        triples=Triples(head, relation, tail, ("needs", "colour", "material")),
    )
    return build_graph(corpus, inverses=inverses, min_attribute_items=1)


def test_relations_are_told_apart_by_their_tails() -> None:
    made = graph()
    assert relation_slots(made) == ([0], [1, 2])
    made = graph(inverses=True)
    names = made.relations.names
    slots = relation_slots(made)
    assert [names[r] for r in slots.between] == ["needs", "needs^-1"]
    assert [names[r] for r in slots.attribute] == ["colour", "material"]


def test_values_by_hand() -> None:
    made = graph()
    values = ItemValues(made, [1, 2], 2)
    with torch.no_grad():
        # none, red, blue, wood, colour unknown, material unknown
        values.table.weight.copy_(torch.tensor([[9.0, 9], [1, 0], [2, 0], [4, 0], [0, 5], [0, 7]]))
    found = values(torch.tensor([1, 3, 5]))
    assert found.tolist() == [[[1, 0], [3, 0]], [[2, 0], [0, 7]], [[0, 5], [0, 7]]]
    assert values.none.tolist() == [9, 9]
    alone = ItemValues(made, [1], 2)
    assert alone(torch.tensor([[1, 2]])).shape == (1, 2, 1, 2)


def test_sampled_triples_are_facts_and_corrupted_ones_are_not() -> None:
    torch.manual_seed(0)
    made = graph()
    sampler = TripleSampler(made, relation_slots(made))
    head, tail, relation, value = sampler(4000, 2)
    true = set(zip(head[:, 0].tolist(), relation.tolist(), tail[:, 0].tolist(), value.tolist(), strict=True))
    sharing = {(1, 7 - 6): {1, 2, 6}, (1, 8 - 6): {3}, (2, 9 - 6): {1, 4}, (2, 8 - 6): {1}}
    expected = {(h, 1, t, 0) for h, r, t in FACTS if r == 0}
    expected |= {(h, r + 1, t, v - 6) for h, r, v in FACTS if r for t in sharing[r, v - 6]}
    assert true == expected
    corrupted_heads, corrupted_tails = (side[:, 1:] != side[:, :1] for side in (head, tail))
    assert not (corrupted_heads & corrupted_tails).any()
    assert 0.35 < float(corrupted_heads.float().mean()) < 0.5
    between = (value == 0)[:, None].expand(-1, 2)
    facts = {(h, t) for h, r, t in FACTS if r == 0}
    assert not facts & set(zip(head[:, 1:][between].tolist(), tail[:, 1:][between].tolist(), strict=True))


def test_the_same_seed_draws_the_same_triples() -> None:
    sampler = TripleSampler(graph(), relation_slots(graph()))
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(sampler(50, 3).head)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
