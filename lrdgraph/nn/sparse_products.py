"""Sparse matrices times dense tables, with gradients to their values, for patterns that stay from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lrdgraph.nn.operators import define, room

_EDGES_AT_ONCE = 4096


def block_size() -> int:
    """How many edges go through at once where a vector of each is needed, so that they stay in a processor's cache."""
    return _EDGES_AT_ONCE


class Pattern(NamedTuple):
    """Where a sparse matrix has its ``E`` entries, sorted by row and by column once.

    Attributes:
        row, column: ``(E,)`` int64 in the order they were given, as values are.
        by_row: order ``(E,)`` that sorts entries by row, columns in it ``(E,)``, where each row begins ``(rows,)``.
        by_column: the same with rows and columns exchanged.
    """

    row: Tensor
    column: Tensor
    by_row: tuple[Tensor, Tensor, Tensor]
    by_column: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, row: Tensor, column: Tensor, rows: int, columns: int) -> Pattern:
        """Sort the entries ``(row, column)`` of a matrix of ``rows × columns``."""
        return cls(row, column, _sorted(row, column, rows), _sorted(column, row, columns))

    def to(self, device: torch.device | str) -> Pattern:
        first, second = (tuple(t.to(device) for t in side) for side in (self.by_row, self.by_column))
        return Pattern(self.row.to(device), self.column.to(device), first, second)  # type: ignore[arg-type]


def _sorted(key: Tensor, other: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    # candidate pairs come sorted, and to see that takes a tenth of the time of sorting them again
    rising = bool((key[1:] >= key[:-1]).all())
    order = torch.arange(len(key), device=key.device) if rising else torch.argsort(key, stable=True)
    ends = torch.bincount(key, minlength=size).cumsum(0)
    return order, other.index_select(0, order), torch.cat([ends.new_zeros(1), ends[:-1]])


def bags(table: Tensor, index: Tensor, offsets: Tensor, values: Tensor | None) -> Tensor:
    """Weighted sums of table rows by segment: one sparse-dense product, the fastest that torch has on a CPU."""
    if not index.numel():
        return table.new_zeros(len(offsets), table.shape[1])
    return F.embedding_bag(index, table, offsets, mode="sum", per_sample_weights=values)


class SparseProduct(torch.autograd.Function):
    """``apply(values (E,), table (columns, D), pattern) → A @ table (rows, D)``; gradients to values and table."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, table: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(values, table)
        ctx.pattern = pattern
        order, column, offsets = pattern.by_row
        return bags(table, column, offsets, values.index_select(0, order))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, table = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        to_values = to_table = None
        if ctx.needs_input_grad[0]:
            to_values = torch.empty_like(values)
            for start in range(0, len(values), _EDGES_AT_ONCE):
                part = slice(start, start + _EDGES_AT_ONCE)
                ends = table.index_select(0, pattern.column[part]) * grad.index_select(0, pattern.row[part])
                to_values[part] = ends.sum(1)
        if ctx.needs_input_grad[1]:
            order, row, offsets = pattern.by_column
            to_table = bags(grad.contiguous(), row, offsets, values.index_select(0, order))
        return to_values, to_table, None


def mixture_product(mixture: Tensor, x: Tensor, z: Tensor, pattern: Pattern) -> Tensor:
    """``Σ_k z_k ⊙ (A_k @ x)`` where the K matrices share a pattern and ``A_k`` has the values ``mixture[:, k]``.

    K sparse products keep everything at the size of the node table; the gradient to the mixture is the one place
    that needs both ends of each edge at once, and gathers them a block at a time so that a block stays in cache.

    Args:
        mixture: ``(E, K)``.
        x: ``(columns, D)``.
        z: ``(K, D)``.
        pattern: where the matrices have their entries.

    Returns:
        ``(rows, D)``, with gradients to mixture, x and z.
    """
    row, column, by_row, by_column = pattern
    return _MIXTURE_PRODUCT([mixture, x, z], [row, column, *by_row, *by_column])


def _mixture_forward(inputs: list[Tensor], pattern: list[Tensor]) -> Tensor:
    mixture, x, z = inputs
    _, _, order, column, offsets, *_ = pattern
    values = mixture.index_select(0, order).T.contiguous()
    out = x.new_zeros(len(offsets), x.shape[1])
    for k in range(len(z)):
        out.addcmul_(bags(x, column, offsets, values[k]), z[k])
    return out


def _mixture_backward(grad: Tensor, inputs: list[Tensor], pattern: list[Tensor], needed: list[bool]) -> list[Tensor]:
    mixture, x, z = inputs
    row, column, *_, order, row_of, offsets = pattern
    to_mixture, to_x, to_z = room(inputs, needed)
    if needed[1]:
        values = mixture.index_select(0, order).T.contiguous()
        to_x.zero_()
        for k in range(len(z)):
            to_x += bags(grad * z[k], row_of, offsets, values[k])
    if needed[0] or needed[2]:
        to_z.zero_()
        for start in range(0, len(mixture), block_size()):
            part = slice(start, start + block_size())
            ends = x.index_select(0, column[part])
            ends *= grad.index_select(0, row[part])
            if needed[0]:
                # few rows times few columns: several times faster than ends @ z.T
                to_mixture[part] = (z @ ends.T).T
            if needed[2]:
                to_z.addmm_(mixture[part].T, ends)
    return [to_mixture, to_x, to_z]


def _mixture_like(inputs: list[Tensor], pattern: list[Tensor]) -> Tensor:
    return inputs[1].new_empty(len(pattern[4]), inputs[1].shape[1])


_MIXTURE_PRODUCT = define("mixture_product", _mixture_forward, _mixture_backward, _mixture_like)


class PairProduct(torch.autograd.Function):
    """``y_se = Σ_d left[row_e, d] · weight[s, d] · right[column_e, d]`` for every entry ``e`` of a pattern.

    ``apply(left (rows, D), right (columns, D), weight (S, D), pattern) → (S, E)``; gradients to all three. It is the
    mirror of :func:`mixture_product`: values come out where that takes them in, so its gradients are sparse products.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(left, right, weight)
        ctx.pattern = pattern
        # a matrix of few rows times one of few columns is several times faster than the other way round
        out = left.new_empty(len(weight), len(pattern.row))
        for start in range(0, out.size(1), _EDGES_AT_ONCE):
            part = slice(start, start + _EDGES_AT_ONCE)
            out[:, part] = weight @ _ends(left, right, pattern, part).T
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        left, right, weight = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        to_left, to_right, to_weight = (torch.zeros_like(t) for t in (left, right, weight))
        order, column, offsets = pattern.by_row
        values = _reordered(grad, order)
        for s in range(len(weight)):
            to_left.addcmul_(bags(right, column, offsets, values[s]), weight[s])
        order, row, offsets = pattern.by_column
        values = _reordered(grad, order)
        for s in range(len(weight)):
            to_right.addcmul_(bags(left, row, offsets, values[s]), weight[s])
        for start in range(0, grad.size(1), _EDGES_AT_ONCE):
            part = slice(start, start + _EDGES_AT_ONCE)
            to_weight.addmm_(grad[:, part], _ends(left, right, pattern, part))
        return to_left, to_right, to_weight, None


def _reordered(values: Tensor, order: Tensor) -> Tensor:
    """Columns of ``(S, E)`` values in another order, which for a sorted pattern is the one they have."""
    return values if bool((order[1:] > order[:-1]).all()) else values.index_select(1, order)


def _ends(left: Tensor, right: Tensor, pattern: Pattern, part: slice) -> Tensor:
    return left.index_select(0, pattern.row[part]).mul_(right.index_select(0, pattern.column[part]))
