"""The typed product against a loop, on graphs that take each of its ways."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.nn import sparse_products
from lrdgraph.nn.typed_product import TypedPattern, typed_product

KINDS, D = 3, 2


def edges(name: str) -> tuple[Tensor, Tensor, Tensor, int, int]:
    """Rows, columns, kinds, number of rows, number of columns."""
    random = torch.Generator().manual_seed(0)
    rows, columns, number = {
        "sparse": (20, 30, 40),  # about as many messages as edges
        "dense": (9, 4, 60),  # a message goes along many edges
        "hub first": (20, 20, 40),
        "hub last": (20, 20, 40),
        "none": (3, 4, 0),
        "one": (1, 1, 1),
    }[name]
    row = torch.randint(rows, (number,), generator=random)
    column = torch.randint(columns, (number,), generator=random)
    if name.startswith("hub"):
        end = 0 if name == "hub first" else rows - 1
        row[5:], column[:20] = end, end
    return row, column, torch.randint(KINDS, (number,), generator=random), rows, columns


def problem(name: str) -> tuple[list[Tensor], TypedPattern, Tensor]:
    """Inputs, pattern, and the sum by a loop."""
    row, column, kind, rows, columns = edges(name)
    random = torch.Generator().manual_seed(1)
    x, z = (torch.randn(n, D, dtype=torch.float64, generator=random).requires_grad_() for n in (columns, KINDS))
    weight = torch.rand(len(row), dtype=torch.float64, generator=random).requires_grad_()
    expected = torch.zeros(rows, D, dtype=torch.float64) + 0 * (x.sum() + z.sum() + weight.sum())
    for e, (i, j, k) in enumerate(zip(row.tolist(), column.tolist(), kind.tolist(), strict=True)):
        expected[i] = expected[i] + weight[e] * x[j] * z[k]
    return [x, z, weight], TypedPattern.of(row, column, kind, rows, columns), expected


NAMES = ["sparse", "dense", "hub first", "hub last", "none", "one"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("block", [3, 4096])
def test_equals_a_loop(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_products, "_EDGES_AT_ONCE", block)
    inputs, pattern, expected = problem(name)
    found = typed_product(*inputs, pattern)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    wanted = torch.autograd.grad(expected.square().sum(), inputs)
    for got, want in zip(torch.autograd.grad(found.square().sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["sparse", "dense", "hub last"])
@pytest.mark.parametrize("block", [3, 4096])
def test_gradients(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_products, "_EDGES_AT_ONCE", block)
    inputs, pattern, _ = problem(name)
    assert torch.autograd.gradcheck(lambda x, z, w: typed_product(x, z, w, pattern), inputs)


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True)])
def test_one_gradient_alone(needed: tuple[bool, bool, bool]) -> None:
    inputs, pattern, expected = problem("sparse")
    wanted = torch.autograd.grad(expected.sum(), inputs)[needed.index(True)]
    alone = [tensor.detach().requires_grad_(need) for tensor, need in zip(inputs, needed, strict=True)]
    typed_product(*alone, pattern).sum().backward()
    for tensor, need in zip(alone, needed, strict=True):
        assert (tensor.grad is not None) == need
    torch.testing.assert_close(alone[needed.index(True)].grad, wanted)


def test_the_examples_take_both_ways_forward() -> None:
    ratio = {name: 2 * len(problem(name)[1].source) <= len(edges(name)[0]) for name in NAMES}
    assert ratio["dense"]
    assert not ratio["sparse"]


def test_entries_are_the_sources_and_types_that_occur() -> None:
    row, column, kind = torch.tensor([0, 1, 0, 1]), torch.tensor([2, 0, 2, 2]), torch.tensor([1, 0, 1, 0])
    pattern = TypedPattern.of(row, column, kind, 2, 3)
    assert list(zip(pattern.source.tolist(), pattern.kind.tolist(), strict=True)) == [(0, 0), (2, 0), (2, 1)]
    assert pattern.first.tolist() == [0, 1, 1]
    assert pattern.edges.column.tolist() == [2, 0, 2, 1]


def test_nothing_of_edges_by_channels_is_kept() -> None:
    """Beside indices the tape of E edges holds their weights, never E × D."""
    number, width = 20_000, 32
    row, column = torch.randint(50, (2, number))
    pattern = TypedPattern.of(row, column, torch.randint(9, (number,)), 50, 50)
    sizes: list[int] = []
    x, z, weight = torch.randn(50, width, requires_grad=True), torch.randn(9, width), torch.ones(number)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        typed_product(x, z, weight, pattern)
    assert max(sizes) == number
