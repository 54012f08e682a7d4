"""Cross-entropy over a whole catalogue, some rows at a time: logits of all positions never stand at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOGITS_AT_ONCE = {"cpu": 2**19, "cuda": 2**27}
"""On a CPU as many as stay in its cache, on a GPU as many as fill it; others as a CPU."""

Added = tuple[Tensor, Tensor, Tensor]
"""Position, item and value, each ``(X,)``, by ascending position: what is added to single logits."""


def catalogue_cross_entropy(
    query: Tensor,
    items: Tensor,
    bias: Tensor,
    target: Tensor,
    rows: tuple[Tensor, Tensor] | None = None,
    added: Sequence[Added] = (),
) -> Tensor:
    """Mean cross-entropy of ``q · x_c + b_c`` (and what is added to it) over all items ``c`` against the targets.

    The gradient is taken while the logits of some positions stand, so that neither they nor their gradient are kept:
    memory is that of the arguments and of one block. Item 0 is padding and never counts.

    Args:
        query: ``(P, D)``.
        items: ``(N + 1, D)``.
        bias: ``(N + 1,)``; minus infinity leaves an item out.
        target: ``(P,)`` items.
        rows: ``(G, N + 1)`` and ``(P,)``: which of the G rows is added to the logits of each position.
        added: values for single logits, as relation evidence gives them.

    Returns:
        A scalar, differentiable once in query, items, bias, rows and values.
    """
    table, where = rows if rows is not None else (None, None)
    flat = [tensor for part in added for tensor in part]
    loss: Tensor = _CatalogueCrossEntropy.apply(query, items, bias, target, table, where, *flat)
    return loss


class _CatalogueCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        items: Tensor,
        bias: Tensor,
        target: Tensor,
        table: Tensor | None,
        where: Tensor | None,
        *flat: Tensor,
    ) -> Tensor:
        number, width, device = len(query), len(items), query.device.type
        exact = torch.promote_types(query.dtype, torch.float32)
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else exact
        step = max(1, LOGITS_AT_ONCE.get(device, LOGITS_AT_ONCE["cpu"]) // width)
        parts = [flat[first : first + 3] for first in range(0, len(flat), 3)]
        cuts = [_cuts(position, number, step) for position, _, _ in parts]
        wanted = any(ctx.needs_input_grad)
        to_query, to_items = torch.empty_like(query, dtype=exact), torch.zeros_like(items, dtype=exact)
        to_bias = torch.zeros_like(bias, dtype=exact)
        to_table = None if table is None else torch.zeros_like(table, dtype=exact)
        to_value = [torch.empty_like(value, dtype=exact) for _, _, value in parts]
        low, low_items = query.to(kind), items.to(kind)
        loss = query.new_zeros((), dtype=exact)
        with torch.autocast(device, enabled=False):
            for block, start in enumerate(range(0, number, step)):
                some = slice(start, start + step)
                logits = (low[some] @ low_items.T).to(exact).add_(bias)
                if table is not None and where is not None:
                    logits += table.index_select(0, where[some])
                places = []
                for (position, item, value), cut in zip(parts, cuts, strict=True):
                    edges = slice(cut[block], cut[block + 1])
                    place = (position[edges] - start) * width + item[edges]
                    logits.view(-1).index_add_(0, place, value[edges].to(logits.dtype))
                    places.append((edges, place))
                logits[:, 0] = -torch.inf
                chosen = target[some, None]
                own, most = logits.gather(1, chosen), logits.amax(1, keepdim=True)
                share = logits.sub_(most).exp_()
                total = share.sum(1, keepdim=True)
                loss += (total.log() + most - own).sum()
                if not wanted:
                    continue
                share.mul_((number * total).reciprocal_())
                share.scatter_add_(1, chosen, share.new_full(chosen.shape, -1 / number))
                for to, (edges, place) in zip(to_value, places, strict=True):
                    to[edges] = share.view(-1).index_select(0, place)
                to_bias += share.sum(0)
                if to_table is not None and where is not None:
                    to_table.index_add_(0, where[some], share)
                share = share.to(kind)
                to_query[some] = share @ low_items
                to_items += share.T @ low[some]
        ctx.save_for_backward(to_query, to_items, to_bias, to_table, *to_value)
        return loss / number

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_query, to_items, to_bias, to_table, *to_value = (
            None if to is None else to * gradient for to in ctx.saved_tensors
        )
        flat = [to for value in to_value for to in (None, None, value)]
        return to_query, to_items, to_bias, None, to_table, None, *flat


def _cuts(position: Tensor, number: int, step: int) -> list[int]:
    """Where the values of each block of positions begin, and the last ends."""
    if step >= number:
        return [0, len(position)]
    starts = torch.arange(step, number, step, device=position.device)
    return [0, *torch.searchsorted(position.contiguous(), starts).tolist(), len(position)]
