"""Alignment worked by hand, and found where it was planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from lrdgraph.errors import DataError
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.recorded import recorded
from lrdgraph.quality.alignment import Alignment, align, counterparts, telling_top
from lrdgraph.quality.hidden import connected
from tests.quality.worlds import graph_of

ATTRIBUTES = {"made_by": "attribute"}
GRAPH = graph_of({"r": [(1, 2), (3, 4)], "s": [(2, 1)], "made_by": [(1, 5), (3, 5)]}, 4, 1, ATTRIBUTES)
PAIRS = torch.tensor([[1, 2, 3, 1], [2, 1, 4, 3]])


def enriched(mixture: list[list[float]]) -> EnrichedGraph:
    return enrich(GRAPH, PAIRS, lambda i, j: torch.tensor(mixture))


def test_recorded_pairs_by_hand() -> None:
    assert {k: v.tolist() for k, v in recorded(GRAPH, PAIRS, attributes=True).items()} == {
        "r": [True, False, True, False],
        "s": [False, True, False, False],
        "made_by": [False, False, False, True],
    }
    assert set(recorded(GRAPH, PAIRS)) == {"r", "s"}
    assert connected(GRAPH, PAIRS).tolist() == [True, True, True, False]


def test_a_relation_may_join_items_and_values() -> None:
    mixed = graph_of({"r": [(1, 2), (1, 5), (3, 5)]}, 4, 1)
    assert recorded(mixed, PAIRS)["r"].tolist() == [True, False, False, False]
    assert recorded(mixed, PAIRS, attributes=True)["r"].tolist() == [True, False, False, True]


def test_alignment_by_hand() -> None:
    found = align(enriched([[0.8, 0.2], [0.0, 1.0], [0.6, 0.0], [0.2, 0.1]]), tops=(1, 3))
    assert [(a.latent, a.relation) for a in found[:3]] == [
        ("latent_0", "r"),
        ("latent_0", "s"),
        ("latent_0", "made_by"),
    ]
    first = found[0]
    # mass 1.6 of 4, of which 1.4 on the two pairs of r
    joint = np.array([[1.4, 0.2], [0.6, 1.8]]) / 4
    apart = np.outer([0.4, 0.6], [0.5, 0.5])
    information = (joint * np.log(joint / apart)).sum()
    entropy = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6)), math.log(2)
    assert first.nmi == pytest.approx(2 * information / sum(entropy))
    assert first.precision == {1: 1.0, 3: pytest.approx(2 / 3)}
    assert (first.base, first.lift(1)) == (0.5, 2)


def test_of_hard_posteriors_it_is_that_of_scikit_learn() -> None:
    found = align(enriched([[1, 0], [0, 1], [1, 0], [1, 0]]))
    theirs = normalized_mutual_info_score([1, 0, 1, 1], [1, 0, 1, 0])
    assert found[0].nmi == pytest.approx(theirs)
    assert found[0].to_json()["precision"] == {"100": 0.5, "1000": 0.5}


def test_counterparts_have_more_at_the_top_than_chance() -> None:
    found = align(enriched([[0.9, 0.1], [0.0, 1.0], [0.8, 0.0], [0.1, 0.1]]), tops=(1, 2))
    assert counterparts(found, ["r", "s"]) == {"latent_0": "r", "latent_1": "s"}
    assert counterparts(found, ["r"]) == {"latent_0": "r"}, (
        "one that says 'not r' is no counterpart, as high as its nmi is"
    )
    assert counterparts(found, ["r", "s"], least_lift=3) == {}


@pytest.mark.parametrize(("pairs", "top"), [(900, 100), (1500, 100), (3999, 100), (4000, 1000), (399, None)])
def test_few_pairs_are_judged_by_a_smaller_top(pairs: int, top: int | None) -> None:
    """At the top 1,000 of 1,500 pairs no relation is met 1.5 times as often as by chance."""
    joins = np.arange(pairs) < 50  # the posterior is exactly the recorded relation
    precision = {n: float(joins[:n].mean()) for n in (100, 1000)}
    exact = Alignment("latent_0", "complement", 1.0, precision, float(joins.mean()), pairs)
    assert telling_top(precision, pairs) == top
    assert counterparts([exact], ["complement"]) == ({} if top is None else {"latent_0": "complement"})


def test_without_candidates_there_is_nothing_to_align() -> None:
    none = torch.empty(2, 0, dtype=torch.int64)
    with pytest.raises(DataError, match="no candidate pairs"):
        align(enrich(GRAPH, none, lambda i, j: torch.empty(0, 2)))
