"""Sparse matrices times dense tables, with gradients to their values, for patterns that stay from step to step."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_EDGES_AT_ONCE = 4096


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
    order = torch.argsort(key, stable=True)
    ends = torch.bincount(key, minlength=size).cumsum(0)
    return order, other.index_select(0, order), torch.cat([ends.new_zeros(1), ends[:-1]])


def _bags(table: Tensor, index: Tensor, offsets: Tensor, values: Tensor) -> Tensor:
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
        return _bags(table, column, offsets, values.index_select(0, order))

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
            to_table = _bags(grad.contiguous(), row, offsets, values.index_select(0, order))
        return to_values, to_table, None


class MixtureProduct(torch.autograd.Function):
    """``Σ_k z_k ⊙ (A_k @ x)`` where the K matrices share a pattern and ``A_k`` has the values ``mixture[:, k]``.

    ``apply(mixture (E, K), x (columns, D), z (K, D), pattern) → (rows, D)``; gradients to mixture, x and z.

    K sparse products keep everything at the size of the node table; the gradient to the mixture is the one place
    that needs both ends of each edge at once, and gathers them a block at a time so that a block stays in cache.
    """

    @staticmethod
    def forward(ctx: Any, mixture: Tensor, x: Tensor, z: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(mixture, x, z)
        ctx.pattern = pattern
        order, column, offsets = pattern.by_row
        values = mixture.index_select(0, order).T.contiguous()
        out = x.new_zeros(len(offsets), x.shape[1])
        for k in range(len(z)):
            out.addcmul_(_bags(x, column, offsets, values[k]), z[k])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        mixture, x, z = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        to_mixture = to_x = to_z = None
        if ctx.needs_input_grad[1]:
            order, row, offsets = pattern.by_column
            values = mixture.index_select(0, order).T.contiguous()
            to_x = torch.zeros_like(x)
            for k in range(len(z)):
                to_x += _bags(grad * z[k], row, offsets, values[k])
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[2]:
            to_mixture, to_z = torch.empty_like(mixture), torch.zeros_like(z)
            for start in range(0, len(mixture), _EDGES_AT_ONCE):
                part = slice(start, start + _EDGES_AT_ONCE)
                ends = x.index_select(0, pattern.column[part])
                ends *= grad.index_select(0, pattern.row[part])
                to_mixture[part] = ends @ z.T
                to_z.addmm_(mixture[part].T, ends)
        return to_mixture, to_x, to_z, None


class PairProduct(torch.autograd.Function):
    """``y_es = Σ_d left[row_e, d] · weight[s, d] · right[column_e, d]`` for every entry ``e`` of a pattern.

    ``apply(left (rows, D), right (columns, D), weight (S, D), pattern) → (E, S)``; gradients to all three. It is the
    mirror of :class:`MixtureProduct`: values come out where that takes them in, so its gradients are sparse products.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(left, right, weight)
        ctx.pattern = pattern
        out = left.new_empty(len(pattern.row), len(weight))
        for start in range(0, len(out), _EDGES_AT_ONCE):
            part = slice(start, start + _EDGES_AT_ONCE)
            torch.mm(_ends(left, right, pattern, part), weight.T, out=out[part])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        left, right, weight = ctx.saved_tensors
        pattern: Pattern = ctx.pattern
        to_left, to_right, to_weight = (torch.zeros_like(t) for t in (left, right, weight))
        order, column, offsets = pattern.by_row
        values = grad.index_select(0, order).T.contiguous()
        for s in range(len(weight)):
            to_left.addcmul_(_bags(right, column, offsets, values[s]), weight[s])
        order, row, offsets = pattern.by_column
        values = grad.index_select(0, order).T.contiguous()
        for s in range(len(weight)):
            to_right.addcmul_(_bags(left, row, offsets, values[s]), weight[s])
        for start in range(0, len(grad), _EDGES_AT_ONCE):
            part = slice(start, start + _EDGES_AT_ONCE)
            to_weight.addmm_(grad[part].T, _ends(left, right, pattern, part))
        return to_left, to_right, to_weight, None


def _ends(left: Tensor, right: Tensor, pattern: Pattern, part: slice) -> Tensor:
    return left.index_select(0, pattern.row[part]).mul_(right.index_select(0, pattern.column[part]))
