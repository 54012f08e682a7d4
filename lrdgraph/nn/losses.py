"""Losses for "which item comes next", over the whole catalogue or over a sample of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def full_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of ``(P, N + 1)`` logits against ``(P,)`` items; column 0 is padding and never counts."""
    return F.cross_entropy(logits[:, 1:], target - 1)


def sampled_cross_entropy(positive: Tensor, negatives: Tensor, log_q_positive: Tensor, log_q: Tensor) -> Tensor:
    """Sampled softmax with log-q correction, mean over ``P``.

    Source: Bengio and Senécal, *Adaptive importance sampling to accelerate training of a neural probabilistic language
    model* (2008); each logit is lowered by the log of the chance with which its item is drawn.

    Args:
        positive: ``(P,)`` logits of the targets.
        negatives: ``(P, C)`` logits of drawn items; set a negative that equals the target to ``-inf``.
        log_q_positive: ``(P,)`` log expected number of draws of each target.
        log_q: scalar, ``(C,)`` or ``(P, C)`` log expected number of draws of each negative.
    """
    logits = torch.cat([(positive - log_q_positive)[:, None], negatives - log_q], dim=1)
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


def shared_cross_entropy(logits: Tensor, place: Tensor, log_q: Tensor, known: Tensor) -> Tensor:
    """Sampled softmax over candidates that all positions share, mean over ``P``.

    A candidate stands for ``1 / q`` items like it, ``q`` being the chance that it is among the candidates. So the sum
    of exponentials under each logarithm has the sum over the catalogue as its mean, and is that sum where every ``q``
    is 1. A candidate that is there because of the position itself, its target or another of the same history, is there
    with certainty and counts once.

    Args:
        logits: ``(P, C)`` of distinct candidates.
        place: ``(P,)`` column of each target.
        log_q: ``(C,)``, at most 0.
        known: ``(X,)`` cells, ``row · C + column``, that are there with certainty, those of the targets included; one
            may be named twice.
    """
    lowered, known = (logits - log_q).contiguous(), known.unique()
    # in place, since each copy of all cells costs about as much as the product that made them
    lowered.view(-1).index_add_(0, known, log_q.index_select(0, known % logits.size(1)).to(lowered.dtype))
    return F.cross_entropy(lowered, place)


def bpr(positive: Tensor, negatives: Tensor) -> Tensor:
    """Bayesian personalised ranking: mean ``−log σ(s⁺ − s⁻)`` over ``(P,)`` and ``(P, C)`` (arXiv 1205.2618)."""
    return -F.logsigmoid(positive[:, None] - negatives).mean()


def gbce(positive: Tensor, negatives: Tensor, num_items: int, calibration: float = 0.75) -> Tensor:
    """Generalised binary cross-entropy, mean over ``P``.

    ``−[β · log σ(s⁺) + Σ_c log(1 − σ(s_c))] / (C + 1)`` with ``β = α(t(1 − 1/α) + 1/α)`` and ``α = C / (N − 1)``.
    Source: Petrov and Macdonald, *gSASRec* (arXiv 2308.07192), eq. 7–9; ``calibration`` is its ``t``.
    """
    beta = gbce_weight(negatives.size(1), num_items, calibration)
    total = beta * F.logsigmoid(positive) + F.logsigmoid(-negatives).sum(1)
    return -total.mean() / (negatives.size(1) + 1)


def gbce_weight(count: int, num_items: int, calibration: float = 0.75) -> float:
    """``β`` of :func:`gbce` for ``count`` negatives of ``num_items - 1``."""
    rate = count / (num_items - 1)
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def sample_loss(name: str, scores: Tensor, num_items: int, calibration: float = 0.75) -> Tensor:
    """A loss over a target and ``C`` other items that were drawn uniformly, mean over ``P``.

    Under the binary ones a score counts from the log-odds that an item of the sample is its target, ``log(β / C)``.
    As published it counts from 0: with many negatives a model then begins by learning that everything is unlikely,
    through whatever it has, and on small data all histories become one vector and stay so. Ranks do not notice; with
    one negative and ``β = 1`` the two are the same.

    Args:
        name: ``"bpr"``; ``"bce"`` (Kang and McAuley, arXiv 1808.09781, eq. 10, with the mean over the ``1 + C`` items);
            ``"gbce"``; ``"sampled-cross-entropy"``, in which the negatives stand for all ``num_items - 1`` others, so
            that it approaches the full cross-entropy as ``C`` grows.
        scores: ``(P, 1 + C)``, those of the targets first.
        num_items: how many items there are to draw from, the target among them.
        calibration: ``t`` of :func:`gbce`.

    Raises:
        ValueError: there is no such loss.
    """
    positive, negatives = scores[:, 0], scores[:, 1:]
    if name == "bpr":
        return bpr(positive, negatives)
    if name in ("bce", "gbce"):
        calibration = calibration if name == "gbce" else 0.0
        count = negatives.size(1)
        odds = math.log(gbce_weight(count, num_items, calibration) / count)
        return gbce(positive + odds, negatives + odds, num_items, calibration)
    if name == "sampled-cross-entropy":
        log_q = scores.new_tensor(negatives.size(1) / (num_items - 1)).log()
        return sampled_cross_entropy(positive, negatives, torch.zeros_like(positive), log_q)
    raise ValueError(f"there is no sampled loss '{name}'")


def bpr_max(positive: Tensor, negatives: Tensor) -> Tensor:
    """``−log Σ_c softmax_c(s) σ(s⁺ − s_c)``, mean over ``P``; with one negative it is :func:`bpr`.

    Source: Hidasi and Karatzoglou, *Recurrent Neural Networks with Top-k Gains* (arXiv 1706.03847), eq. 10, without its
    regularisation, as the public LRD code has it.
    """
    log_weight = negatives.log_softmax(1)
    return -(log_weight + F.logsigmoid(positive[:, None] - negatives)).logsumexp(1).mean()
