"""Random items that a person has not had."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROUNDS = 20
"""Draws before an item that was had is accepted; it matters only to people who have had nearly everything."""


class UnseenItems(nn.Module):
    """Uniform draws over the catalogue that avoid the items of a user's training events.

    Published code also avoids the items of validation and test, which tells the model that they are coming; these draws
    do not know them, unless they are given (``ModelInputs.had``).

    Args:
        user, item: ``(M,)`` events.
        num_items: ``N``.
    """

    keys: Tensor

    def __init__(self, user: Tensor, item: Tensor, num_items: int) -> None:
        super().__init__()
        self.num_items = num_items
        self.register_buffer("keys", (user * (num_items + 1) + item).unique(), persistent=False)

    def forward(self, user: Tensor, count: int) -> Tensor:
        """``(B, count)`` items in 1 … N for users ``(B,)``; a user without events may get any."""
        drawn = torch.randint(1, self.num_items + 1, (len(user), count), device=user.device)
        for _ in range(ROUNDS):
            again = contains(self.keys, user[:, None] * (self.num_items + 1) + drawn).nonzero(as_tuple=True)
            if not len(again[0]):
                break
            drawn[again] = torch.randint(1, self.num_items + 1, (len(again[0]),), device=user.device)
        return drawn


def contains(keys: Tensor, asked: Tensor) -> Tensor:
    """Which of ``asked`` are among rising ``keys``; bool of the same shape."""
    if not len(keys):
        return torch.zeros_like(asked, dtype=torch.bool)
    return keys[torch.searchsorted(keys, asked).clamp(max=len(keys) - 1)] == asked
