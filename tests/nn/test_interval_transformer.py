"""Attention with intervals: against loops, causal, blind to padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError
from lrdgraph.nn.interval_transformer import IntervalTransformer, intervals

L, D, HEADS, MOST = 6, 8, 2, 4


@pytest.fixture
def encoder() -> IntervalTransformer:
    return IntervalTransformer(D, L, MOST, num_layers=2, num_heads=HEADS, dropout=0.5).double().eval()


def world(rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    time = torch.randint(0, 30, (rows, L)).sort(1).values
    real = torch.arange(L) >= torch.tensor([0, 2, 4])[:rows, None]
    return torch.randn(rows, L, D, dtype=torch.float64), real, time


def test_intervals_by_hand() -> None:
    time = torch.tensor([[0, 10, 10, 14, 16, 36]])
    real = torch.tensor([[False, True, True, True, True, True]])
    # the shortest interval so far: none, none, 4, 2, 2
    expected = [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 3, 3, 1, 0, 0],
        [0, 8, 8, 8, 8, 0],
    ]
    found = intervals(time, real, 8)[0]
    assert found.tril().tolist() == expected
    assert intervals(time, real, 2).max() == 2


def test_one_block_equals_loops() -> None:
    encoder = IntervalTransformer(D, L, MOST, num_layers=1, num_heads=HEADS, dropout=0.0).double()
    x, real, time = world()
    between = intervals(time, real, MOST)
    block, width = encoder.requires_grad_(False).blocks[0], D // HEADS
    q, k, v = block.qkv(block.norm_attention(x)).chunk(3, dim=-1)
    mixed = torch.zeros_like(x)
    for b in range(len(x)):
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            for i in range(L):
                seen = [j for j in range(i + 1) if bool(real[b, j]) or j == i]
                weights = []
                for j in seen:
                    key = k[b, j] + encoder.interval_key.weight[between[b, i, j]] + encoder.place_key.weight[j]
                    weights.append(math.exp(float(q[b, i, part] @ key[part]) / width**0.5))
                for j, weight in zip(seen, weights, strict=True):
                    value = v[b, j] + encoder.interval_value.weight[between[b, i, j]] + encoder.place_value.weight[j]
                    mixed[b, i, part] += weight / sum(weights) * value[part]
    expected = x + block.out(mixed)
    expected = encoder.norm(expected + block.down(torch.nn.functional.gelu(block.up(block.norm_feed(expected)))))
    torch.testing.assert_close(encoder(x, real, time), expected)


@pytest.mark.parametrize("position", range(L - 1))
def test_a_later_event_changes_nothing_before_it(encoder: IntervalTransformer, position: int) -> None:
    x, real, time = world(1)
    changed, moved = x.clone(), time.clone()
    changed[:, position + 1 :] += 1
    moved[:, position + 1 :] = moved[:, position : position + 1] + torch.arange(1, L - position)
    before, after = encoder(x, real, time), encoder(changed, real, moved)
    torch.testing.assert_close(before[:, : position + 1], after[:, : position + 1], rtol=0, atol=1e-12)
    assert (before[:, position + 1 :] != after[:, position + 1 :]).any(-1).all()


def test_time_and_padding(encoder: IntervalTransformer) -> None:
    x, real, time = world()
    later = encoder(x, real, time + 10**9)
    torch.testing.assert_close(later[real], encoder(x, real, time)[real])
    x[~real], time[~real] = 99.0, 7
    torch.testing.assert_close(encoder(x, real, time)[real], later[real])
    assert not torch.allclose(encoder(x, real, time * torch.arange(L))[real], later[real])


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="num_heads=3 must divide hidden_channels=8"):
        IntervalTransformer(8, 4, num_heads=3)
