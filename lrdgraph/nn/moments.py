"""Means and deviations of tables too large to be copied."""

from __future__ import annotations

import torch
from torch import Tensor

MANY = 200_000
"""Rows above which a table is measured a block at a time."""


def column_moments(table: Tensor, rows: int = 50_000) -> tuple[Tensor, Tensor]:
    """Mean ``(T,)`` and variance ``(T,)`` over the rows of ``(N, T)``, in float64, ``rows`` of them at a time."""
    mean = torch.zeros(table.size(1), dtype=torch.float64, device=table.device)
    for part in table.split(rows):
        mean += part.sum(0, dtype=torch.float64) / len(table)
    variance = torch.zeros_like(mean)
    for part in table.split(rows):
        variance += (part - mean).square_().sum(0) / len(table)
    return mean, variance
