"""Attention from a candidate to a history, once for each relation, as relation-aware recommenders have it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def relational_attention(history: Tensor, valid: Tensor, query: Tensor, weight: Tensor | None = None) -> Tensor:
    """One summary of the history for each candidate and relation.

    ``c_s = Σ_h w_hs · softmax_h(x_h · query_s) · x_h``. What ``w`` takes away from an event is not given to others.
    Source: *Relational Collaborative Filtering* (arXiv 1904.12796) and, with ``w`` the decay of each relation in time,
    KDA (*Toward Dynamic User Intention*, TOIS 2020), both as the public LRD code has them.

    Args:
        history: ``(B, L, D)`` vectors of the events.
        valid: ``(B, L)`` bool; a row without any has summaries of zero.
        query: ``(B, C, S, D)``, a candidate seen through each of ``S`` relations.
        weight: ``(B, 1 or C, L, S)`` of each event, or None for 1.

    Returns:
        ``(B, C, S, D)``.
    """
    b, c, s, d = query.shape
    logits = query.reshape(b, c * s, d) @ history.mT  # (B, C·S, L)
    away = ~valid[:, None]
    # finite, so that a history without events has no NaN in its gradient
    attention = logits.masked_fill(away, torch.finfo(logits.dtype).min).softmax(-1).masked_fill(away, 0)
    if weight is not None:
        attention = (attention.view(b, c, s, -1) * weight.mT).view(b, c * s, -1)
    return (attention @ history).view(b, c, s, d)


SAFE_EXPONENT = 60.0
"""Sums of a few ``exp(±60)`` are far from the ends of float32."""


class _ShortSoftmax(torch.autograd.Function):
    """``softmax(scale · x)`` over a last dimension of a dozen, faster on a CPU than torch's own.

    Where no exponential can overflow, the maximum of each row need not be taken away, and the sums are one product.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        if x.is_cuda:
            p = (x * scale).softmax(-1)
        else:
            low, high = x.aminmax() if x.numel() else (x.sum(), x.sum())
            small = float(torch.maximum(-low, high)) * scale < SAFE_EXPONENT
            p = (x if small else x - x.amax(-1, keepdim=True)).mul(scale).exp_()
            rows = p.view(-1, p.size(-1))
            rows.mul_((rows @ rows.new_ones(p.size(-1), 1)).reciprocal_())
        ctx.save_for_backward(p)
        ctx.scale = scale
        return p

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        weighed = gradient * p
        return weighed.sub_(p * weighed.sum(-1, keepdim=True)).mul_(ctx.scale), None


class RelationMixer(nn.Module):
    """Self-attention among the summaries of ``S`` relations, the same weights in every layer.

    ``X ← LayerNorm(X + dropout(W₂ relu(W₁ MultiHead(X))))``, with queries, keys and values without bias, as in the
    public LRD code (its second level of aggregation).

    Shapes: ``(*, S, D) → (*, S, D)``.

    Args:
        hidden_channels: ``D``.
        num_layers: how often; 0 gives back the input.
        num_heads: divides ``D``.
        dropout: in each layer.
    """

    def __init__(self, hidden_channels: int, num_layers: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        d = hidden_channels
        self.num_layers, self.num_heads, self.dropout = num_layers, num_heads, dropout
        self.attend = nn.Linear(d, 3 * d, bias=False)  # queries, keys and values, one below the other
        self.inner = nn.Linear(d, d)
        self.outer = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        *lead, s, d = x.shape
        x = x.reshape(-1, s, d)
        n, heads, width = len(x), self.num_heads, d // self.num_heads
        for _ in range(self.num_layers):
            parts = self.attend(x).view(n, s, 3, heads, width)
            q, k, v = parts.permute(2, 0, 3, 1, 4).reshape(3, n * heads, s, width)
            attention = _ShortSoftmax.apply(q @ k.mT, width**-0.5)
            out = (attention @ v).view(n, heads, s, width).transpose(1, 2).reshape(n, s, d)
            out = self.outer(torch.relu(self.inner(out)))
            x = self.norm(x + F.dropout(out, self.dropout, self.training))
        return x.view(*lead, s, d)
