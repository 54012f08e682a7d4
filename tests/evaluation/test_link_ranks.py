"""Filtered ranks worked by hand and beside a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrdgraph.errors import DataError
from lrdgraph.evaluation import link_ranks
from lrdgraph.evaluation.link_ranks import filtered_ranks, link_metrics

#                       0    1    2    3    4    5    6
SCORES = torch.tensor([[9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]] * 2 + [[99.0, 50.0, 70.0, 30.0, 40.0, 30.0, 60.0]])


@pytest.mark.parametrize(("ties", "rank"), [("optimistic", 3), ("realistic", 3.5), ("pessimistic", 4)])
def test_a_rank_by_hand(ties, rank):
    # query 2: padding and itself never compete; of the others 6 (60) and 1 (50) and 4 (40) stand above 3 (30), 5 ties;
    # 6 is a known answer too and is set aside, which leaves 1 and 4 above
    known = torch.tensor([[2, 2, 1, 5], [3, 6, 4, 1]])
    found = filtered_ranks(lambda q: SCORES[q], torch.tensor([2]), torch.tensor([3]), known, ties=ties)
    assert found.tolist() == [rank]


def test_all_answers_of_a_query_are_ranked_and_keep_their_order():
    query, answer = torch.tensor([2, 1, 2]), torch.tensor([4, 3, 6])
    known = torch.stack([query, answer])
    assert filtered_ranks(lambda q: SCORES[q], query, answer, known).tolist() == [2, 3, 1]
    # query 1: items 2, 4, 5 and 6 tie with 3, so that it stands at 1 + 4 / 2


def test_metrics_by_hand():
    found = link_metrics(np.array([1.0, 3.5, 10.0, 20.0]))
    assert found == {
        "MRR": pytest.approx((1 + 1 / 3.5 + 0.1 + 0.05) / 4),
        "Hits@1": 0.25,
        "Hits@3": 0.25,
        "Hits@10": 0.75,
    }


@pytest.mark.parametrize("ties", ["optimistic", "realistic", "pessimistic"])
def test_an_answer_is_no_rival_of_its_own(ties):
    """Whether or not the link that is ranked is among those known."""
    query, answer = torch.tensor([2, 1, 2]), torch.tensor([4, 3, 6])
    known = torch.stack([query, answer])
    for some in (known[:, :0], known[:, 1:]):
        found = filtered_ranks(lambda q: SCORES[q] + torch.arange(7), query[:2], answer[:2], some, ties=ties)
        others = filtered_ranks(lambda q: SCORES[q] + torch.arange(7), query[:2], answer[:2], known[:, :2], ties=ties)
        assert found[1] == others[1]


@pytest.mark.parametrize("cells", [1 << 22, 30])
def test_ranks_equal_those_of_a_loop(cells, monkeypatch):
    monkeypatch.setattr(link_ranks, "CELLS", cells)
    rng = np.random.default_rng(0)
    n = 12
    scores = torch.from_numpy(rng.integers(0, 5, (n + 1, n + 1)).astype(np.float32))
    links = torch.from_numpy(np.unique(rng.integers(1, n + 1, (2, 60)), axis=1))
    links = links[:, links[0] != links[1]]
    asked = links[:, rng.permutation(links.size(1))[:30]]
    found = filtered_ranks(lambda q: scores[q], asked[0], asked[1], links, queries=3)
    true = set(map(tuple, links.T.tolist()))
    for rank, query, answer in zip(found, *asked.tolist(), strict=True):
        others = [
            float(scores[query, c]) for c in range(1, n + 1) if c not in (query, answer) and (query, c) not in true
        ]
        own = float(scores[query, answer])
        assert rank == 1 + sum(s > own for s in others) + sum(s == own for s in others) / 2


def test_scores_are_left_as_they_are_and_must_be_finite():
    scores = SCORES.clone()
    known = torch.tensor([[2], [3]])
    filtered_ranks(lambda q: scores[q], known[0], known[1], known)
    assert torch.equal(scores, SCORES)
    with pytest.raises(DataError, match="NaN or infinite"):
        filtered_ranks(lambda q: SCORES[q] / 0, known[0], known[1], known)
