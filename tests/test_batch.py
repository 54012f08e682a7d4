from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.batch import (
    epoch_order,
    history_batch,
    target_batch,
    training_batch,
    training_instances,
    training_windows,
    windows,
)
from lrdgraph.corpus import Corpus
from lrdgraph.splits import Sequences, split
from tests.test_corpus import corpora
from tests.test_splits import corpus

counts = st.lists(st.integers(0, 9), min_size=1, max_size=6)


def sequences(events: list[int]) -> Sequences:
    """User ``u`` has ``events[u - 1]`` events; item and time of each event are unlike all others."""
    total = sum(events)
    return Sequences(np.arange(1, total + 1), np.arange(100, 100 + total), np.concatenate([[0, 0], np.cumsum(events)]))


def test_windows_by_hand():
    at, real = windows(np.array([2, 2]), np.array([4, 9]), 3)
    assert at.tolist() == [[0, 2, 3], [6, 7, 8]]
    assert real.tolist() == [[False, True, True], [True, True, True]]


def test_training_by_hand():
    # user 1 has items 1…5, user 2 one event, user 3 items 7 and 8
    events = sequences([5, 1, 2])
    start, end = training_windows(events, 3)
    assert list(zip(start.tolist(), end.tolist(), strict=True)) == [(1, 4), (0, 1), (6, 7)]
    batch = training_batch(events, start, end, 3)
    assert batch.user.tolist() == [1, 1, 3]
    assert batch.history.tolist() == [[2, 3, 4], [0, 0, 1], [0, 0, 7]]
    assert batch.history_time.tolist() == [[101, 102, 103], [0, 0, 100], [0, 0, 106]]
    assert batch.target is not None
    assert batch.target.tolist() == [[3, 4, 5], [0, 0, 2], [0, 0, 8]]
    # a recommendation after a column is asked for when its target happens
    assert batch.moment.tolist() == [[102, 103, 104], [0, 0, 101], [0, 0, 107]]
    # padding common to all rows is left out
    assert training_batch(events, start[1:], end[1:], 3).history.tolist() == [[1], [7]]


@given(counts, st.integers(1, 5))
def test_each_transition_is_learned_in_exactly_one_window(events: list[int], length: int):
    made = sequences(events)
    start, end = training_windows(made, length)
    expected = {(at, at + 1) for at in range(1, len(made.item)) if made.user[at - 1] == made.user[at]}
    assert ((end - start >= 1) & (end - start <= length)).all()
    if not expected:
        assert len(start) == 0
        return
    batch = training_batch(made, start, end, length)
    assert batch.target is not None
    learned = Counter(zip(batch.history.flatten().tolist(), batch.target.flatten().tolist(), strict=True))
    learned.pop((0, 0), None)
    assert learned == Counter(expected)
    assert (batch.history[:, -1] > 0).all(), "rows are right-aligned"
    owner = dict(zip(made.item.tolist(), made.user.tolist(), strict=True))
    for row, user in zip(batch.history.tolist(), batch.user.tolist(), strict=True):
        assert {owner[item] for item in row if item} == {user}
    assert {tensor.dtype for tensor in (batch.history, batch.target, batch.moment, batch.user)} == {torch.int64}


@given(corpora(), st.integers(1, 4), st.sampled_from(["target", "last-event"]))
def test_target_histories_against_a_slow_reference(made: Corpus, length: int, request: str):
    targets = split(made, "leave-one-out").targets("test")
    batch = target_batch(targets, np.arange(len(targets)), length, request)
    events = targets.events
    for p in range(len(targets)):
        span = range(targets.start[p], targets.end[p])[-length:]
        pad = [0] * (length - len(span))
        assert batch.history[p].tolist() == pad + [events.item[e] for e in span]
        assert batch.history_time[p].tolist() == pad + [events.time[e] for e in span]
        asked = targets.time[p] if request == "target" else events.time[span[-1]]
        assert batch.moment[p].tolist() == pad + [events.time[e] for e in span[1:]] + [asked]
    assert batch.user.tolist() == targets.user.tolist()
    assert batch.target is None


def test_the_validation_item_is_history_for_the_test():
    targets = split(corpus([1, 1, 1, 1], [4, 5, 6, 7], [1, 2, 3, 9])).targets("test")
    batch = target_batch(targets, np.array([0]), 2)
    assert batch.history.tolist() == [[5, 6]]
    assert batch.moment.tolist() == [[3, 9]]
    assert target_batch(targets, np.array([0]), 2, "last-event").moment.tolist() == [[3, 3]]


def test_a_batch_of_ones_own():
    batch = history_batch(np.array([[0, 3, 4]]), np.array([[0, 10, 20]]), np.array([50]), np.array([0]))
    assert batch.moment.tolist() == [[0, 20, 50]]
    moved = batch.to("cpu")
    assert (len(moved), moved.target, moved.history.tolist()) == (1, None, [[0, 3, 4]])


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.integers(1, 7), st.integers(0, 99))
def test_an_epoch_is_a_permutation_in_batches_of_like_weight(lengths: list[int], size: int, seed: int):
    rows = np.array(lengths)
    batches = epoch_order(rows, size, np.random.default_rng(seed), pool=2)
    steps = -(-len(rows) // size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(rows)))
    assert 0 < len(batches) <= steps
    assert max(rows[batch].sum() for batch in batches) < rows.sum() / steps + 2 * rows.max()
    again = epoch_order(rows, size, np.random.default_rng(seed), pool=2)
    assert all(np.array_equal(mine, its) for mine, its in zip(batches, again, strict=True))


def test_windows_of_like_length_go_together():
    lengths = np.random.default_rng(0).integers(1, 21, 4096)
    batches = epoch_order(lengths, 64, np.random.default_rng(1))
    padding = np.mean([1 - lengths[batch].mean() / lengths[batch].max() for batch in batches])
    assert padding < 0.1
    # chance alone pads nearly half of every batch
    assert np.mean([1 - part.mean() / part.max() for part in np.split(lengths, 64)]) > 0.4


def test_batches_come_in_another_order_each_epoch():
    rng = np.random.default_rng(0)
    first, second = (np.concatenate(epoch_order(np.ones(100, dtype=int), 10, rng)) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("length", [1, 3])
def test_users_without_a_transition_have_no_window(length: int):
    start, end = training_windows(sequences([1, 0, 1]), length)
    assert len(start) == len(end) == 0


@given(counts, st.integers(1, 5))
def test_each_transition_is_an_instance_with_all_of_its_history(events: list[int], length: int):
    made = sequences(events)
    start, end = training_instances(made, length)
    owner = made.user
    expected = [
        [at, made.item[max(at - length, int(made.offsets[owner[at]])) : at].tolist()]
        for at in range(len(made.item))
        if at > made.offsets[owner[at]]
    ]
    assert [[e, made.item[s:e].tolist()] for s, e in zip(start, end, strict=True)] == expected
    if len(start):
        batch = training_batch(made, start, end, length, last_alone=True)
        assert batch.target is not None
        assert batch.target[:, -1].tolist() == made.item[end].tolist()
        assert not batch.target[:, :-1].any()
        assert batch.moment[:, -1].tolist() == made.time[end].tolist()
