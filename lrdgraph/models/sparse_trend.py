"""Recent popularity for large catalogues: what is held follows the events, and what is computed the items asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrdgraph.models.trend import RecentPopularity
from lrdgraph.nn.time import DAY

LARGEST_TABLE = 200_000_000
"""Entries above which no table of steps × items × half-lives is made."""


class SparseRecentPopularity(nn.Module):
    """:class:`lrdgraph.models.trend.RecentPopularity` without its table, in single precision.

    Of each item the steps in which it had events are kept, with the faded count at the end of each: ``O(M)`` numbers.
    The count at a later moment is that of the last such step before it, faded further.

    Args:
        item, time, num_items, half_lives, step_days: as there.
    """

    start_of: Tensor
    step_of: Tensor
    count: Tensor

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
        self.num_items = num_items
        self.start = int(time.min()) if len(time) else 0
        step = (time - self.start) // self.step
        self.steps = int(step.max()) + 2 if len(time) else 1
        lives = torch.tensor(half_lives, dtype=torch.float64) * DAY
        left = (step + 1) * self.step - (time - self.start)
        key, where = (item * self.steps + step).unique(return_inverse=True)
        count = torch.zeros(len(key), len(half_lives), dtype=torch.float64)
        count.index_add_(0, where, 0.5 ** (left.to(torch.float64)[:, None] / lives))
        owner, at = key // self.steps, key % self.steps
        fade = self.step / lives
        # sums over the last 1, 2, 4, … entries of an item, each faded to the end of the entry's own step
        shift = 1
        while shift < len(key) and bool((owner[shift:] == owner[:-shift]).any()):
            earlier = count[:-shift] * 0.5 ** ((at[shift:] - at[:-shift])[:, None] * fade)
            earlier.masked_fill_((owner[shift:] != owner[:-shift])[:, None], 0.0)
            count[shift:] += earlier
            shift *= 2
        sizes = torch.bincount(owner, minlength=num_items + 1)
        self.register_buffer("start_of", torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]), persistent=False)
        self.register_buffer("step_of", at.int(), persistent=False)
        self.register_buffer("count", count.float(), persistent=False)
        self.fade = tuple(fade.tolist())
        self.weight = nn.Parameter(torch.full((len(half_lives),), 0.1))

    def forward(self, moment: Tensor) -> Tensor:
        return self.at(moment, torch.arange(self.num_items + 1, device=moment.device))

    def rows(self, moment: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`lrdgraph.models.trend.RecentPopularity.rows`."""
        rows, where = ((moment - self.start) // self.step).clamp(0, self.steps - 1).unique(return_inverse=True)
        return self._table(rows, torch.arange(self.num_items + 1, device=moment.device)), where

    def at(self, moment: Tensor, candidates: Tensor) -> Tensor:
        """As :meth:`lrdgraph.models.trend.RecentPopularity.at`."""
        row = ((moment - self.start) // self.step).clamp(0, self.steps - 1)
        if candidates.dim() == 2:
            items, place = candidates.unique(return_inverse=True)
            rows, where = row.unique(return_inverse=True)
            return self._table(rows, items)[where[:, None], place]
        rows, where = row.unique(return_inverse=True)
        return self._table(rows, candidates).index_select(0, where)

    def _table(self, rows: Tensor, items: Tensor) -> Tensor:
        """``(G, C)`` at the beginning of rising steps ``(G,)`` for items ``(C,)``."""
        if not len(self.step_of):
            return self.weight.new_zeros(len(rows), len(items))
        first = self.start_of[items]
        sizes = self.start_of[items + 1] - first
        owner = torch.repeat_interleave(torch.arange(len(items), device=items.device), sizes)
        entry = torch.arange(len(owner), device=items.device) + (first - (sizes.cumsum(0) - sizes))[owner]
        # the first step that knows of an entry; the latest entry known at each step is a running maximum
        known = torch.searchsorted(rows, self.step_of[entry].long(), right=True)
        inside = known < len(rows)
        latest = torch.full((len(items), len(rows)), -1, dtype=torch.int64, device=items.device)
        cell = owner[inside] * len(rows) + known[inside]
        latest.view(-1).scatter_reduce_(0, cell, entry[inside], "amax")
        latest = latest.cummax(1).values
        age = rows - 1 - self.step_of[latest.clamp(min=0)]
        table = latest.new_zeros(latest.shape, dtype=self.weight.dtype)
        for s, fade in enumerate(self.fade):
            count = self.count[:, s][latest.clamp(min=0)] * torch.exp2(age * -fade)
            table = table + self.weight[s] * count.masked_fill(latest < 0, 0.0).log1p()
        return table.T


def recent_popularity(item: Tensor, time: Tensor, num_items: int) -> RecentPopularity | SparseRecentPopularity:
    """The one with a table where the table is small, which is faster; weights of both are called the same."""
    steps = (int(time.max()) - int(time.min())) // (7 * DAY) + 2 if len(time) else 1
    kind = RecentPopularity if steps * (num_items + 1) * 3 <= LARGEST_TABLE else SparseRecentPopularity
    return kind(item, time, num_items)
