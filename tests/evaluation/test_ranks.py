from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import DataError
from lrdgraph.evaluation.ranks import RankCounter, seen_pairs
from tests.evaluation.worlds import make_targets


@pytest.mark.parametrize(("ties", "rank"), [("optimistic", 3.0), ("realistic", 4.5), ("pessimistic", 6.0)])
def test_two_above_and_three_equal_by_hand(ties, rank):
    counter = RankCounter(torch.tensor([1.0]))
    counter.add(torch.tensor([[2.0, 1.0, 0.0, 1.0, 3.0, 1.0]]))
    assert counter.ranks(ties).tolist() == [rank]


def test_a_realistic_rank_is_the_mean_over_the_places_in_the_tie():
    # target and three equals hold places 3, 4, 5, 6
    counter = RankCounter(torch.tensor([1.0]))
    counter.add(torch.tensor([[2.0, 1.0, 1.0, 1.0, 3.0]]))
    assert counter.ranks().tolist() == [np.mean([3, 4, 5, 6])]


def test_cells_set_aside_do_not_compete_even_when_named_twice():
    scores = torch.tensor([[5.0, 1.0, 5.0], [5.0, 1.0, 0.0]])
    counter = RankCounter(torch.tensor([1.0, 1.0]))
    counter.add(scores, (torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])))
    assert counter.ranks("pessimistic").tolist() == [3.0, 2.0]
    assert scores[0, 0] == 5.0


def test_infinite_scores_have_ranks():
    inf = float("inf")
    counter = RankCounter(torch.tensor([-inf, inf]))
    counter.add(torch.tensor([[-inf, 0.0], [inf, 0.0]]))
    assert counter.ranks("pessimistic").tolist() == [3.0, 2.0]


def test_nan_is_an_error_of_the_target_and_of_a_competitor():
    with pytest.raises(DataError, match=r"1 of 2 scores are NaN"):
        RankCounter(torch.tensor([1.0, float("nan")]))
    with pytest.raises(DataError, match=r"1 of 3 scores are NaN"):
        RankCounter(torch.tensor([1.0])).add(torch.tensor([[float("nan"), 1.0, 2.0]]))


@pytest.mark.parametrize("column", [0, 1, 17, 63, 64])
def test_one_nan_among_many_scores_is_found_wherever_it_stands(column):
    scores = torch.randn(7, 65)
    scores[3, column] = float("nan")
    with pytest.raises(DataError, match=r"1 of 455 scores are NaN"):
        RankCounter(torch.zeros(7)).add(scores)


@given(
    scores=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=5),
    step=st.integers(1, 7),
    ties=st.sampled_from(["optimistic", "realistic", "pessimistic"]),
)
def test_chunks_add_up_to_a_loop_over_items(scores, step, ties):
    table = torch.tensor(scores).float()
    own, rest = table[:, 0], table[:, 1:]
    counter = RankCounter(own)
    for low in range(0, rest.shape[1], step):
        counter.add(rest[:, low : low + step])
    share = {"optimistic": 0, "realistic": 0.5, "pessimistic": 1}[ties]
    slow = [1 + sum(share if s == row[0] else s > row[0] for s in row[1:]) for row in scores]
    assert counter.ranks(ties).tolist() == slow


def test_seen_pairs_are_the_whole_history_of_the_rows_asked_for():
    targets = make_targets(0, users=6, items=8)
    rows = np.array([4, 1, 5])
    row, item = seen_pairs(targets, rows)
    slow = [(b, int(i)) for b, p in enumerate(rows) for i in targets.events.item[targets.start[p] : targets.end[p]]]
    assert list(zip(row.tolist(), item.tolist(), strict=True)) == slow
