"""Token states → one vector for each text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over attended tokens (Reimers and Gurevych, Sentence-BERT, 2019).

    Args:
        hidden: ``(B, L, T)`` token states.
        mask: ``(B, L)``, 1 for a token and 0 for padding, on either side.

    Returns:
        ``(B, T)``; zero for a row without tokens.
    """
    weight = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def cls(hidden: Tensor, mask: Tensor) -> Tensor:
    """State of the first attended token; shapes as in :func:`mean`."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.long().argmax(dim=1)]


def last(hidden: Tensor, mask: Tensor) -> Tensor:
    """State of the last attended token, in a causal model the one that has seen all; shapes as in :func:`mean`."""
    at = mask.shape[1] - 1 - mask.long().flip(dims=[1]).argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), at]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": mean, "cls": cls, "last": last}
