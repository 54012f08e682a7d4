"""``log p(j | i, r)`` and ``log p(i | j, r)``: softmax of a decoder's scores over the catalogue, whole or sampled.

The scores bend a base measure: ``p(j | i, r) ∝ π_j exp s(i, r, j)``, with π the training popularity (or uniform). So a
relation that knows nothing, ``s = 0``, says exactly what the "none" state says, and a relation earns its mass only by
what it adds to popularity. It also makes the correction for sampling from π vanish from the negatives' logits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding
from torch.utils.checkpoint import checkpoint

from lrdgraph.discovery.decoders import Decoder
from lrdgraph.errors import DataError

MAX_LOGITS = 4_000_000
"""Logits that stand at once in the whole softmax; above, pairs go in chunks that are computed again backwards."""


def base_measure(popularity: Tensor | None, num_items: int) -> Tensor:
    """``log π`` ``(N + 1,)`` from training counts, one added to each so that an unseen item is not impossible.

    Args:
        popularity: ``(N + 1,)`` counts of training events for each item (row 0 is ignored), or None for uniform.
        num_items: ``N``.

    Raises:
        DataError: the counts have another shape, or one is negative or not finite.
    """
    counts = torch.zeros(num_items + 1) if popularity is None else popularity.detach().float().cpu()
    if counts.shape != (num_items + 1,):
        raise DataError(
            f"popularity has shape {tuple(counts.shape)}, expected ({num_items + 1},): a count for each item."
        )
    if not bool(torch.isfinite(counts).all()) or bool((counts < 0).any()):
        raise DataError("popularity holds a negative or non-finite count; count training events of each item.")
    weights = counts + 1
    weights[0] = 0
    return (weights / weights.sum()).log()


def draw_items(log_popularity: Tensor, number: int, generator: torch.Generator | None = None) -> Tensor:
    """``(number,)`` items drawn from π with replacement."""
    return draw_cumulative(cumulative_popularity(log_popularity), number, generator)


def cumulative_popularity(log_popularity: Tensor) -> Tensor:
    """``(N + 1,)`` float64 running sums of π, for many draws from the same one."""
    return log_popularity.double().exp().cumsum(0)


def draw_cumulative(cumulative: Tensor, number: int, generator: torch.Generator | None = None) -> Tensor:
    """:func:`draw_items` by running sums, at the cost of what is drawn."""
    uniform = torch.rand(number, dtype=torch.float64, device=cumulative.device, generator=generator)
    return torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp(1, len(cumulative) - 1)


def log_likelihoods(
    decoder: Decoder,
    items: Tensor,
    relations: Tensor,
    i: Tensor,
    j: Tensor,
    log_popularity: Tensor,
    negatives: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``log p(j | i, r)`` and ``log p(i | j, r)``, each ``(P, K)`` in nats.

    With ``negatives`` drawn from π the normaliser is estimated without bias,
    ``Z ≈ π_j exp s_j + 1/n Σ_{k ≠ j} exp s_k``: the positive enters with its own weight, a negative that is the
    positive is left out. When negatives hold every item once and π is uniform it is the whole softmax.

    Args:
        decoder: the interaction function.
        items: ``(N + 1, D)`` raw item vectors; row 0 is padding and never a candidate.
        relations: ``(K, D)``, or ``(P, K, D)`` where each pair is given its own.
        i, j: ``(P,)`` heads and tails.
        log_popularity: ``(N + 1,)`` from :func:`base_measure`.
        negatives: ``(n,)`` items shared by all pairs and both directions, or None for the whole catalogue.
    """
    if negatives is not None:
        return _sampled(decoder, items, relations, i, j, log_popularity, negatives)
    rows = max(1, MAX_LOGITS // (relations.shape[-2] * len(items)))
    if len(i) <= rows:
        return _whole(decoder, items, relations, i, j, log_popularity)
    of_chunk = relations.split(rows) if relations.dim() == 3 else [relations] * -(-len(i) // rows)
    parts = [
        checkpoint(_whole, decoder, items, z, a, b, log_popularity, use_reentrant=False)
        for z, a, b in zip(of_chunk, i.split(rows), j.split(rows), strict=True)
    ]
    return torch.cat([tail for tail, _ in parts]), torch.cat([head for _, head in parts])


def _whole(
    decoder: Decoder, items: Tensor, relations: Tensor, i: Tensor, j: Tensor, log_popularity: Tensor
) -> tuple[Tensor, Tensor]:
    head, tail, base = embedding(i, items), embedding(j, items), log_popularity[1:]
    score = decoder.score(head[:, None], relations, tail[:, None])  # (P, K)
    tails = decoder.score_tails(head, relations, items[1:]) + base  # (P, K, N)
    heads = decoder.score_heads(tail, relations, items[1:]) + base
    log_tail = score + log_popularity[j][:, None] - tails.logsumexp(-1)
    log_head = score + log_popularity[i][:, None] - heads.logsumexp(-1)
    return log_tail, log_head


class _LogSumOfOthers(torch.autograd.Function):
    """``log Σ_n exp scores[p, k, n]`` without the few ``(p, n)`` of ``hit``: ``(P, K, n), (H, 2) → (P, K)``.

    Most of a discovery step is spent on these scores, and torch's own ``masked_fill`` and ``logsumexp`` pass over them
    about twice as often.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, hit: Tensor) -> Tensor:
        most = scores.amax(-1, keepdim=True)
        share = (scores - most).exp_()
        share[hit[:, 0], :, hit[:, 1]] = 0
        total = share.sum(-1, keepdim=True)
        ctx.save_for_backward(share, total)
        return (total.log() + most).squeeze(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        share, total = ctx.saved_tensors
        # where nothing is left the sum is 0, and so is each share
        return share * (gradient[..., None] / total.clamp(min=torch.finfo(total.dtype).tiny)), None


def _sampled(
    decoder: Decoder,
    items: Tensor,
    relations: Tensor,
    i: Tensor,
    j: Tensor,
    log_popularity: Tensor,
    negatives: Tensor,
) -> tuple[Tensor, Tensor]:
    head, tail, candidates = embedding(i, items), embedding(j, items), embedding(negatives, items)
    score = decoder.score(head[:, None], relations, tail[:, None])  # (P, K)

    def log_probability(scores: Tensor, positive: Tensor) -> Tensor:
        # thousands of exponentials are summed, which under autocast come in half precision
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        hit = (negatives == positive[:, None]).nonzero()
        mass: Tensor = _LogSumOfOthers.apply(scores, hit)
        others = mass - torch.tensor(float(len(negatives)), dtype=mass.dtype).log()
        own = score + log_popularity[positive][:, None]
        return own - torch.logaddexp(own, others)

    tails = decoder.score_tails(head, relations, candidates)  # (P, K, n)
    heads = decoder.score_heads(tail, relations, candidates)
    return log_probability(tails, j), log_probability(heads, i)
