"""Gaps in time: bins and kernels against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lrdgraph.nn.time import DAY, DecayKernel, FourierDecay, GapEmbedding, log_days


def test_log_days() -> None:
    seconds = torch.tensor([0, -5, int(DAY), int(DAY * 99)])
    torch.testing.assert_close(log_days(seconds), torch.tensor([0.0, 0.0, math.log(2), math.log(100)]))


def bin_of(embedding: GapEmbedding, seconds: float) -> int:
    row = embedding(torch.tensor([int(seconds)]))
    return int((embedding.table.weight == row).all(1).nonzero().item())


@pytest.mark.parametrize("number", [1, 2, 3, 10, 23])
def test_a_bin_begins_where_its_logarithm_does(number: int) -> None:
    embedding = GapEmbedding(4)
    edge = math.expm1(number / 3) * DAY  # 3 · log(1 + days) = number
    assert bin_of(embedding, edge * 0.999) == number - 1
    assert bin_of(embedding, edge * 1.001) == number


def test_a_day_has_bin_two_and_centuries_the_last() -> None:
    embedding = GapEmbedding(4)
    assert [bin_of(embedding, days * DAY) for days in (-3, 0, 1, 2_000, 2_200, 99_999)] == [0, 0, 2, 22, 23, 23]


def test_bins_of_the_days_of_a_week_are_those_that_are_told() -> None:
    bins = [bin_of(GapEmbedding(4), days * DAY) for days in range(8)]
    said = "0 to 7 days have the bins " + ", ".join(map(str, bins[:-1])) + f" and {bins[-1]}."
    assert said in " ".join((GapEmbedding.__doc__ or "").split())


def test_kernel_by_hand() -> None:
    kernel = DecayKernel(2)
    with torch.no_grad():
        kernel.lasting.copy_(torch.tensor([0.25, -1.0]))
        kernel.fading.copy_(torch.tensor([2.0, 1.0]))
        kernel.horizon.copy_(torch.tensor([math.log(8.0), 0.0]))
    found = kernel(torch.tensor([0, int(7 * DAY), int(31 * DAY)]))
    # σ(log a − log b) = a / (a + b), with b = 1 + days
    expected = [[0.25 + 2 * 8 / 9, -1 + 1 / 2], [0.25 + 2 * 8 / 16, -1 + 1 / 9], [0.25 + 2 * 8 / 40, -1 + 1 / 33]]
    torch.testing.assert_close(found.detach(), torch.tensor(expected))


def test_half_of_what_fades_is_gone_at_the_horizon() -> None:
    kernel = DecayKernel(1, initial=0.5, days=30)
    at = kernel(torch.tensor([int(30 * DAY)]))
    torch.testing.assert_close(at.detach(), torch.tensor([[0.5 + 0.25]]))


def test_kernel_gradients() -> None:
    kernel = DecayKernel(3)
    kernel(torch.tensor([0, 1000, int(DAY * 50)])).sum().backward()
    assert all(p.grad is not None and (p.grad != 0).all() for p in kernel.parameters())


def test_fourier_decay_by_hand() -> None:
    decay = FourierDecay(2, num_points=2)  # frequencies 0 and 1/2
    with torch.no_grad():
        decay.cosine.copy_(torch.tensor([[1.0, 1.0], [8.0, 0.0]]))
        decay.sine.copy_(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    # δ of 0 s, 1 min, 2 min, 2√2 min: 0, 0, 1, 1.5
    found = decay(torch.tensor([0, 60, 120, 170]))
    # (1 + cos πδ − sin πδ) / 4, and 8 / 4 clamped to 1
    expected = torch.tensor([[0.5, 1.0], [0.5, 1.0], [0.0, 1.0], [0.5, 1.0]])
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_fourier_decay_starts_where_it_is_told() -> None:
    torch.manual_seed(0)
    seconds = torch.tensor([0, 10**3, 10**6, 10**9])
    assert (FourierDecay(3)(seconds) - 0.98).abs().max() < 0.02
    assert FourierDecay(3, start="random")(seconds).max() < 0.01
