"""Which interactions of a large log are kept: the first of each pair, and the k-core."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from lrdgraph.errors import ConfigError


def kept(rows: pl.DataFrame, core: int, duplicates: str, dropped: Counter[str]) -> pl.DataFrame:
    """The interactions that are left of a log, in its order.

    Args:
        rows: ``user`` and ``item`` (categories), ``time``, and whatever else.
        core: the k-core alone, taken after duplicates are out; 0 keeps all.
        duplicates: of several interactions of a user with an item the ``"first"`` by time, or ``"all"``.
        dropped: what is left out is added here.

    Raises:
        ConfigError: ``core`` is negative.
    """
    if duplicates == "first":
        first = first_of_pairs(*_codes(rows), rows["time"].to_numpy())
        dropped["repeated interactions of a user with an item"] += int((~first).sum())
        rows = rows.filter(pl.Series(first))
    inside = k_core(*_codes(rows), core)
    dropped[f"interactions outside the {core}-core"] += int((~inside).sum())
    return rows.filter(pl.Series(inside))


def described_inside(described: pl.DataFrame, rows: pl.DataFrame, core: int, dropped: Counter[str]) -> pl.DataFrame:
    """Those of the described items, ``id`` and texts, that the interactions ``rows`` of a k-core still have."""
    inside = described["id"].is_in(rows["item"].unique().cast(pl.String).implode())
    dropped[f"items outside the {core}-core"] += int((~inside).sum())
    return described.filter(inside)


def _codes(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    user, item = (rows[name].to_physical().to_numpy() for name in ("user", "item"))
    return user, item


def first_of_pairs(user: np.ndarray, item: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Of the interactions of one user with one item the earliest, among equals the first in order.

    Args:
        user, item: ``(M,)`` non-negative integers below 2³¹.
        time: ``(M,)`` numbers.

    Returns:
        ``(M,)`` bool.
    """
    pair = user.astype(np.int64) << 31 | item.astype(np.int64)
    order = np.lexsort((time, pair))
    sorted_pair = pair[order]
    keep = np.ones(len(pair), dtype=bool)
    keep[order[1:]] = sorted_pair[1:] != sorted_pair[:-1]
    return keep


def k_core(user: np.ndarray, item: np.ndarray, k: int) -> np.ndarray:
    """The largest set of interactions in which every user and every item has at least ``k`` (Seidman 1983).

    Users and items with fewer are removed in rounds until none is left; the result does not depend on the order.

    Args:
        user, item: ``(M,)`` non-negative integers.
        k: 0 or more.

    Returns:
        ``(M,)`` bool.

    Raises:
        ConfigError: ``k`` is negative.
    """
    if k < 0:
        raise ConfigError(f"core is {k}; it must be 0 or more.")
    kept = np.arange(len(user))
    while True:
        users, items = user[kept], item[kept]
        enough = (np.bincount(users)[users] >= k) & (np.bincount(items)[items] >= k)
        if enough.all():
            break
        kept = kept[enough]
    mask = np.zeros(len(user), dtype=bool)
    mask[kept] = True
    return mask
