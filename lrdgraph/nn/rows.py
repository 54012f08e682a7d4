"""A few rows of a large table, with a gradient as large as these rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _SparseRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return torch.sparse_coo_tensor(rows[None], grad, ctx.shape, check_invariants=False, is_coalesced=True), None


def take_rows(table: Tensor, rows: Tensor, sparse: bool = False) -> Tensor:
    """``table[rows]`` for rows that rise and are distinct.

    Args:
        table: ``(N, *)``; of a sparse gradient it must be a leaf.
        rows: ``(n,)`` int64, each larger than the one before.
        sparse: give the table a coalesced sparse gradient of ``n`` rows, which an optimizer that knows them
            (:class:`lrdgraph.training.lazy_adam.LazyAdam`) takes without looking at the others; else a dense one.
    """
    return _SparseRows.apply(table, rows) if sparse else table.index_select(0, rows)
