"""The catalogue loss against torch's own, in one block and in many."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.nn import catalogue_loss
from lrdgraph.nn.catalogue_loss import Added, catalogue_cross_entropy

P, N, D, G = 7, 11, 3, 4


@pytest.fixture(params=[1, 3 * (N + 1), 10**6], ids=["row by row", "blocks", "at once"])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue_loss.LOGITS_AT_ONCE, "cpu", request.param)


def world() -> tuple[tuple[Tensor, ...], Tensor, list[tuple[Tensor, Tensor]], Tensor]:
    """Leaves (query, items, bias, table, two sets of values), targets, places of the values, rows of the table."""
    shapes = [(P, D), (N + 1, D), (N + 1,), (G, N + 1), (20,), (3,)]
    leaves = tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    places = [(torch.randint(P, (n,)).sort().values, torch.randint(1, N + 1, (n,))) for n in (20, 3)]
    return leaves, torch.randint(1, N + 1, (P,)), places, torch.randint(G, (P,))


def fast(leaves: tuple[Tensor, ...], target: Tensor, places: list[tuple[Tensor, Tensor]], where: Tensor) -> Tensor:
    query, items, bias, table, *values = leaves
    added: list[Added] = [(*place, value) for place, value in zip(places, values, strict=True)]
    return catalogue_cross_entropy(query, items, bias, target, (table, where), added)


def slow(leaves: tuple[Tensor, ...], target: Tensor, places: list[tuple[Tensor, Tensor]], where: Tensor) -> Tensor:
    query, items, bias, table, *values = leaves
    logits = query @ items.T + bias + table[where]
    for (position, item), value in zip(places, values, strict=True):
        for x in range(len(value)):
            one = torch.zeros(P, N + 1, dtype=torch.float64)
            one[position[x], item[x]] = 1
            logits = logits + one * value[x]
    return F.cross_entropy(logits[:, 1:], target - 1)


@pytest.mark.usefixtures("_block")
def test_equals_torch_with_all_gradients() -> None:
    leaves, *rest = world()
    found, expected = fast(leaves, *rest), slow(leaves, *rest)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(3 * found, leaves), torch.autograd.grad(3 * expected, leaves), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_block")
def test_an_item_that_is_left_out_has_no_share() -> None:
    query, items = torch.ones(2, 1), torch.ones(4, 1)
    bias = torch.tensor([5.0, 0.0, 0.0, -math.inf], requires_grad=True)
    loss = catalogue_cross_entropy(query, items, bias, torch.tensor([1, 2]))
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()
    assert bias.grad is not None
    assert bias.grad.tolist() == pytest.approx([0, 0, 0, 0])


def test_needs_no_gradient() -> None:
    leaves, *rest = world()
    with torch.no_grad():
        torch.testing.assert_close(fast(leaves, *rest), slow(leaves, *rest))


def test_low_precision_products_under_autocast() -> None:
    query, items, target = torch.randn(9, 16), torch.randn(30, 16), torch.randint(1, 30, (9,))
    bias = torch.zeros(30)
    exact = catalogue_cross_entropy(query, items, bias, target)
    with torch.autocast("cpu", torch.bfloat16):
        low = catalogue_cross_entropy(query.requires_grad_(), items, bias, target)
    low.backward()
    assert low.dtype == torch.float32
    assert query.grad is not None
    assert query.grad.dtype == torch.float32
    assert float(low.detach()) == pytest.approx(float(exact), rel=0.05)
    assert float(low.detach()) != float(exact)


def test_no_logits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue_loss.LOGITS_AT_ONCE, "cpu", N + 1)
    largest = 0

    def seen(tensor: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    leaves, target, _, _ = world()
    with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
        catalogue_cross_entropy(*leaves[:3], target)
    assert largest <= (N + 1) * D
