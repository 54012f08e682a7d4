from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.export import relation_report
from lrdgraph.export.relations import Overlap, RelationSummary
from lrdgraph.graph.enrichment import enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary
from tests.export.worlds import enriched
from tests.models import shop

TITLES = ["A pen", "Blue ink", "A pad", ""]


def test_by_hand():
    # pairs (1,2) (2,1) (1,3) (3,4) (4,1) (1,4)
    posterior = [(0.9, 0.0), (0.6, 0.1), (0.1, 0.2), (0.7, 0.3), (0.0, 0.4), (0.0, 0.8)]
    first, second, none = relation_report(enriched(posterior=posterior), TITLES, top=2)
    assert (first.name, second.name, none.name) == ("latent_0", "latent_1", "none")
    assert first.usage == pytest.approx(2.3 / 6)
    assert second.usage == pytest.approx(1.8 / 6)
    assert none.usage == pytest.approx(1.9 / 6)
    assert [first.chosen, second.chosen, none.chosen] == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    assert [first.confidence, second.confidence, none.confidence] == pytest.approx([2.2 / 3, 0.8, 1.3 / 2])
    # its two best pairs are the two edges of "needs"; of all six pairs two are, and one shares a colour
    assert first.overlap == {"needs": Overlap(1.0, pytest.approx(2 / 6)), "colour": Overlap(0.0, pytest.approx(1 / 6))}
    assert first.resembles == "needs"
    assert none.resembles == "colour"
    assert second.resembles is None
    assert [(e.head, e.tail, e.head_title, e.tail_title) for e in first.examples] == [
        ("pen", "ink", "A pen", "Blue ink"),
        ("pad", "case", "A pad", "case"),  # an item without a title is shown by its id
    ]
    assert str(first).splitlines() == [
        "latent_0: 38.3% of the posterior, likeliest for 50.0% of pairs (mean posterior 0.73); "
        "most like needs (100% of its top pairs, 33% of all)",
        "  0.90  A pen → Blue ink",
        "  0.70  A pad → case",
    ]
    assert "most like" not in str(second)


def test_without_a_none_state_there_is_no_none():
    posterior = [(0.9, 0.1), (0.6, 0.4), (0.1, 0.9), (0.7, 0.3), (0.0, 1.0), (0.2, 0.8)]
    summaries = relation_report(enriched(posterior=posterior), TITLES)
    assert [s.name for s in summaries] == ["latent_0", "latent_1"]
    assert sum(s.usage for s in summaries) == pytest.approx(1)
    assert sum(s.chosen for s in summaries) == pytest.approx(1)


def test_an_item_stands_in_one_example_and_equal_titles_in_none():
    rng = np.random.default_rng(0)
    pairs = [(i, j) for i in range(1, 41) for j in range(1, 41) if i != j]
    posterior = rng.uniform(0, 1, (len(pairs), 1)).astype(np.float32)
    titles = [f"Title {n // 2}" for n in range(40)]
    posterior[pairs.index((1, 2))] = 1  # the two have one title
    graph = enriched([f"i{n}" for n in range(40)], pairs, posterior.tolist())
    examples = relation_report(graph, titles, examples=8)[0].examples
    assert len(examples) == 8
    used = [name for e in examples for name in (e.head, e.tail)]
    assert len(set(used)) == 16
    assert all(e.head_title.casefold() != e.tail_title.casefold() for e in examples)
    values = [e.posterior for e in examples]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(q for (i, j), (q,) in zip(pairs, posterior, strict=True) if titles[i - 1] != titles[j - 1])


def test_a_relation_to_items_and_values_joins_by_either():
    graph = ItemGraph(
        edge_index=torch.tensor([[1, 3, 4], [2, 5, 5]]),
        edge_type=torch.zeros(3, dtype=torch.int64),
        edge_weight=torch.ones(3),
        relations=RelationVocabulary([Relation("mixed")]),
        items=Vocabulary(["a", "b", "c", "d"]),
        attributes=Vocabulary(["value"], "attribute"),
    )
    pairs = torch.tensor([[1, 3, 1], [2, 4, 3]])
    weights = torch.tensor([[0.9], [0.8], [0.1]])
    summary, _ = relation_report(enrich(graph, pairs, lambda i, j: weights), [""] * 4, top=2)
    assert summary.overlap == {"mixed": Overlap(1.0, pytest.approx(2 / 3))}


def test_a_small_excess_is_no_likeness():
    summary = RelationSummary("r", 0.1, 0.1, 0.5, (), {"a": Overlap(0.34, 0.30), "b": Overlap(0.0, 0.5)})
    assert summary.resembles is None
    assert replace(summary, overlap=summary.overlap | {"c": Overlap(0.2, 0.1)}).resembles == "c"


def test_a_relation_that_never_occurs_has_no_examples():
    summary = relation_report(enriched(posterior=[(0.0, 0.5)] * 6), TITLES)[0]
    assert (summary.usage, summary.chosen, summary.confidence, summary.examples) == (0.0, 0.0, 0.0, ())


def test_a_planted_posterior_is_told_apart_from_a_shuffled_one():
    graph = shop.model("lrdgraph", text_neighbours=10).enriched().detach()
    head, tail = graph.latent_index.numpy()
    same = torch.from_numpy(((head - 1) // 4 == (tail - 1) // 4).astype(np.float32))
    assert 0 < same.mean() < 0.7

    def summary(planted):
        mixture = torch.stack([0.1 + 0.8 * planted, 0.9 - 0.8 * planted], dim=1)
        return relation_report(type(graph)(graph.graph, graph.latent_index, mixture, graph.latent), titles(), top=30)

    first, second = summary(same)
    assert first.overlap["colour"].top == 1.0
    assert first.resembles == "colour"
    assert second.overlap["colour"].top == 0.0
    assert all(e.head.split("-")[0] == e.tail.split("-")[0] for e in first.examples)
    shuffled = summary(same[torch.randperm(len(same))])[0].overlap["colour"]
    assert abs(shuffled.top - shuffled.all) < 0.3


def titles() -> list[str]:
    return shop.shop().fields["title"].to_list()


def test_of_a_trained_model():
    model = shop.model("lrdgraph", steps=20)
    summaries = relation_report(model, titles(), examples=3)
    assert [s.name for s in summaries] == ["latent_0", "latent_1", "none"]
    assert sum(s.usage for s in summaries) == pytest.approx(1, abs=1e-5)
    assert all(set(s.overlap) == {"needs", "colour", "needs^-1"} for s in summaries)


def test_bad_input_is_told():
    with pytest.raises(DataError, match="There are 3 titles for 4 items; give one each."):
        relation_report(enriched(), TITLES[:3])
    with pytest.raises(ConfigError, match="examples must be 0 or more"):
        relation_report(enriched(), TITLES, examples=-1)
    with pytest.raises(ConfigError, match="SASRec discovers no relations"):
        relation_report(shop.model("sasrec"), titles())
    graph = enriched()
    empty = type(graph)(graph.graph, torch.empty(2, 0, dtype=torch.int64), torch.empty(0, 2), graph.latent)
    with pytest.raises(DataError, match="no candidate pairs"):
        relation_report(empty, TITLES)
