"""Pairs of histories and of batches, by hand and against a slow enumeration."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lrdgraph.discovery.pairs import batch_pairs, history_pairs
from lrdgraph.splits import Sequences


def sequences(*histories: list[int]) -> Sequences:
    item = np.array([item for history in histories for item in history], dtype=np.int64)
    offsets = np.cumsum([0, 0, *map(len, histories)])
    return Sequences(item, np.arange(len(item)), offsets)


def counted(pairs: Tensor) -> Counter[tuple[int, ...]]:
    return Counter(map(tuple, pairs.T.tolist()))


def test_history_pairs_by_hand() -> None:
    events = sequences([1, 2, 3, 1], [5], [], [2, 2, 3])
    # user 1: gap 1 gives 12, 23, 31, gap 2 gives 13, 21; user 4: gap 1 gives 22 (left out) and 23, gap 2 gives 23
    assert counted(history_pairs(events, max_gap=1)) == Counter({(1, 2): 1, (2, 3): 2, (3, 1): 1})
    assert counted(history_pairs(events, max_gap=2)) == Counter({(1, 2): 1, (2, 3): 3, (3, 1): 1, (1, 3): 1, (2, 1): 1})


def test_history_pairs_where_no_history_has_two_events() -> None:
    assert history_pairs(sequences([1], [2])).shape == (2, 0)
    assert history_pairs(sequences([], [])).shape == (2, 0)


@given(st.lists(st.lists(st.integers(1, 4), max_size=6), max_size=5), st.integers(1, 4))
def test_history_pairs_stay_within_a_user_and_a_gap(histories: list[list[int]], max_gap: int) -> None:
    expected = Counter(
        (i, j)
        for history in histories
        for at, i in enumerate(history)
        for j in history[at + 1 : at + 1 + max_gap]
        if i != j
    )
    assert counted(history_pairs(sequences(*histories), max_gap)) == expected


def test_history_pairs_read_the_events_they_are_given_alone() -> None:
    whole = sequences([1, 2, 9], [3, 4, 9])
    training = Sequences(np.array([1, 2, 3, 4]), np.arange(4), np.array([0, 0, 2, 4]))
    assert 9 in history_pairs(whole)
    assert counted(history_pairs(training)) == Counter({(1, 2): 1, (3, 4): 1})


def enumerated(history: Tensor, target: Tensor) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for items, following in zip(history.tolist(), target.tolist(), strict=True):
        for before, i in enumerate(items):
            for j in following[before:]:
                found[i, j] += bool(i and j and i != j)
    return +found


def test_batch_pairs_by_hand() -> None:
    # the history 1 2 3, each followed by the next, and then by 2: 12, 13, 1(2), 23, 2(2) left out, 3(2)
    i, j = batch_pairs(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 2, 3, 2]]), max_pairs=100)
    assert counted(torch.stack([i, j])) == Counter({(1, 2): 2, (1, 3): 1, (2, 3): 1, (3, 2): 1})


def test_batch_pairs_equal_an_enumeration() -> None:
    history, target = torch.randint(0, 5, (2, 7, 6))
    assert counted(torch.stack(batch_pairs(history, target, 10_000))) == enumerated(history, target)


def test_batch_pairs_draws_from_them_without_replacement() -> None:
    history = torch.arange(1, 9).view(1, 8)
    everything = enumerated(history, history + 1)
    first, again, other = (
        counted(torch.stack(batch_pairs(history, history + 1, 10, torch.Generator().manual_seed(seed))))
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.total() == 10
    assert first <= everything
