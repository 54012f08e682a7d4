"""Pairs of items that stand close in training histories, and what is left of them without one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError
from lrdgraph.splits import Sequences


@dataclass(frozen=True, eq=False)
class Cooccurrence:
    """Candidate pairs from training histories.

    Such an edge may exist only because of the very transition that is being predicted. :meth:`held_out` says so for
    any (user, edge), and the caller gives those edges no weight while that user's events are predicted.

    Attributes:
        pairs: ``(2, P)`` int64 item nodes in both orders, sorted by (row 0, row 1).
        count: ``(P,)`` int64, how often the two stand within the window, in either order, over all users.
        needed: ``(P,)`` int64, the least count with which the pair would certainly be chosen.
        key: ``(Q,)`` int64 rising, ``position in pairs × (users + 1) + user``, for the users who have the pair.
        own: ``(Q,)`` int64, what that user adds to the count.
        num_items, num_users: sizes that keys are built from.
    """

    pairs: Tensor
    count: Tensor
    needed: Tensor
    key: Tensor
    own: Tensor
    num_items: int
    num_users: int

    def position(self, i: Tensor, j: Tensor) -> Tensor:
        """Where the pairs ``(i (n,), j (n,))`` stand in ``pairs``; -1 for one that is not there."""
        base = self.num_items + 1
        return _find(self.pairs[0] * base + self.pairs[1], i * base + j)

    def without(self, user: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """Counts ``(n,)`` of the pairs over everyone but ``user (n,)``; 0 for a pair that is not a candidate."""
        pair = self.position(i, j)
        at = _find(self.key, torch.where(pair >= 0, pair * (self.num_users + 1) + user, -1))
        return _take(self.count, pair) - _take(self.own, at)

    def held_out(self, user: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """Which pairs ``(n,)`` bool are candidates that would not be without the events of ``user (n,)``.

        The cut of each item's list is taken as it stands with everybody in it, so that a pair is rather held out once
        too often. User 0, a person outside the corpus, holds nothing out.
        """
        pair = self.position(i, j)
        left = self.without(user, i, j)
        return (left < _take(self.count, pair)) & (left < _take(self.needed, pair))

    def held(self) -> tuple[Tensor, Tensor]:
        """Every user ``(H,)`` and the position ``(H,)`` in ``pairs`` of a pair held out for them."""
        pair, user = self.key // (self.num_users + 1), self.key % (self.num_users + 1)
        out = self.count[pair] - self.own < self.needed[pair]
        return user[out], pair[out]

    def __repr__(self) -> str:
        return f"Cooccurrence({self.pairs.shape[1]:,} pairs of {self.num_items:,} items from {self.num_users:,} users)"


def cooccurrence_pairs(
    sequences: Sequences, num_items: int, *, window: int = 3, min_count: int = 2, limit_per_item: int = 30
) -> Cooccurrence:
    """Pairs of different items at most ``window`` events apart in one training history.

    Args:
        sequences: training events alone, :meth:`lrdgraph.splits.Split.training`.
        num_items: ``N``.
        window: how many events apart two items may stand; 1 is adjacent.
        min_count: pairs seen less often over all users are left out.
        limit_per_item: a pair is kept that is among this many most frequent ones of either of its items; of equals
            the one with the lower other item.

    Raises:
        ConfigError: a setting is less than 1.
    """
    for name, value in (("window", window), ("min_count", min_count), ("limit_per_item", limit_per_item)):
        if value < 1:
            raise ConfigError(f"'{name}' must be 1 or more; got {value}.")
    low, high, user = _within(sequences, window)
    base = num_items + 1
    keys, pair, count = np.unique(low * base + high, return_inverse=True, return_counts=True)
    chosen, needed = _choose(keys // base, keys % base, count, min_count, limit_per_item)

    forward = np.stack([keys[chosen] // base, keys[chosen] % base])
    both = np.concatenate([forward, forward[::-1]], axis=1)
    order = np.lexsort((both[1], both[0]))
    # each chosen pair stands twice in `both`, once in each order; its users are listed under both positions
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rank = np.full(len(keys), -1)
    rank[chosen] = np.arange(len(chosen))
    kept = rank[pair] >= 0
    at, people = rank[pair][kept], user[kept]
    positions = np.concatenate([place[at], place[at + len(chosen)]])
    key, own = np.unique(positions * (sequences.num_users + 1) + np.tile(people, 2), return_counts=True)
    return Cooccurrence(
        pairs=torch.from_numpy(both[:, order].astype(np.int64)),
        count=torch.from_numpy(np.tile(count[chosen], 2)[order].astype(np.int64)),
        needed=torch.from_numpy(np.tile(needed, 2)[order].astype(np.int64)),
        key=torch.from_numpy(key.astype(np.int64)),
        own=torch.from_numpy(own.astype(np.int64)),
        num_items=num_items,
        num_users=sequences.num_users,
    )


def _within(sequences: Sequences, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lower item, the higher item and the user of every two events of one history within the window."""
    item, user = sequences.item, sequences.user
    found = []
    for apart in range(1, window + 1):
        first, second, people = item[:-apart], item[apart:], user[:-apart]
        keep = (people == user[apart:]) & (first != second)
        first, second = first[keep], second[keep]
        found.append((np.minimum(first, second), np.maximum(first, second), people[keep]))
    low, high, people = (np.concatenate(column) for column in zip(*found, strict=True))
    return low, high, people


def _choose(
    low: np.ndarray, high: np.ndarray, count: np.ndarray, min_count: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the pairs that are kept, rising, and the count each would certainly be kept with."""
    frequent = np.flatnonzero(count >= min_count)
    pair = np.tile(frequent, 2)
    group = np.concatenate([low[frequent], high[frequent]])
    member = np.concatenate([high[frequent], low[frequent]])
    order = np.lexsort((member, -count[pair], group))
    pair, group = pair[order], group[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(starts, append=len(group))
    rank = np.arange(len(group)) - np.repeat(starts, sizes)
    # a group with more members than the limit is cut below the first that is left out
    cut = np.full(len(starts), min_count)
    cut[sizes > limit] = count[pair[starts[sizes > limit] + limit]] + 1
    kept = rank < limit
    needed = np.full(len(count), np.iinfo(np.int64).max)
    np.minimum.at(needed, pair[kept], np.repeat(cut, sizes)[kept])
    chosen = np.unique(pair[kept])
    return chosen, needed[chosen]


def _find(rising: Tensor, wanted: Tensor) -> Tensor:
    """Positions of values in a rising tensor, -1 where they are not in it."""
    if not rising.numel():
        return torch.full_like(wanted, -1)
    at = torch.searchsorted(rising, wanted).clamp_max(len(rising) - 1)
    return torch.where(rising[at] == wanted, at, -1)


def _take(values: Tensor, at: Tensor) -> Tensor:
    """Values at positions, 0 at -1."""
    return torch.cat([values, values.new_zeros(1)])[at]
