"""Attention from a candidate to a history, once for each relation, as relation-aware recommenders have it."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lrdgraph.errors import ConfigError
from lrdgraph.nn.relation_layers import LANES, load_relation_layers, relation_layers


def relational_attention(history: Tensor, valid: Tensor, query: Tensor, weight: Tensor | None = None) -> Tensor:
    """One summary of the history for each candidate and relation.

    ``c_s = Σ_h w_hs · softmax_h(x_h · query_s) · x_h``. What ``w`` takes away from an event is not given to others.
    Source: *Relational Collaborative Filtering* (arXiv 1904.12796) and, with ``w`` the decay of each relation in time,
    KDA (*Toward Dynamic User Intention*, TOIS 2020), both as the public LRD code has them.

    Args:
        history: ``(B, L, D)`` vectors of the events.
        valid: ``(B, L)`` bool; a row without any has summaries of zero.
        query: ``(B, C, S, D)``, a candidate seen through each of ``S`` relations.
        weight: ``(B, 1 or C, S, L)`` of each event, or None for 1.

    Returns:
        ``(B, C, S, D)``.
    """
    b, c, s, d = query.shape
    # under autocast too, the softmax has the precision of the vectors
    logits = (query.reshape(b, c * s, d) @ history.mT).to(history.dtype)  # (B, C·S, L)
    away = ~valid[:, None]
    # finite, so that a history without events has no NaN in its gradient
    attention = logits.masked_fill(away, torch.finfo(logits.dtype).min).softmax(-1).masked_fill(away, 0)
    if weight is not None:
        attention = (attention.view(b, c, s, valid.size(1)) * weight).view(b, c * s, valid.size(1))
    return (attention @ history).view(b, c, s, d)


SAFE_EXPONENT = 60.0
"""Sums of a few ``exp(±60)`` are far from the ends of float32."""


class _HeadAttention(torch.autograd.Function):
    """Self-attention of many short sequences: ``(n, S, 3 · heads · width), heads → (n, S, heads · width)``.

    Queries, keys and values stand side by side in each row, heads within them. Each head is a product of views,
    forwards and backwards, so that nothing is brought into another order; torch's own way copies all of it several
    times.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, heads: int) -> Tensor:
        n, s, d = rows.shape
        width = d // (3 * heads)
        parts = rows.view(n, s, 3, heads, width)
        attention = rows.new_empty(heads, n, s, s)
        out = rows.new_empty(n, s, heads, width)
        for head in range(heads):
            torch.bmm(parts[:, :, 0, head], parts[:, :, 1, head].mT, out=attention[head])
        _short_softmax_(attention, width**-0.5)
        for head in range(heads):
            out[:, :, head] = attention[head] @ parts[:, :, 2, head]
        ctx.save_for_backward(rows, attention)
        return out.view(n, s, heads * width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rows, attention = ctx.saved_tensors
        heads, n, s, _ = attention.shape
        width = rows.size(-1) // (3 * heads)
        parts, gradient = rows.view(n, s, 3, heads, width), gradient.reshape(n, s, heads, width)
        found = torch.empty_like(parts)
        weighed = torch.empty_like(attention)
        for head in range(heads):
            found[:, :, 2, head] = attention[head].mT @ gradient[:, :, head]
            torch.bmm(gradient[:, :, head], parts[:, :, 2, head].mT, out=weighed[head])
        weighed *= attention
        ones = weighed.new_ones(s, 1)
        weighed.addcmul_(attention, (weighed.view(-1, s) @ ones).view(heads, n, s, 1), value=-1).mul_(width**-0.5)
        for head in range(heads):
            found[:, :, 0, head] = weighed[head] @ parts[:, :, 1, head]
            found[:, :, 1, head] = weighed[head].mT @ parts[:, :, 0, head]
        return found.view_as(rows), None


def _short_softmax_(x: Tensor, scale: float) -> None:
    """``softmax(scale · x)`` in place over a last dimension of a dozen, faster on a CPU than torch's own.

    Where no exponential can overflow, the maximum of each row need not be taken away, and the sums are one product.
    """
    low, high = x.aminmax() if x.numel() else (x.sum(), x.sum())
    if float(torch.maximum(-low, high)) * scale >= SAFE_EXPONENT:
        x -= x.amax(-1, keepdim=True)
    rows = x.mul_(scale).exp_().view(-1, x.size(-1))
    rows /= rows @ rows.new_ones(x.size(-1), 1)


class RelationMixer(nn.Module):
    """Self-attention among the summaries of ``S`` relations, and what they say together.

    ``X ← LayerNorm(X + dropout(W₂ relu(W₁ MultiHead(X))))``, with queries, keys and values without bias and the same
    weights in every layer, and then the mean or the maximum over the relations, as in the public LRD code (its second
    level of aggregation).

    Shapes: ``(*, S, D) → (*, D)``.

    Args:
        hidden_channels: ``D``.
        num_layers: how often; 0 only pools.
        num_heads: divides ``D``.
        dropout: in each layer.
        pooling: ``"average"`` or ``"max"``.

    Raises:
        ConfigError: the heads do not divide ``D``.
    """

    def __init__(
        self,
        hidden_channels: int,
        num_layers: int,
        num_heads: int,
        dropout: float = 0.0,
        pooling: Literal["average", "max"] = "average",
    ) -> None:
        super().__init__()
        if hidden_channels % num_heads:
            raise ConfigError(f"num_heads={num_heads} must divide hidden_channels={hidden_channels}; change one.")
        d = hidden_channels
        self.num_layers, self.num_heads, self.dropout, self.pooling = num_layers, num_heads, dropout, pooling
        self.attend = nn.Linear(d, 3 * d, bias=False)  # queries, keys and values, one below the other
        self.inner = nn.Linear(d, d)
        self.outer = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self._native = False

    def forward(self, x: Tensor) -> Tensor:
        *lead, s, d = x.shape
        x = x.reshape(-1, s, d)
        if not self._native or x.device.type != "cpu" or self.attend.weight.dtype != torch.float32:
            return self._pool(self._plain(x), 1).view(*lead, d)
        inner, outer, norm = self.inner, self.outer, self.norm
        weights = (self.attend.weight, inner.weight, inner.bias, outer.weight, outer.bias, norm.weight, norm.bias)
        dropout = self.dropout if self.training else 0.0
        tiles = relation_layers(x.float(), weights, self.num_layers, self.num_heads, norm.eps, dropout)
        pooled = self._pool(tiles, 2)  # (T, D, LANES)
        return pooled.mT.reshape(-1, d)[: len(x)].view(*lead, d)

    def _plain(self, x: Tensor) -> Tensor:
        for _ in range(self.num_layers):
            out = _HeadAttention.apply(self.attend(x), self.num_heads)
            out = self.outer(torch.relu(self.inner(out)))
            x = self.norm(x + F.dropout(out, self.dropout, self.training))
        return x

    def _pool(self, x: Tensor, relations: int) -> Tensor:
        return x.mean(relations) if self.pooling == "average" else x.amax(relations)

    def compile(self, *_: Any, **__: Any) -> None:
        """From now on go through :func:`lrdgraph.nn.relation_layers.relation_layers` on a CPU, in float32.

        It takes widths that are a multiple of 8, and one layer or more. Others and other devices stay as they are.

        Raises:
            ConfigError: there is no C++ compiler, or it fails.
        """
        if self.attend.weight.device.type == "cpu" and self.num_layers and not self.attend.in_features % LANES:
            load_relation_layers()
            self._native = True
