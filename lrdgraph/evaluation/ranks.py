"""Ranks by counting: how many competitors score above the target, and how many just as high.

Counts add up over chunks of items, so nothing of size users × items is ever held.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.evaluation.settings import Ties
from lrdgraph.splits import Targets

TIE_SHARE: dict[Ties, float] = {"optimistic": 0.0, "realistic": 0.5, "pessimistic": 1.0}


class RankCounter:
    """Counts the competitors of ``B`` targets, chunk by chunk.

    The rank is ``1 + greater + share · ties``, with a share of 0, ½ or 1. Under ``"realistic"`` this is the mean of
    the ranks that all orders of the tied items would give (Berrendorf et al., 2020, arXiv 2002.06914), so it may end
    in ½.

    Args:
        target_score: ``(B,)``.

    Raises:
        DataError: a score is NaN.
    """

    def __init__(self, target_score: Tensor) -> None:
        _refuse_nan(target_score)
        self.target_score = target_score
        self.greater = torch.zeros(len(target_score), dtype=torch.int64, device=target_score.device)
        self.ties = torch.zeros_like(self.greater)

    def add(self, scores: Tensor, aside: tuple[Tensor, ...] | None = None) -> None:
        """Count one chunk of competitors.

        Args:
            scores: ``(B, C)``; left as it is.
            aside: rows ``(n,)`` and columns ``(n,)`` of cells that do not compete; a cell may be named twice.

        Raises:
            DataError: a score is NaN.
        """
        _refuse_nan(scores)
        own = self.target_score[:, None]
        above, equal = scores > own, scores == own
        if aside is not None:
            above[aside] = False
            equal[aside] = False
        self.greater += _count(above)
        self.ties += _count(equal)

    def ranks(self, ties: Ties = "realistic") -> np.ndarray:
        """Ranks ``(B,)`` float64, the best is 1."""
        return (1 + self.greater + TIE_SHARE[ties] * self.ties.double()).cpu().numpy()


def _count(flags: Tensor) -> Tensor:
    if flags.device.type != "cpu":
        return flags.sum(1)
    # on a CPU numpy counts bools ten times as fast as torch sums them
    return torch.from_numpy(np.count_nonzero(flags.numpy(), axis=1).astype(np.int64, copy=False))


def _refuse_nan(scores: Tensor) -> None:
    # a maximum is NaN where any of its numbers is, and takes a seventh of the time of asking each
    if scores.numel() and bool(torch.isnan(scores.amax())):
        raise DataError(
            f"{int(torch.isnan(scores).sum())} of {scores.numel()} scores are NaN, which has no rank; "
            "the model has diverged: lower its learning rate or train it in float32."
        )


def seen_pairs(targets: Targets, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every event of the whole history of some targets, as pairs.

    Args:
        targets: evaluation targets.
        rows: ``(B,)`` positions in ``targets``.

    Returns:
        ``row`` ``(n,)`` in 0 … B − 1 and ``item`` ``(n,)``; a pair occurs as often as the event.
    """
    start = targets.start[rows]
    counts = targets.end[rows] - start
    row = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return row, targets.events.item[start[row] + within]
