"""The layers of :class:`lrdgraph.nn.relational_attention.RelationMixer` in C++, for a CPU and float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lrdgraph.nn.native import load_native
from lrdgraph.nn.subnormal import are_flushed

LANES = 8
"""Sequences of a tile, the vectors of :mod:`relation_layers.cpp`; channels are a multiple of it."""
FOLDER = Path(__file__).parent


def load_relation_layers() -> None:
    """Compile them, where this machine has not yet.

    Raises:
        ConfigError: there is no compiler, or it fails.
    """
    load_native(FOLDER / "relation_layers.cpp", FOLDER / "vectors.h")


def relation_layers(
    x: Tensor, weights: Sequence[Tensor], num_layers: int, num_heads: int, eps: float, dropout: float = 0.0
) -> Tensor:
    """``X ← LayerNorm(X + dropout(W₂ relu(W₁ MultiHead(X))))``, ``num_layers`` times, on all threads of torch.

    Sums of gradients depend on the number of threads, not on which comes first. :func:`load_relation_layers` must have
    been called.

    Args:
        x: ``(n, S, D)``, ``D`` a multiple of 8.
        weights: of queries, keys and values ``(3D, D)``; of ``W₁`` and its bias, ``W₂`` and its bias, and the norm.
        num_layers: 1 or more.
        num_heads: divides ``D``.
        eps: of the norm.
        dropout: in each layer; 0 outside training.

    Returns:
        ``(T, D, S, LANES)`` tiles, whose last sequences were zeros where ``n`` is no multiple of ``LANES``.
    """
    n, s, d = x.shape
    x = F.pad(x, (0, 0, 0, 0, 0, -n % LANES)).view(-1, LANES, s, d).permute(0, 3, 2, 1).contiguous()
    keep = F.dropout(x.new_ones(len(x), num_layers, d, s, LANES), dropout) if dropout else None
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights)):
        learnt: Tensor = _Layers.apply(num_layers, num_heads, eps, keep, x, *weights)
        return learnt
    found: Tensor = _operators().forward(x, weights, keep, num_layers, num_heads, eps, False, are_flushed())[0]
    return found


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, num_layers: int, num_heads: int, eps: float, keep: Tensor | None, x: Tensor, *weights: Tensor
    ) -> Tensor:
        out: Tensor
        out, ctx.kept = _operators().forward(x, weights, keep, num_layers, num_heads, eps, True, are_flushed())
        ctx.save_for_backward(x, *weights)
        ctx.keep, ctx.settings = keep, (num_layers, num_heads, eps)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        asked = (gradient, x, ctx.kept, weights, ctx.keep, *ctx.settings, are_flushed())
        of_x, of_weights = _operators().backward(*asked)
        return None, None, None, None, of_x, *(g.view_as(w) for g, w in zip(of_weights, weights, strict=True))


def _operators() -> Any:
    return torch.ops.lrdgraph_relation_layers
