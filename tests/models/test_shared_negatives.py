"""Candidates that a step shares, and the loss over them."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.models.shared_negatives import SharedNegatives
from lrdgraph.nn.losses import full_cross_entropy, shared_cross_entropy

COUNTS = torch.tensor([0, 50.0, 20, 0, 10, 5, 5, 2, 2, 1, 1])


def test_candidates_are_trained_items_rising_and_hold_every_target() -> None:
    shared = SharedNegatives(COUNTS, 3)
    target = torch.tensor([9, 4, 9])
    for seed in range(20):
        torch.manual_seed(seed)
        items, log_q = found = shared(target)
        assert (items.diff() > 0).all()
        assert (COUNTS[items] > 0).all()
        assert items[found.place(target)].tolist() == [9, 4, 9]
        assert (log_q <= 0).all()
        assert torch.isfinite(log_q).all()


@pytest.mark.parametrize(("power", "uniform"), [(0.75, 0.5), (1.0, 0.0), (0.0, 0.3), (0.5, 1.0)])
def test_the_chance_told_is_the_chance_there_is(power: float, uniform: float) -> None:
    """Where targets are drawn by popularity, as they are taken to be."""
    shared = SharedNegatives(COUNTS, 4, power, uniform)
    torch.manual_seed(0)
    seen, told = torch.zeros(11), torch.zeros(11)
    for _ in range(4000):
        items, log_q = shared(torch.multinomial(COUNTS, 3, replacement=True))
        seen[items] += 1
        told[items] = log_q.exp()
    present = COUNTS > 0
    torch.testing.assert_close(seen[present] / 4000, told[present], rtol=0.1, atol=0.03)
    assert not seen[~present].any()


def test_all_items_are_the_full_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(5, 9), torch.tensor([3, 1, 8, 8, 2])
    known = torch.arange(5) * 8 + target - 1
    loss = shared_cross_entropy(logits[:, 1:], target - 1, torch.zeros(8), known)
    torch.testing.assert_close(loss, full_cross_entropy(logits, target))


def test_by_hand() -> None:
    """Two candidates besides the target: one drawn with chance 1/4 counts four times, one known counts once."""
    logits = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    log_q = torch.tensor([0.5, 0.25, 0.1]).log()
    loss = shared_cross_entropy(logits, torch.tensor([0]), log_q, torch.tensor([0, 2, 0]))
    e = torch.tensor([1.0, 2.0, 3.0]).exp()
    torch.testing.assert_close(loss, -(e[0] / (e[0] + 4 * e[1] + e[2])).log())
    loss.backward()
    assert logits.grad.sum().abs() < 1e-6


def test_the_sum_under_the_logarithm_is_unbiased() -> None:
    """Over many steps its mean is the sum over the catalogue, with targets drawn by popularity."""
    shared = SharedNegatives(COUNTS, 3)
    torch.manual_seed(1)
    logits = torch.randn(11)
    whole = logits[COUNTS > 0].exp().sum()
    sums = []
    for _ in range(6000):
        items, log_q = shared(torch.multinomial(COUNTS, 2, replacement=True))
        sums.append((logits[items] - log_q).exp().sum())
    assert torch.stack(sums).mean() == pytest.approx(float(whole), rel=0.03)


def test_one_item_alone_has_a_finite_loss() -> None:
    items, log_q = SharedNegatives(torch.tensor([0.0, 3.0]), 2)(torch.tensor([1]))
    assert items.tolist() == [1]
    assert log_q.abs() < 1e-3
