"""Recurrent encoders against loops over steps, and what padding may not do to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lrdgraph.nn.recurrent import AttentiveRecurrentEncoder, PaddedGRU, RecurrentEncoder

ENCODERS = [RecurrentEncoder, AttentiveRecurrentEncoder]


@pytest.fixture(params=ENCODERS, ids=lambda made: made.__name__)
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    return request.param(8, num_layers=2, dropout=0.5).double().eval()


def inputs(rows: int = 3, length: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, length, 8, dtype=torch.float64), torch.ones(rows, length, dtype=torch.bool)


def states(gru: PaddedGRU, x: Tensor) -> list[Tensor]:
    """Of one history ``(L, D)``, by the equations of a GRU (arXiv 1412.3555), a step at a time."""
    w_in, w_hidden = gru.gru.weight_ih_l0.chunk(3), gru.gru.weight_hh_l0.chunk(3)
    b_in, b_hidden = gru.gru.bias_ih_l0.chunk(3), gru.gru.bias_hh_l0.chunk(3)
    h, found = torch.zeros_like(x[0]), []
    for step in x:
        of_x = [w @ step + b for w, b in zip(w_in, b_in, strict=True)]
        of_h = [w @ h + b for w, b in zip(w_hidden, b_hidden, strict=True)]
        reset, update = (of_x[0] + of_h[0]).sigmoid(), (of_x[1] + of_h[1]).sigmoid()
        h = (1 - update) * (of_x[2] + reset * of_h[2]).tanh() + update * h
        found.append(h)
    return found


def recurrent(encoder: RecurrentEncoder, x: Tensor) -> list[Tensor]:
    return [encoder.out(h) for h in states(encoder.gru, x)]


def attentive(encoder: AttentiveRecurrentEncoder, x: Tensor) -> list[Tensor]:
    whole, local = states(encoder.global_gru, x), states(encoder.local_gru, x)
    found = []
    for t, g in enumerate(whole):
        context = torch.zeros_like(g)
        for h in local[: t + 1]:
            alpha = encoder.weight.weight[0] @ (encoder.query.weight @ g + encoder.key.weight @ h).sigmoid()
            context = context + alpha * h
        found.append(encoder.out.weight @ torch.cat([g, context]))
    return found


@pytest.mark.parametrize(("made", "reference"), list(zip(ENCODERS, (recurrent, attentive), strict=True)))
def test_equals_a_loop_over_steps(made: type[nn.Module], reference: Callable[..., list[Tensor]]) -> None:
    encoder = made(8).double().eval()
    x, _ = inputs()
    real = torch.arange(6) >= torch.tensor([0, 2, 5])[:, None]
    found = encoder(x, real)
    for row in range(3):
        torch.testing.assert_close(found[row][real[row]], torch.stack(reference(encoder, x[row][real[row]])))


@pytest.mark.parametrize("position", range(5))
def test_a_later_event_changes_nothing_before_it(encoder: nn.Module, position: int) -> None:
    x, real = inputs()
    changed = x.clone()
    changed[:, position + 1] += torch.randn(8, dtype=torch.float64)
    before, after = encoder(x, real), encoder(changed, real)
    assert torch.equal(before[:, : position + 1], after[:, : position + 1])
    assert (before[:, position + 1 :] != after[:, position + 1 :]).all(-1).all()


def test_padding_on_the_left_changes_nothing(encoder: nn.Module) -> None:
    x, real = inputs(2, 4)
    padded = torch.cat([torch.randn(2, 3, 8, dtype=torch.float64) * 9, x], dim=1)
    mask = torch.cat([torch.zeros(2, 3, dtype=torch.bool), real], dim=1)
    torch.testing.assert_close(encoder(padded, mask)[:, 3:], encoder(x, real), rtol=0, atol=1e-12)


def test_padding_gives_no_nan_and_no_gradient(encoder: nn.Module) -> None:
    x = inputs(2, 4)[0].requires_grad_()
    real = torch.tensor([[False, False, True, True], [False] * 4])
    out = encoder(x, real)
    assert torch.isfinite(out).all()
    out[real].square().sum().backward()
    assert x.grad is not None
    assert x.grad[0, 2:].abs().sum() > 0
    assert x.grad[~real].abs().sum() == 0


def test_dropout_acts_in_training_alone(encoder: nn.Module) -> None:
    x, real = inputs(1, 3)
    assert torch.equal(encoder(x, real), encoder(x, real))
    encoder.train()
    assert not torch.equal(encoder(x, real), encoder(x, real))
