"""Popularity as it stood when a recommendation was asked for, from training events before that moment alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrdgraph.nn.time import DAY


class RecentPopularity(nn.Module):
    """``b_c(t) = Σ_s a_s · log(1 + n_s(c, t))``, with ``n_s`` a count of events that fades with half-life ``s``.

    Time is cut into steps, and a request reads the counts at the start of its step: an event never counts for itself,
    nor for anything before it. Moments after the last event read the last step.

    Shapes: ``(P,)`` int64 seconds → ``(P, N + 1)``. The table holds steps × items × half-lives numbers in half
    precision; lengthen ``step_days`` where that is too many.

    Args:
        item, time: ``(M,)`` training events.
        num_items: ``N``.
        half_lives: days.
        step_days: length of a step.
    """

    table: Tensor

    def __init__(
        self,
        item: Tensor,
        time: Tensor,
        num_items: int,
        half_lives: tuple[float, ...] = (14.0, 60.0, 365.0),
        step_days: float = 7.0,
    ) -> None:
        super().__init__()
        self.step = int(step_days * DAY)
        self.start = int(time.min()) if len(time) else 0
        step = (time - self.start) // self.step
        steps = int(step.max()) + 2 if len(time) else 1
        table = torch.zeros(steps, num_items + 1, len(half_lives))
        for s, half_life in enumerate(half_lives):
            # what an event still counts for at the end of its own step
            left = (step + 1) * self.step - (time - self.start)
            weight = 0.5 ** (left.to(torch.float64) / (half_life * DAY))
            added = torch.zeros(steps * (num_items + 1), dtype=torch.float64)
            added.index_add_(0, step * (num_items + 1) + item, weight)
            fade = 0.5 ** (self.step / (half_life * DAY))
            count = torch.zeros(num_items + 1, dtype=torch.float64)
            for g, new in enumerate(added.view(steps, num_items + 1)[:-1], start=1):
                count = fade * count + new
                table[g, :, s] = count.float()
        self.register_buffer("table", table.log1p().half(), persistent=False)
        self.weight = nn.Parameter(torch.full((len(half_lives),), 0.1))

    def at(self, moment: Tensor, candidates: Tensor) -> Tensor:
        """``(P, C)`` for ``(C,)`` items shared by all moments, or ``(P, C)`` items: no other item is read."""
        row = ((moment - self.start) // self.step).clamp(0, len(self.table) - 1)
        if candidates.dim() == 2:
            return self.table[row[:, None], candidates].to(self.weight.dtype) @ self.weight
        rows, where = row.unique(return_inverse=True)
        return (self.table[rows[:, None], candidates].to(self.weight.dtype) @ self.weight).index_select(0, where)

    def forward(self, moment: Tensor) -> Tensor:
        values, where = self.rows(moment)
        return values.index_select(0, where)

    def rows(self, moment: Tensor) -> tuple[Tensor, Tensor]:
        """``b (G, N + 1)`` of the G steps that ``(P,)`` moments lie in, and ``(P,)`` which of them each does."""
        row = ((moment - self.start) // self.step).clamp(0, len(self.table) - 1)
        rows, where = row.unique(return_inverse=True)
        return self.table[rows].to(self.weight.dtype) @ self.weight, where
