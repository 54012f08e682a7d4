from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders.kcore import first_of_pairs, k_core
from lrdgraph.errors import ConfigError

LOGS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)), max_size=40)


def arrays(log: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(log, dtype=np.uint32).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.int64)


def slow_core(log: list[tuple[int, int, int]], k: int) -> list[bool]:
    """One user or item with too few is taken away after the other."""
    kept = [True] * len(log)
    while True:
        users = Counter(row[0] for row, there in zip(log, kept, strict=True) if there)
        items = Counter(row[1] for row, there in zip(log, kept, strict=True) if there)
        poor = [user for user, n in users.items() if n < k]
        poor_items = [item for item, n in items.items() if n < k]
        if not poor and not poor_items:
            return kept
        for at, row in enumerate(log):
            kept[at] &= row[0] != poor[0] if poor else row[1] != poor_items[0]


@given(log=LOGS, k=st.integers(0, 5))
def test_core_is_what_is_left_when_one_goes_after_the_other(log: list[tuple[int, int, int]], k: int) -> None:
    user, item, _ = arrays(log)
    mask = k_core(user, item, k)
    assert mask.tolist() == slow_core(log, k)
    assert all(n >= k for n in (*Counter(user[mask]).values(), *Counter(item[mask]).values()))
    assert k_core(user[mask], item[mask], k).all()


def test_core_by_hand() -> None:
    # user 3 goes with item 9, and then item 8 with it
    user, item = np.array([1, 1, 2, 2, 3, 3]), np.array([7, 5, 7, 5, 8, 9])
    assert k_core(user, item, 2).tolist() == [True, True, True, True, False, False]
    assert k_core(user, item, 3).sum() == 0
    assert k_core(user, item, 0).all()
    with pytest.raises(ConfigError, match="core is -1"):
        k_core(user, item, -1)


@given(log=LOGS)
def test_first_of_pairs_is_the_earliest_and_of_equals_the_first(log: list[tuple[int, int, int]]) -> None:
    best: dict[tuple[int, int], int] = {}
    for at, (user, item, time) in enumerate(log):
        if (user, item) not in best or time < log[best[user, item]][2]:
            best[user, item] = at
    assert np.flatnonzero(first_of_pairs(*arrays(log))).tolist() == sorted(best.values())


def test_pairs_of_large_codes_do_not_meet() -> None:
    user = np.array([1, 2**31 - 1, *[0] * 32], dtype=np.uint32)
    item = np.array([0, 2**31 - 1, *(2**bit for bit in range(31)), 2**31 - 1], dtype=np.uint32)
    assert first_of_pairs(user, item, np.zeros(34)).all()
