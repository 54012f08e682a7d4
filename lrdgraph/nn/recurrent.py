"""Recurrent encoders of padded histories: a GRU, and a GRU with attention to its own past."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RecurrentEncoder(nn.Module):
    """A GRU, and a projection of its states to query vectors.

    Source: Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (arXiv 1511.06939).

    Shapes:
        - input: ``(B, L, D)`` vectors and ``(B, L)`` bool, true where an event is real (padding stands on the left)
        - output: ``(B, L, D)``; what stands at padding is meaningless

    Args:
        hidden_channels: ``D``, also the width of the state.
        num_layers: of the GRU.
        dropout: on the states.
    """

    def __init__(self, hidden_channels: int, num_layers: int = 1, dropout: float = 0.5) -> None:
        super().__init__()
        self.gru = PaddedGRU(hidden_channels, num_layers)
        self.out = nn.Linear(hidden_channels, hidden_channels)
        self.dropout = dropout

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        return self.out(F.dropout(self.gru(x, real), self.dropout, self.training))


class AttentiveRecurrentEncoder(nn.Module):
    """The state of one GRU joined to what it finds in the states of another: ``W [g_t ; Σ_{j≤t} α_tj h_j]``.

    ``α_tj = v · σ(A₁ g_t + A₂ h_j)`` are not normalised. Source: Li et al., *Neural Attentive Session-based
    Recommendation* (arXiv 1711.04725), eq. 5–9, here at every position: the local encoder of position ``t`` sees the
    states up to ``t``.

    Shapes:
        - input: ``(B, L, D)`` vectors and ``(B, L)`` bool, true where an event is real (padding stands on the left)
        - output: ``(B, L, D)``; what stands at padding is meaningless

    Args:
        hidden_channels: ``D``, also the width of both states and of the attention.
        num_layers: of each GRU.
        dropout: on the joined vector.
    """

    def __init__(self, hidden_channels: int, num_layers: int = 1, dropout: float = 0.5) -> None:
        super().__init__()
        self.global_gru = PaddedGRU(hidden_channels, num_layers)
        self.local_gru = PaddedGRU(hidden_channels, num_layers)
        self.query = nn.Linear(hidden_channels, hidden_channels, bias=False)
        self.key = nn.Linear(hidden_channels, hidden_channels, bias=False)
        self.weight = nn.Linear(hidden_channels, 1, bias=False)
        self.out = nn.Linear(2 * hidden_channels, hidden_channels, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        whole, states = self.global_gru(x, real), self.local_gru(x, real)
        seen = torch.sigmoid(self.query(whole)[:, :, None] + self.key(states)[:, None])  # (B, L, L, D)
        causal = torch.ones(x.size(1), x.size(1), dtype=torch.bool, device=x.device).tril()
        attention = self.weight(seen).squeeze(3) * (causal & real[:, None])  # (B, L, L)
        joined = torch.cat([whole, attention @ states], dim=2)
        return self.out(F.dropout(joined, self.dropout, self.training))


class PaddedGRU(nn.Module):
    """A GRU whose state begins at the first real event, for histories that are padded on the left.

    Shapes: ``(B, L, D)`` and ``(B, L)`` bool → states ``(B, L, D)``; those at padding are meaningless.
    """

    def __init__(self, hidden_channels: int, num_layers: int = 1) -> None:
        super().__init__()
        self.gru = nn.GRU(hidden_channels, hidden_channels, num_layers, batch_first=True)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Padding is moved to the end, where a GRU reads it last, and the states are moved back."""
        length = x.size(1)
        column = torch.arange(length, device=x.device)
        padding = length - real.sum(1, keepdim=True)
        forth, back = (column + padding) % length, (column - padding) % length
        states, _ = self.gru(_columns(x, forth))
        return _columns(states, back)


def _columns(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[:, :, None].expand_as(x))
