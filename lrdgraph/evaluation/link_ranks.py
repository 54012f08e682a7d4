"""Filtered ranks of links: where a recorded answer stands among all items, other true answers set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.evaluation.metrics import hit, reciprocal_rank
from lrdgraph.evaluation.ranks import RankCounter
from lrdgraph.evaluation.settings import Ties

CELLS = 1 << 22
"""Scores that are compared at once."""

QueryScores = Callable[[Tensor], Tensor]
"""``(B,) queries -> (B, N + 1)`` scores of all items as answers; column 0, padding, is not read."""


def filtered_ranks(
    score: QueryScores, query: Tensor, answer: Tensor, known: Tensor, *, ties: Ties = "realistic", queries: int = 64
) -> np.ndarray:
    """Rank every answer among all items that are neither the query itself nor another known answer of it.

    The filtered setting of Bordes et al. (NIPS 2013). Ties count as :class:`lrdgraph.evaluation.ranks.RankCounter`
    says, by half as a rule, which is also what OGB's evaluator does.

    Args:
        score: asked once for each distinct query.
        query, answer: ``(P,)`` int64 items, the two ends of each link.
        known: ``(2, Q)`` int64 all true links, queries in row 0; those to be ranked may be among them.
        ties: rule for equal scores.
        queries: scored at once.

    Returns:
        ``(P,)`` float64, the best rank is 1.

    Raises:
        DataError: a score is not finite.
    """
    order = torch.argsort(query, stable=True)
    distinct, counts = torch.unique_consecutive(query[order], return_counts=True)
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    by_query = known[:, torch.argsort(known[0], stable=True)]
    ranks = np.empty(len(query))
    for first in range(0, len(distinct), queries):
        chunk = distinct[first : first + queries]
        scores = _finite(score(chunk)).clone()
        asked = order[ends[first] : ends[first + len(chunk)]]
        row = torch.searchsorted(chunk, query[asked])
        own = scores[row, answer[asked]]
        low, high = torch.searchsorted(by_query[0], torch.stack([chunk[0], chunk[-1] + 1])).tolist()
        aside = by_query[:, low:high]
        at = torch.searchsorted(chunk, aside[0]).clamp_max(len(chunk) - 1)
        asks = chunk[at] == aside[0]
        scores[at[asks], aside[1, asks]] = -torch.inf
        scores[torch.arange(len(chunk)), chunk] = -torch.inf
        scores[:, 0] = -torch.inf
        step = max(1, CELLS // scores.size(1))
        for start in range(0, len(asked), step):
            part = slice(start, start + step)
            counter = RankCounter(own[part])
            counter.add(scores[row[part]], (torch.arange(len(asked[part])), answer[asked[part]]))
            ranks[asked[part].numpy()] = counter.ranks(ties)
    return ranks


def link_metrics(ranks: np.ndarray, ks: Iterable[int] = (1, 3, 10)) -> dict[str, float]:
    """MRR and Hits@k of ranks ``(P,)``, P at least 1."""
    return {"MRR": float(reciprocal_rank(ranks).mean())} | {f"Hits@{k}": float(hit(ranks, k).mean()) for k in ks}


def _finite(scores: Tensor) -> Tensor:
    if not bool(torch.isfinite(scores[:, 1:]).all()):
        raise DataError("A score of a link is NaN or infinite, which has no rank; the method that gave it diverged.")
    return scores
