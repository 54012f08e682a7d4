"""Metrics of one relevant item per target, from its rank.

A rank may end in ½ where scores tie; every metric reads the rank as it is. A tie that straddles the cut-off is thus a
hit if the mean place of the tied items is within it. That is the metric of the mean rank, not the mean of the metric
over all orders of the tied items: a scorer that gives most items the same score gains nothing by chance.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lrdgraph.errors import ConfigError


def hit(rank: np.ndarray, k: int) -> np.ndarray:
    """1 where ``rank <= k``, else 0; its mean is HR@k, which with one relevant item equals Recall@k. ``(P,)``."""
    return (rank <= k).astype(np.float64)


def ndcg(rank: np.ndarray, k: int) -> np.ndarray:
    """``1 / log2(1 + rank)`` where ``rank <= k``, else 0 (Järvelin and Kekäläinen, 2002). ``(P,)``.

    With one relevant item the ideal gain is 1, so nothing is divided by.
    """
    return hit(rank, k) / np.log2(1.0 + rank)


def reciprocal_rank(rank: np.ndarray) -> np.ndarray:
    """``1 / rank`` ``(P,)``; its mean is MRR."""
    return 1.0 / rank


def per_target(rank: np.ndarray, metric: str) -> np.ndarray:
    """Values ``(P,)`` of one metric by its name, ``"HR@5"``, ``"NDCG@10"`` or ``"MRR"``.

    Raises:
        ConfigError: the name is unknown.
    """
    kind, _, k = metric.partition("@")
    if metric == "MRR":
        return reciprocal_rank(rank)
    if kind in ("HR", "NDCG") and k.isdecimal() and int(k) > 0:
        return hit(rank, int(k)) if kind == "HR" else ndcg(rank, int(k))
    raise ConfigError(f"Unknown metric '{metric}'; known are HR@k, NDCG@k and MRR.")


def summarise(rank: np.ndarray, ks: Iterable[int]) -> dict[str, float]:
    """Means over targets: HR@k and NDCG@k for each k, and MRR; ``(P,)`` ranks, P at least 1."""
    return {name: float(per_target(rank, name).mean()) for name in metric_names(ks)}


def metric_names(ks: Iterable[int]) -> list[str]:
    """The metrics that are reported for these cut-offs."""
    return [f"{kind}@{k}" for k in ks for kind in ("HR", "NDCG")] + ["MRR"]
