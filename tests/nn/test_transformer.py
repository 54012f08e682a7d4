"""The transformer sees an event and what came before it, and nothing else."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.nn.transformer import HistoryTransformer


@pytest.fixture
def encoder() -> HistoryTransformer:
    return HistoryTransformer(8, num_layers=2, num_heads=2, dropout=0.5).double().eval()


@pytest.mark.parametrize("position", range(5))
def test_a_later_event_changes_nothing_before_it(encoder: HistoryTransformer, position: int) -> None:
    x, real = torch.randn(3, 6, 8, dtype=torch.float64), torch.ones(3, 6, dtype=torch.bool)
    changed = x.clone()
    changed[:, position + 1] += torch.randn(8, dtype=torch.float64)
    before, after = encoder(x, real), encoder(changed, real)
    assert torch.equal(before[:, : position + 1], after[:, : position + 1])
    assert (before[:, position + 1 :] != after[:, position + 1 :]).all(-1).all()


def test_padding_on_the_left_changes_nothing(encoder: HistoryTransformer) -> None:
    x, real = torch.randn(2, 4, 8, dtype=torch.float64), torch.ones(2, 4, dtype=torch.bool)
    padded = torch.cat([torch.randn(2, 3, 8, dtype=torch.float64) * 9, x], dim=1)
    mask = torch.cat([torch.zeros(2, 3, dtype=torch.bool), real], dim=1)
    torch.testing.assert_close(encoder(padded, mask)[:, 3:], encoder(x, real), rtol=0, atol=1e-12)


def test_a_batch_equals_its_rows(encoder: HistoryTransformer) -> None:
    x = torch.randn(4, 5, 8, dtype=torch.float64)
    real = torch.arange(5) >= torch.tensor([0, 1, 3, 4])[:, None]
    together = encoder(x, real)
    for row in range(4):
        alone = encoder(x[row : row + 1], real[row : row + 1])
        torch.testing.assert_close(together[row : row + 1][real[row : row + 1]], alone[real[row : row + 1]])


def test_padding_gives_no_nan_and_no_gradient(encoder: HistoryTransformer) -> None:
    x = torch.randn(2, 4, 8, dtype=torch.float64, requires_grad=True)
    real = torch.tensor([[False, False, True, True], [False] * 4])
    out = encoder(x, real)
    assert torch.isfinite(out).all()
    out[real].square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad[0, 2:].abs().sum() > 0
    assert x.grad[~real].abs().sum() == 0


def test_dropout_acts_in_training_alone(encoder: HistoryTransformer) -> None:
    x, real = torch.randn(1, 3, 8, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    assert torch.equal(encoder(x, real), encoder(x, real))
    encoder.train()
    assert not torch.equal(encoder(x, real), encoder(x, real))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="num_heads=3 must divide hidden_channels=8"):
        HistoryTransformer(8, num_heads=3)
