from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.corpus import TEST, TRAIN, VALIDATION
from lrdgraph.errors import ConfigError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.candidates import two_hop_pairs
from lrdgraph.graph.cooccurrence import Cooccurrence, cooccurrence_pairs
from lrdgraph.splits import Sequences, split
from tests.graph.worlds import assert_same, corpus, pairs_of


def sequences(histories: list[list[int]]) -> Sequences:
    item = np.array([item for history in histories for item in history], dtype=np.int64)
    offsets = np.cumsum([0, 0, *[len(history) for history in histories]])
    return Sequences(item, np.zeros(len(item), dtype=np.int64), offsets)


def slow_counts(histories: list[list[int]], window: int) -> Counter[tuple[int, int]]:
    counts: Counter[tuple[int, int]] = Counter()
    for history in histories:
        for at, item in enumerate(history):
            for later in history[at + 1 : at + 1 + window]:
                if later != item:
                    counts[min(item, later), max(item, later)] += 1
    return counts


def slow_pairs(
    histories: list[list[int]], items: int, window: int, least: int, limit: int
) -> dict[tuple[int, int], int]:
    counts = {pair: count for pair, count in slow_counts(histories, window).items() if count >= least}
    chosen = set()
    for item in range(1, items + 1):
        own = [(-count, sum(pair) - item, pair) for pair, count in counts.items() if item in pair]
        chosen |= {pair for _, _, pair in sorted(own)[:limit]}
    return {(i, j): counts[min(i, j), max(i, j)] for a, b in chosen for i, j in ((a, b), (b, a))}


def as_dict(found: Cooccurrence) -> dict[tuple[int, int], int]:
    return dict(zip(pairs_of(found.pairs), found.count.tolist(), strict=True))


def test_by_hand() -> None:
    """1–2 adjacent for both people, 2–3 for both, 1–3 two apart for one; a repeated item is no pair."""
    histories = [[1, 2, 2, 3], [3, 2, 1]]
    adjacent = cooccurrence_pairs(sequences(histories), 3, window=1, min_count=1)
    assert as_dict(adjacent) == {(1, 2): 2, (2, 1): 2, (2, 3): 2, (3, 2): 2}
    wider = cooccurrence_pairs(sequences(histories), 3, window=2, min_count=1)
    assert as_dict(wider) == {(1, 2): 3, (2, 1): 3, (2, 3): 3, (3, 2): 3, (1, 3): 1, (3, 1): 1}


def test_without_one_person_by_hand() -> None:
    found = cooccurrence_pairs(sequences([[1, 2], [2, 1, 2], [1, 3]]), 4, window=1, min_count=2)
    assert as_dict(found) == {(1, 2): 3, (2, 1): 3}
    user, i, j = torch.tensor([1, 2, 3, 0, 2, 2]), torch.tensor([1, 1, 1, 1, 2, 1]), torch.tensor([2, 2, 2, 2, 1, 3])
    assert found.position(i, j).tolist() == [0, 0, 0, 0, 1, -1]
    assert found.without(user, i, j).tolist() == [2, 1, 3, 3, 1, 0]
    assert found.held_out(user, i, j).tolist() == [False, True, False, False, True, False]


HISTORIES = st.lists(st.lists(st.integers(1, 6), max_size=8), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(HISTORIES, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_pairs_and_counts_equal_a_slow_count(histories: list[list[int]], window: int, least: int, limit: int) -> None:
    found = cooccurrence_pairs(sequences(histories), 6, window=window, min_count=least, limit_per_item=limit)
    assert as_dict(found) == slow_pairs(histories, 6, window, least, limit)
    assert pairs_of(found.pairs) == sorted(pairs_of(found.pairs))


@settings(max_examples=100, deadline=None)
@given(HISTORIES, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_what_is_left_without_a_person_is_what_others_alone_give(
    histories: list[list[int]], window: int, least: int, limit: int
) -> None:
    """A pair that the others alone would not choose is held out; one that the person has no part in never is."""
    found = cooccurrence_pairs(sequences(histories), 6, window=window, min_count=least, limit_per_item=limit)
    i, j = found.pairs
    for user in range(1, len(histories) + 1):
        others = [[] if number == user else history for number, history in enumerate(histories, start=1)]
        counts, chosen = slow_counts(others, window), slow_pairs(others, 6, window, least, limit)
        own = slow_counts([histories[user - 1]], window)
        people = torch.full_like(i, user)
        held = found.held_out(people, i, j).tolist()
        left = found.without(people, i, j).tolist()
        for pair, is_held, rest in zip(pairs_of(found.pairs), held, left, strict=True):
            key = (min(pair), max(pair))
            assert rest == counts[key]
            assert is_held or pair in chosen
            assert not (is_held and own[key] == 0)


def test_validation_and_test_events_change_nothing() -> None:
    """Every held-out event is exchanged for another item: graph, pairs, counts and shares stay what they are."""
    random = np.random.default_rng(0)
    histories = random.integers(1, 11, (30, 8)).tolist()
    role = np.tile(np.array([TRAIN] * 6 + [VALIDATION, TEST], dtype=np.int8), 30)
    triples = [(1, "near", 2), (3, "brand", 11), (4, "brand", 11)]
    data = corpus(triples, items=10, attributes=1, events=histories, split=role)
    changed_item = np.where(role == TRAIN, data.item, data.item % 10 + 1)
    changed = replace(data, item=changed_item, time=np.where(role == TRAIN, data.time, data.time + 10_000_000))
    assert (changed.item != data.item).sum() == 60

    def derived(of: object) -> Cooccurrence:
        return cooccurrence_pairs(split(of).training(), 10, min_count=1, limit_per_item=4)  # type: ignore[arg-type]

    before, after = derived(data), derived(changed)
    for name in ("pairs", "count", "needed", "key", "own"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name
    assert_same(build_graph(data), build_graph(changed))
    assert torch.equal(two_hop_pairs(build_graph(data), 5), two_hop_pairs(build_graph(changed), 5))

    trained = replace(data, item=np.where(role == TRAIN, data.item % 10 + 1, data.item))
    assert as_dict(derived(trained)) != as_dict(before)


def test_no_events_and_bad_settings() -> None:
    for histories in ([[]], [[1]], [[1, 1, 1]]):
        found = cooccurrence_pairs(sequences(histories), 3, min_count=1)
        assert found.pairs.shape == (2, 0)
        one = torch.tensor([1])
        assert found.position(one, one).tolist() == [-1]
        assert found.held_out(one, one, one + 1).tolist() == [False]
    with pytest.raises(ConfigError, match="'window' must be 1 or more"):
        cooccurrence_pairs(sequences([[1]]), 3, window=0)
    assert "0 pairs of 3 items from 1 users" in repr(found)
