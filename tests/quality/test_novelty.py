"""New pairs that come true, by hand and beside random pairs of like popularity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.quality.novelty import later_transitions, novelty
from lrdgraph.splits import split
from tests.graph.worlds import corpus
from tests.quality.worlds import graph_of

ITEMS = 200
POPULARITY = torch.ones(ITEMS + 1)


def shop(posterior) -> EnrichedGraph:
    graph = graph_of({"r": [(1, 2), (4, 3)]}, ITEMS)
    first = torch.arange(1, ITEMS)
    pairs = torch.cat([torch.stack([first, first + 1]), torch.stack([first + 1, first])], dim=1)
    return enrich(graph, pairs, posterior)


def forward(i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    up = (j > i).float() * (1 - i / 1000)
    return torch.stack([up, 1 - up], dim=1)


def test_later_transitions_are_those_of_validation_and_test() -> None:
    parts = split(corpus([], items=6, events=[[1, 2, 3, 4], [5, 6, 6], [2, 3, 3, 4]]), "leave-one-out")
    assert later_transitions(parts).T.tolist() == [[2, 3], [3, 4], [5, 6]]


def test_by_hand() -> None:
    later = torch.tensor([[3, 5, 1, 60], [4, 6, 2, 59]])
    first, second = novelty(shop(forward), later, POPULARITY, tops=(4,), draws=3)
    # 1 → 2 is an edge and 3 → 4 one turned round; the four clearest are 2 → 3, 4 → 5, 5 → 6, 6 → 7
    assert (first.latent, first.pairs, first.rate) == ("latent_0", 4, 0.25)
    new = 2 * (ITEMS - 1) - 4
    assert first.candidates == pytest.approx(2 / new), "of the later ones 5 → 6 and 60 → 59 are new"
    assert second.rate == 0


def test_what_training_has_walked_may_be_left_out() -> None:
    later = torch.tensor([[5, 7], [6, 8]])
    walked = torch.tensor([[5], [6]])
    (first, _) = novelty(shop(forward), later, POPULARITY, tops=(4,), draws=3, walked=walked)
    assert first.rate == 0.25, "5 → 6 is no longer new, 7 → 8 takes its place among the four"


def test_a_posterior_that_foresees_is_lifted_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(0)
    ends = torch.from_numpy(rng.integers(1, ITEMS + 1, (2, 4000)))
    graph = graph_of({"r": [(1, 2)]}, ITEMS)
    pairs = torch.from_numpy(np.unique(ends[:, ends[0] != ends[1]].numpy(), axis=1))
    true = torch.from_numpy(rng.random(pairs.size(1)) < 0.3)
    foresees = torch.stack([true.float(), torch.from_numpy(rng.random(pairs.size(1))).float()], dim=1)
    found = novelty(enrich(graph, pairs, lambda i, j: foresees), pairs[:, true], POPULARITY, tops=(500,), draws=50)
    base = float(true.sum()) / ITEMS**2
    assert found[0].rate == 1
    for entry in found:
        assert entry.control == pytest.approx(base, rel=0.2)
    assert found[0].lift is not None
    assert found[0].lift > 20
    assert found[1].rate == pytest.approx(0.3, abs=0.06), (
        "all candidates come true so often: only the matched ones differ"
    )
    assert found[1].candidates == pytest.approx(0.3, abs=0.05)


def test_controls_are_as_popular_as_what_they_stand_for() -> None:
    # the later ones are between the ten most popular items; pairs of the others have a control that never comes true
    popularity = torch.cat([torch.zeros(1), torch.arange(ITEMS, 0, -1.0)])
    top = torch.cartesian_prod(torch.arange(1, 11), torch.arange(1, 11)).T
    later = top[:, top[0] != top[1]]
    popular, other = torch.tensor([[3, 5], [8, 9]]), torch.tensor([[103, 105], [108, 109]])
    graph = graph_of({"r": [(1, 2)]}, ITEMS)

    def control(pairs: torch.Tensor) -> float:
        graph_of_pairs = enrich(graph, pairs, lambda i, j: torch.ones(len(i), 1))
        return novelty(graph_of_pairs, later, popularity, tops=(2,), window=2, draws=50)[0].control

    assert control(popular) > 0.8
    assert control(other) == 0


def test_refused_and_empty() -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        novelty(shop(forward), torch.ones(2, 1, dtype=torch.int64), POPULARITY, window=0)
    joined = enrich(graph_of({"r": [(1, 2)]}, 3), torch.tensor([[2], [1]]), lambda i, j: torch.ones(1, 1))
    assert novelty(joined, torch.tensor([[1], [2]]), torch.ones(4)) == []
