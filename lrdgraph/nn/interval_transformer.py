"""A causal transformer that knows how much time lies between any two events."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import ConfigError
from lrdgraph.nn.transformer import Attend, Block


class IntervalTransformer(nn.Module):
    """Self-attention with keys and values for the interval between two events and for the place of the earlier one.

    ``z_i = Σ_j softmax_j[q_i · (k_j + R^K_ij + P^K_j) / √w] (v_j + R^V_ij + P^V_j)``, where ``R_ij`` belongs to the
    interval ``t_i − t_j`` in units of the shortest one that the person had so far, cut at ``num_intervals``. Source: Li
    et al., *Time Interval Aware Self-Attention for Sequential Recommendation* (WSDM 2020), eq. 4 to 9. There the unit
    is the shortest interval of the whole sequence, later events included; here event i knows of those before it alone.

    No tensor of ``B × L × L × D`` is made: a query meets each of the intervals once, and its weights are summed by
    interval.

    Shapes:
        - input: ``(B, L, D)`` vectors, ``(B, L)`` bool, true where an event is real (padding stands on the left), and
          ``(B, L)`` int64 times
        - output: ``(B, L, D)``; what stands at padding is meaningless

    Args:
        hidden_channels: ``D``.
        max_length: the longest ``L``.
        num_intervals: units that are told apart.
        num_layers, num_heads, dropout: as for :class:`lrdgraph.nn.transformer.HistoryTransformer`.
    """

    def __init__(
        self,
        hidden_channels: int,
        max_length: int,
        num_intervals: int = 256,
        num_layers: int = 2,
        num_heads: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if hidden_channels % num_heads:
            raise ConfigError(f"num_heads={num_heads} must divide hidden_channels={hidden_channels}; change one.")
        self.num_intervals, self.num_heads, self.dropout = num_intervals, num_heads, dropout
        self.blocks = nn.ModuleList(Block(hidden_channels, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_channels)
        self.interval_key, self.interval_value = (nn.Embedding(num_intervals + 1, hidden_channels) for _ in range(2))
        self.place_key, self.place_value = (nn.Embedding(max_length, hidden_channels) for _ in range(2))
        for table in (self.interval_key, self.interval_value, self.place_key, self.place_value):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, x: Tensor, real: Tensor, time: Tensor) -> Tensor:
        attend = self._attention(real, intervals(time, real, self.num_intervals))
        for block in self.blocks:
            x = block(x, attend)
        return self.norm(x)

    def _attention(self, real: Tensor, interval: Tensor) -> Attend:
        length = real.size(1)
        causal = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
        itself = torch.eye(length, dtype=torch.bool, device=real.device)
        hidden = ~((real[:, None, :] & causal) | itself)[:, None]  # (B, 1, L, L)
        where = interval[:, None].expand(-1, self.num_heads, -1, -1)  # (B, heads, L, L)
        r_key, r_value = self._heads(self.interval_key.weight), self._heads(self.interval_value.weight)
        p_key, p_value = (self._heads(table.weight[-length:]) for table in (self.place_key, self.place_value))

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            logits = q @ (k + p_key).mT + (q @ r_key.mT).gather(3, where)
            weight = (logits * q.size(-1) ** -0.5).masked_fill(hidden, -torch.inf).softmax(-1)
            weight = F.dropout(weight, self.dropout, self.training)
            by_interval = weight.new_zeros(*weight.shape[:3], self.num_intervals + 1).scatter_add(3, where, weight)
            return weight @ (v + p_value) + by_interval @ r_value

        return attend

    def _heads(self, table: Tensor) -> Tensor:
        """``(n, D) → (heads, n, D / heads)``."""
        return table.view(len(table), self.num_heads, -1).transpose(0, 1)


def intervals(time: Tensor, real: Tensor, most: int) -> Tensor:
    """``(B, L, L)`` the interval from event j to event i in units of the shortest that i knows of, cut at ``most``.

    A person's shortest interval is that above zero between neighbouring events up to i; where there is none, every
    interval is 0.

    Args:
        time: ``(B, L)`` int64.
        real: ``(B, L)`` bool.
        most: units.
    """
    never = 2**62
    gap = time.diff(dim=1)
    known = real[:, 1:] & real[:, :-1] & (gap > 0)
    gap = F.pad(gap.masked_fill(~known, never), (1, 0), value=never)
    unit = gap.cummin(1).values  # (B, L)
    between = (time[:, :, None] - time[:, None, :]).abs()
    return (between // unit[:, :, None]).clamp(max=most) * (real[:, :, None] & real[:, None, :])
