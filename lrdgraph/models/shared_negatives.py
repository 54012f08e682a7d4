"""Candidates that all positions of a training step share: drawn items, and the targets of the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Candidates(NamedTuple):
    """``C`` distinct items that the positions of one step are ranked among.

    Attributes:
        items: ``(C,)`` int64, rising.
        log_q: ``(C,)`` float32, the logarithm of the chance with which each came among them.
    """

    items: Tensor
    log_q: Tensor

    def place(self, item: Tensor) -> Tensor:
        """Columns of items that are among them, same shape."""
        return torch.searchsorted(self.items, item)


class SharedNegatives(nn.Module):
    """Draws items with training events, a share of them alike and the others by ``popularity ** power``.

    The uniform share keeps ``1 / q`` of rare items from exploding; the other part shows the items that are most often
    wrong. A step costs as much as it draws, however large the catalogue.

    Args:
        popularity: ``(N + 1,)`` training events of each item.
        number: items to draw, with replacement.
        power: of popularity; 0 makes both parts uniform.
        uniform: share of the draws that are uniform.
    """

    trained: Tensor
    popularity: Tensor
    weight: Tensor
    cumulative: Tensor

    def __init__(self, popularity: Tensor, number: int, power: float = 0.75, uniform: float = 0.5) -> None:
        super().__init__()
        self.alike = round(number * uniform)
        self.number = number
        trained = popularity.nonzero().squeeze(1)
        weight = popularity[trained].double().pow(power)
        weight = weight / weight.sum()
        self.register_buffer("trained", trained, persistent=False)
        self.register_buffer("popularity", (popularity / popularity.sum())[trained], persistent=False)
        self.register_buffer("weight", weight.float(), persistent=False)
        self.register_buffer("cumulative", weight.cumsum(0), persistent=False)

    def forward(self, target: Tensor) -> Candidates:
        """Candidates for a step with targets ``(P,)``, which have training events.

        The chance of an item counts both ways in: among ``number`` draws, and as one of ``P`` targets, each of which is
        taken to be drawn by popularity.
        """
        device, last = target.device, len(self.trained)
        alike = torch.randint(last, (self.alike,), device=device)
        uniform = torch.rand(self.number - self.alike, dtype=self.cumulative.dtype, device=device)
        drawn = torch.searchsorted(self.cumulative, uniform * self.cumulative[-1], right=True).clamp(max=last - 1)
        place = torch.cat([alike, drawn, torch.searchsorted(self.trained, target)]).unique()
        missed = len(target) * _log_rest(self.popularity[place])
        missed = missed + (self.number - self.alike) * _log_rest(self.weight[place])
        missed = missed + self.alike * _log_rest(torch.full_like(missed, 1 / last))
        return Candidates(self.trained[place], torch.log(-torch.expm1(missed)))


def _log_rest(chance: Tensor) -> Tensor:
    return torch.log1p(-chance.clamp(max=1 - 1e-6))
