"""Attention from a candidate to a history, once for each relation, as relation-aware recommenders have it."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lrdgraph.nn.threads import over_blocks


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


BLOCK = 64
"""Sequences at a time in compiled layers: with all that a layer makes of them they fit into a core's cache."""


def block_sizes(number: int, threads: int, *, halves: bool) -> list[int]:
    """Sizes of blocks that hold ``number`` sequences, the last of which may be filled up.

    Half a block is worth compiling for where the same size comes again in every step: for what is left over, and for
    the last blocks where those are too few for all threads.
    """
    whole, rest = divmod(number, BLOCK)
    if not halves or rest > BLOCK // 2:
        whole, rest = whole + bool(rest), 0
    uneven = whole % threads
    cut = uneven if halves and not rest and uneven <= threads // 2 else 0
    return [BLOCK] * (whole - cut) + [BLOCK // 2] * (2 * cut + bool(rest))


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
        d = hidden_channels
        self.num_layers, self.num_heads, self.dropout, self.pooling = num_layers, num_heads, dropout, pooling
        self.attend = nn.Linear(d, 3 * d, bias=False)  # queries, keys and values, one below the other
        self.inner = nn.Linear(d, d)
        self.outer = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._ready: set[tuple[object, ...]] = set()  # kinds of blocks that are compiled, forwards and backwards

    def forward(self, x: Tensor) -> Tensor:
        *lead, s, d = x.shape
        x = x.reshape(-1, s, d)
        if self._compiled is None or not len(x):
            return self._plain(x).view(*lead, d)
        threads = torch.get_num_threads() if x.device.type == "cpu" else 1
        sizes = block_sizes(len(x), threads, halves=self.training)
        *whole, last = x.split([*sizes[:-1], len(x) - sum(sizes[:-1])])
        last = F.pad(last, (0, 0, 0, 0, 0, sizes[-1] - len(last)))
        return self._over_blocks(self._compiled, (*whole, last), threads)[: len(x)].view(*lead, d)

    def _over_blocks(self, compiled: Callable[[Tensor], Tensor], blocks: tuple[Tensor, ...], threads: int) -> Tensor:
        """On all threads, but in turn where random numbers are drawn, and when a kind of blocks is new and compiled."""
        shapes, learns = frozenset(block.shape for block in blocks), torch.is_grad_enabled()
        kind = (shapes, blocks[0].dtype, self.training, learns, torch.is_autocast_enabled("cpu"))
        in_turn = kind not in self._ready or bool(self.training and self.dropout)
        found = over_blocks(compiled, blocks, list(self.parameters()), threads, in_turn=in_turn)
        if found.requires_grad:
            found.register_hook(lambda _: self._ready.add(kind))
        else:
            self._ready.add(kind)
        return found

    def _plain(self, x: Tensor) -> Tensor:
        for _ in range(self.num_layers):
            out = _HeadAttention.apply(self.attend(x), self.num_heads)
            out = self.outer(torch.relu(self.inner(out)))
            x = self.norm(x + F.dropout(out, self.dropout, self.training))
        return self._pool(x)

    def _pool(self, x: Tensor) -> Tensor:
        return x.mean(1) if self.pooling == "average" else x.amax(1)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """From now on run :meth:`innermost` through ``torch.compile``, in blocks of one size."""
        if kwargs.get("backend", "inductor") == "inductor" and self.attend.weight.device.type == "cpu":
            # what two sums read is made once: the gradient of the logits would be made anew for each of a head's
            # columns; and the steps between products are called from C++, as a block of them is short
            kwargs.setdefault("options", {"realize_reads_threshold": 1, "cpp_wrapper": True, "cpp.threads": 1})
        # the compiler keeps eight versions of a piece of code and leaves alone what comes after: a piece for each model
        shared = type(self).innermost
        own = FunctionType(shared.__code__.replace(), shared.__globals__, shared.__name__)
        self._compiled = torch.compile(MethodType(own, self), *args, dynamic=False, **kwargs)

    def innermost(self, x: Tensor) -> Tensor:
        """``(n, S, D) → (n, D)`` as well, with the sequences in the last dimension inside.

        A short product, a softmax over a dozen and a norm then run along many sequences at once. Only a compiler
        makes that fast: it joins what stands between the three matrix products of a layer. Under autocast these three
        alone have its precision.
        """
        n, s, d = x.shape
        x = x.permute(2, 1, 0).reshape(d, s * n)
        # scaled once, in the weights; a scale beside a softmax makes the compiler check for infinities
        scaled = torch.cat([self.attend.weight[:d] * (d // self.num_heads) ** -0.5, self.attend.weight[d:]])
        for _ in range(self.num_layers):
            q, k, v = (scaled @ x).to(x.dtype).view(3, self.num_heads, -1, s, n)  # (heads, width, S, n)
            logits = (q[:, :, :, None] * k[:, :, None]).sum(1)  # (heads, S, S, n)
            share = (logits - logits.detach().amax(2, keepdim=True)).exp()
            share = share * share.sum(2, keepdim=True).reciprocal()  # a quotient is taken again wherever it is read
            out = (share[:, None] * v[:, :, None]).sum(3)  # (heads, width, S, n)
            out = (self.inner.weight @ out.view(d, s * n)).to(x.dtype) + self.inner.bias[:, None]
            out = (out + out.abs()) / 2  # a rectifier whose gradient the compiler makes of numbers, not of flags
            out = (self.outer.weight @ out).to(x.dtype) + self.outer.bias[:, None]
            x = x + F.dropout(out, self.dropout, self.training)
            x = x - x.mean(0)
            x = x * (x.square().mean(0) + self.norm.eps).rsqrt()
            x = x * self.norm.weight[:, None] + self.norm.bias[:, None]
        return self._pool(x.view(d, s, n)).T
