"""The pair product against a loop and against numerical gradients."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.nn import sparse_products
from lrdgraph.nn.sparse_products import PairProduct, Pattern


def _problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Pattern]:
    left, right, weight = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 5, 2))
    row, column = torch.tensor([3, 0, 0, 2, 3, 1, 0]), torch.tensor([4, 1, 0, 2, 0, 3, 4])
    return left, right, weight, Pattern.of(row, column, 4, 5)


@pytest.mark.parametrize("block", [2, 4096])
def test_equals_a_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_products, "_EDGES_AT_ONCE", block)
    left, right, weight, pattern = _problem()
    found = PairProduct.apply(left, right, weight, pattern)
    for e, (r, c) in enumerate(zip(pattern.row.tolist(), pattern.column.tolist(), strict=True)):
        for s in range(2):
            expected = sum(float(left[r, d] * weight[s, d] * right[c, d]) for d in range(3))
            assert float(found[s, e]) == pytest.approx(expected)


@pytest.mark.parametrize("block", [2, 4096])
def test_gradients(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_products, "_EDGES_AT_ONCE", block)
    left, right, weight, pattern = _problem()
    assert torch.autograd.gradcheck(lambda a, b, w: PairProduct.apply(a, b, w, pattern), (left, right, weight))
