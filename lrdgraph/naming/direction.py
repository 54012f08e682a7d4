"""Whether a discovered relation says the same of (i, j) and of (j, i), read off its posterior."""

from __future__ import annotations

import numpy as np

from lrdgraph.graph.enrichment import EnrichedGraph

ENOUGH = 30
"""Pairs of items with candidate edges both ways, below which nothing is said."""
ALIKE = 0.8
"""From this agreement on a relation counts as symmetric."""


def agreement(graph: EnrichedGraph) -> np.ndarray:
    """How far the posterior of a pair is that of the pair turned round, for each latent relation.

    Over all unordered pairs {i, j} whose edges are both candidates it is the intraclass correlation of ``q(r|i,j)`` and
    ``q(r|j,i)``: the Pearson correlation when every pair is entered in both orders, which is
    ``1 − E[(q_ij − q_ji)²] / (2 Var q)``. 1 says that direction has no part in the posterior, 0 that one direction
    tells nothing of the other.

    Args:
        graph: its mixture ``(P, K)``, off the autograd tape and on the CPU.

    Returns:
        ``(K,)`` float; NaN where there are fewer than ``ENOUGH`` such pairs or the posterior is constant on them.
    """
    head, tail = graph.latent_index.numpy()
    keys, turned = (a * np.int64(graph.graph.num_rows) + b for a, b in ((head, tail), (tail, head)))
    order = np.argsort(keys)
    at = order[np.searchsorted(keys, turned, sorter=order).clip(max=max(len(keys) - 1, 0))]
    both = np.flatnonzero((keys[at] == turned) & (head != tail))
    if len(both) < 2 * ENOUGH:
        return np.full(graph.mixture.shape[1], np.nan)
    mixture = graph.mixture.double().numpy()
    there, back = mixture[both], mixture[at[both]]
    variance = there.var(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 1 - ((there - back) ** 2).mean(0) / (2 * variance)
    return np.where(variance > 1e-12, found, np.nan)


def symmetric(found: float) -> bool | None:
    """Symmetric if the agreement is ``ALIKE`` or more, head → tail if it is less, None where it is not known.

    The bar is high because the mistakes differ: a symmetric relation taken for a directed one loses nothing.
    """
    return None if np.isnan(found) else bool(found >= ALIKE)
