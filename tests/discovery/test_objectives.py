"""The two objectives: values worked by hand, and loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lrdgraph.discovery.objectives import DiscoveryLoss, elbo, published


def numbers(loss: object) -> dict[str, float]:
    return {name: float(value) for name, value in loss.terms().items()}  # type: ignore[attr-defined]


def test_elbo_worked_by_hand() -> None:
    """q = (1/4, 3/4): tail 1/4·1 + 3/4·2, head 1/4·3 + 3/4·1, KL against (1/2, 1/2)."""
    logits = torch.tensor([[0.0, math.log(3)]])
    log_tail, log_head = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -1.0]])
    got = numbers(elbo(logits, log_tail, log_head, torch.tensor([0.5, 0.5]).log(), beta=2.0))
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    expected = {
        "reconstruction_tail": 1.75,
        "reconstruction_head": 1.5,
        "kl": kl,
        "entropy": math.log(2) - kl,
        "total": 3.25 + 2 * kl,
    }
    assert got == pytest.approx(expected, abs=1e-6)


def test_elbo_equals_loops() -> None:
    pairs, states, beta = 7, 4, 0.3
    logits, log_tail, log_head = torch.randn(3, pairs, states, dtype=torch.float64)
    prior = torch.rand(states, dtype=torch.float64)
    prior /= prior.sum()
    total = 0.0
    for p in range(pairs):
        weights = [math.exp(v) for v in logits[p].tolist()]
        q = [w / sum(weights) for w in weights]
        for s in range(states):
            gain = float(log_tail[p, s] + log_head[p, s])
            total -= q[s] * (gain - beta * math.log(q[s] / float(prior[s]))) / pairs
    got = numbers(elbo(logits, log_tail, log_head, prior.log(), beta))
    assert got["total"] == pytest.approx(total)
    parts = got["reconstruction_tail"] + got["reconstruction_head"] + beta * got["kl"]
    assert parts == pytest.approx(total)


def test_elbo_moves_the_posterior_towards_what_explains_the_pair() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    log_tail = torch.tensor([[-5.0, -1.0, -5.0]])
    elbo(logits, log_tail, log_tail, torch.full((3,), 1 / 3).log(), 1.0).total.backward()
    assert logits.grad is not None
    assert [bool(v < 0) for v in logits.grad[0]] == [False, True, False]


def worked() -> dict[str, Tensor]:
    """One history of an empty slot and item 1; target 2; item 3 is the random one; width 1, two states.

    ``⟨z_m (1 + x_2), x_1 − x_3⟩ = z_m · 3 · 2 = (12, 6)``; q is (1/2, 1/2) there and (3/4, 1/4) in the empty slot.
    """
    return {
        "logits": torch.tensor([[0.0, 0.0]]),
        "padding": torch.tensor([[math.log(3), 0.0]]),
        "items": torch.tensor([[9.0], [1.0], [2.0], [-1.0]]),
        "relations": torch.tensor([[2.0], [1.0]]),
        "history": torch.tensor([[0, 1]]),
        "target": torch.tensor([2]),
        "negative": torch.tensor([[1, 3]]),
    }


def test_published_worked_by_hand() -> None:
    entropy = (math.log(2) + 0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / 4
    of_first, of_second = math.log(1 + math.exp(-6)), math.log(1 + math.exp(-3))
    skipping = numbers(published(**worked(), alpha=0.1))
    assert skipping["reconstruction_head"] == pytest.approx(of_second, rel=1e-4)
    assert skipping["entropy"] == pytest.approx(entropy, rel=1e-5)
    assert skipping["total"] == pytest.approx(of_second + 0.1 * entropy, rel=1e-4)
    whole = numbers(published(**worked(), alpha=0.1, skip_first=False))
    assert whole["reconstruction_head"] == pytest.approx((of_first + of_second) / 2, rel=1e-4)


@pytest.mark.parametrize("skip_first", [True, False])
def test_published_equals_loops(skip_first: bool) -> None:
    batch, length, states, width, alpha = 3, 4, 5, 6, 0.7
    history = torch.tensor([[0, 0, 3, 4], [1, 2, 3, 4], [0, 0, 0, 8]])
    logits, padding = torch.randn(2, batch, length, states, dtype=torch.float64)
    padding = padding[:, 0]
    logits[history == 0] = padding[(history == 0).nonzero()[:, 0]]
    items, relations = torch.randn(9, width, dtype=torch.float64), torch.randn(states, width, dtype=torch.float64)
    target, negative = torch.tensor([5, 6, 7]), torch.randint(1, 9, (batch, length))
    used = range(1 if skip_first else 0, states)
    q = logits.softmax(-1)
    reconstruction = entropy = 0.0
    for b in range(batch):
        for m in range(states):
            sigmoids = []
            for h in range(length):
                entropy -= float(q[b, h, m] * q[b, h, m].log()) / (batch * length * states)
                if history[b, h] > 0:
                    difference = items[history[b, h]] - items[negative[b, h]]
                    inner = float((relations[m] * (1 + items[target[b]])) @ difference)
                    sigmoids.append(1 / (1 + math.exp(-float(q[b, h, m]) * inner)))
            if m in used:
                reconstruction -= math.log(sum(sigmoids) / len(sigmoids)) / (batch * len(used))
    events = logits[history > 0]
    loss = published(events, padding, items, relations, history, target, negative, alpha=alpha, skip_first=skip_first)
    got = numbers(loss)
    assert got["reconstruction_head"] == pytest.approx(reconstruction)
    assert got["entropy"] == pytest.approx(entropy)
    assert got["total"] == pytest.approx(reconstruction + alpha * entropy)


def test_published_teaches_both_tables_and_the_encoder() -> None:
    given = worked()
    learned = [given[name].requires_grad_() for name in ("logits", "padding", "items", "relations")]
    published(**given, skip_first=False).total.backward()
    assert all(tensor.grad is not None and float(tensor.grad.abs().max()) > 0 for tensor in learned)


def test_a_loss_without_pairs_is_zero() -> None:
    none = DiscoveryLoss(*(torch.tensor([]).mean() for _ in range(5)))
    assert none.over_all(0, torch.ones(2)).terms() == dict.fromkeys(none.terms(), 0.0)
