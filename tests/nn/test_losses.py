"""Losses against values worked by hand, and against each other where one is a special case of another."""

from __future__ import annotations

import math

import pytest
import torch

from lrdgraph.nn.losses import bpr, bpr_max, full_cross_entropy, gbce, sample_loss, sampled_cross_entropy


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_full_cross_entropy_by_hand_and_padding_never_counts() -> None:
    logits = torch.tensor([[99.0, 0.0, math.log(3.0)], [-99.0, math.log(3.0), 0.0]])
    # shares are 1/4 and 3/4; both targets have 3/4
    assert full_cross_entropy(logits, torch.tensor([2, 1])).item() == pytest.approx(-math.log(3 / 4))
    assert full_cross_entropy(logits, torch.tensor([1, 2])).item() == pytest.approx(-math.log(1 / 4))


def test_sampled_softmax_by_hand() -> None:
    positive, negatives = torch.tensor([math.log(6.0)]), torch.tensor([[math.log(4.0), math.log(2.0)]])
    log_q_positive, log_q = torch.tensor([math.log(2.0)]), torch.tensor([math.log(4.0), math.log(0.5)])
    # corrected weights: 6 / 2 = 3, 4 / 4 = 1, 2 / 0.5 = 4
    found = sampled_cross_entropy(positive, negatives, log_q_positive, log_q)
    assert found.item() == pytest.approx(-math.log(3 / 8))


def test_sampled_softmax_of_every_item_once_is_full_cross_entropy() -> None:
    logits, target = torch.randn(5, 8), torch.tensor([1, 3, 7, 2, 2])
    every = torch.arange(1, 8)
    negatives = logits[:, 1:].masked_fill(every == target[:, None], -torch.inf)
    found = sampled_cross_entropy(logits.gather(1, target[:, None])[:, 0], negatives, torch.zeros(5), torch.zeros(7))
    torch.testing.assert_close(found, full_cross_entropy(logits, target))


def test_log_q_makes_sampled_softmax_approach_the_full_one() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 41, generator=generator).mul(2)
    target, draws = torch.tensor([7]), 400_000
    chance = torch.arange(1, 41).float()
    chance /= chance.sum()
    drawn = torch.multinomial(chance, draws, replacement=True, generator=generator) + 1
    log_q = (chance[drawn - 1] * draws).log()
    negatives = logits[:, drawn].masked_fill(drawn == target, -torch.inf)
    full = full_cross_entropy(logits, target)
    corrected = sampled_cross_entropy(logits[:, 7], negatives, torch.zeros(1), log_q)
    plain = sampled_cross_entropy(logits[:, 7], negatives, torch.zeros(1), torch.full((draws,), math.log(draws / 40)))
    assert abs(corrected - full) < 0.02 < abs(plain - full)


def test_bpr_by_hand() -> None:
    found = bpr(torch.tensor([2.0, 0.0]), torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
    expected = -sum(math.log(sigmoid(x)) for x in (1, 0, -3, 0)) / 4
    assert found.item() == pytest.approx(expected)


def test_gbce_by_hand() -> None:
    # 2 of 8 negatives: α = 1/4, β = 1/4 · (1/2 · (1 − 4) + 4) = 5/8
    found = gbce(torch.tensor([1.5]), torch.tensor([[0.5, -1.0]]), num_items=9, calibration=0.5)
    expected = -(5 / 8 * math.log(sigmoid(1.5)) + math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-1.0))) / 3
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(("calibration", "beta"), [(0.0, 1.0), (1.0, 0.25)])
def test_gbce_runs_from_plain_cross_entropy_to_the_sampling_rate(calibration: float, beta: float) -> None:
    positive, negatives = torch.randn(4), torch.randn(4, 2)
    found = gbce(positive, negatives, num_items=9, calibration=calibration)
    expected = -(beta * positive.sigmoid().log() + (1 - negatives.sigmoid()).log().sum(1)).mean() / 3
    torch.testing.assert_close(found, expected)


def test_losses_are_finite_at_large_scores() -> None:
    large, small = torch.tensor([1e4]), torch.tensor([[-1e4, 1e4]])
    logits = torch.tensor([[0.0, 1e4, -1e4]])
    found = [full_cross_entropy(logits, torch.tensor([2])), bpr(-large, small), gbce(-large, small, 9)]
    found.append(sampled_cross_entropy(-large, small, torch.zeros(1), torch.zeros(2)))
    assert all(math.isfinite(value) for value in found)


def test_losses_over_a_sample_by_hand() -> None:
    scores = torch.tensor([[1.5, 0.5, -1.0]])  # the target and 2 of 8 others
    weights = [math.exp(s) for s in (1.5, 0.5, -1.0)]
    expected = {
        "bpr": -(math.log(sigmoid(1.0)) + math.log(sigmoid(2.5))) / 2,
        # each negative stands for 4 of the 8
        "sampled-cross-entropy": -math.log(weights[0] / (weights[0] + 4 * weights[1] + 4 * weights[2])),
    }
    for name, beta in (("bce", 1), ("gbce", 5 / 8)):
        positive, first, second = (s + math.log(beta / 2) for s in (1.5, 0.5, -1.0))
        terms = beta * math.log(sigmoid(positive)), math.log(sigmoid(-first)), math.log(sigmoid(-second))
        expected[name] = -sum(terms) / 3
    for name, value in expected.items():
        assert sample_loss(name, scores, num_items=9, calibration=0.5).item() == pytest.approx(value, rel=1e-5)
    with pytest.raises(ValueError, match="no sampled loss 'hinge'"):
        sample_loss("hinge", scores, num_items=9)


def test_score_0_is_the_chance_of_a_target() -> None:
    """Nothing is to be gained by moving all scores from 0, whatever the loss, nor by anything where all are alike."""
    for name in ("bce", "gbce", "bpr", "sampled-cross-entropy"):
        scores = torch.zeros(4, 6, requires_grad=True)
        (gradient,) = torch.autograd.grad(sample_loss(name, scores, num_items=9), scores)
        assert gradient.sum().item() == pytest.approx(0, abs=1e-6)
        assert gradient[:, 0].max().item() < -0.01


def test_one_negative_and_no_calibration_is_the_published_binary_loss() -> None:
    scores = torch.randn(4, 2)
    expected = -(scores[:, 0].sigmoid().log() + (1 - scores[:, 1].sigmoid()).log()).mean() / 2
    torch.testing.assert_close(sample_loss("bce", scores, num_items=9), expected)


def test_a_sample_of_all_others_gives_full_cross_entropy() -> None:
    logits, target = torch.randn(3, 6), torch.tensor([2, 2, 2])
    found = sample_loss("sampled-cross-entropy", logits[:, [2, 1, 3, 4, 5]], num_items=5)
    torch.testing.assert_close(found, full_cross_entropy(logits, target))


def test_bpr_max_by_hand() -> None:
    positive, negatives = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, math.log(3.0)], [2.0, 2.0]])
    # weights 1/4 and 3/4 of σ(1 − 0) and σ(1 − log 3); both σ(−2)
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1.0, 1.0 - math.log(3.0), -2.0)]
    expected = -(math.log(0.25 * sigmoid[0] + 0.75 * sigmoid[1]) + math.log(sigmoid[2])) / 2
    torch.testing.assert_close(bpr_max(positive, negatives), torch.tensor(expected))
    torch.testing.assert_close(bpr_max(positive, negatives[:, :1]), bpr(positive, negatives[:, :1]))
