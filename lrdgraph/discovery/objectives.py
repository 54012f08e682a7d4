"""The two training objectives of discovery and a warm-up, each a loss with every term named; and a sampled state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import embedding

from lrdgraph import distributed
from lrdgraph.errors import ConfigError


@dataclass(frozen=True)
class DiscoveryLoss:
    """A loss and its terms; all are 0-d tensors in nats, means over pairs (or, published, as its formula averages).

    Attributes:
        total: what is minimised.
        reconstruction_tail: ``−E_q log p(j | i, r)``.
        reconstruction_head: ``−E_q log p(i | j, r)``; for :func:`published`, its log-sigmoid term.
        kl: ``KL(q ‖ p(r))``.
        entropy: ``H(q)``, of the posterior of one pair.
    """

    total: Tensor
    reconstruction_tail: Tensor
    reconstruction_head: Tensor
    kl: Tensor
    entropy: Tensor

    def terms(self) -> dict[str, Tensor]:
        """Every term by name, detached."""
        return {field.name: getattr(self, field.name).detach() for field in fields(self)}

    def over_all(self, pairs: int, target: Tensor) -> DiscoveryLoss:
        """Weighed so that with those of other processes it comes to a mean over the pairs of all; without pairs, zero.

        Args:
            pairs: how many this process's means are over.
            target: ``(B, *)`` of its batch, whose transitions weigh the rest of its loss.
        """
        if distributed.count() == 1 and pairs:
            return self
        factor = distributed.mean_factor(pairs, int((target > 0).sum()))
        terms = (getattr(self, field.name) for field in fields(self))
        return DiscoveryLoss(*(term * factor if pairs else term.new_zeros(()) for term in terms))


def log_prior_of(weights: Sequence[float] | None, states: int) -> Tensor:
    """``log p(r)`` ``(S,)`` from positive weights of the states, uniform where None.

    Raises:
        ConfigError: there is not one positive, finite weight for each state.
    """
    given = torch.ones(states) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    if given.shape != (states,) or not bool(((given > 0) & given.isfinite()).all()):
        raise ConfigError(f"A prior needs {states} positive weights, one for each state; got {given.tolist()}.")
    return (given / given.sum()).log()


def elbo(
    logits: Tensor,
    log_tail: Tensor,
    log_head: Tensor,
    log_prior: Tensor,
    beta: float,
    weight: Tensor | None = None,
) -> DiscoveryLoss:
    """Composite ELBO, ``Σ_r q_r [log p(j|i,r) + log p(i|j,r)] − β·KL(q ‖ p(r))``, summed exactly over r.

    Args:
        logits: ``(P, S)`` of the encoder.
        log_tail, log_head: ``(P, S)`` log-likelihoods of the decoder under each state.
        log_prior: ``(S,)``, or ``(P, S)`` of each pair.
        beta: weight of the KL term.
        weight: ``(P, n)`` where the log-likelihoods are ``(P, n)`` ones that stand for those of all states, such as
            that of a sampled relation; None for q itself.

    Returns:
        ``total = reconstruction_tail + reconstruction_head + β·kl``.
    """
    log_q = logits.log_softmax(-1)
    q = log_q.exp()
    weight = q if weight is None else weight
    tail = -(weight * log_tail).sum(-1).mean()
    head = -(weight * log_head).sum(-1).mean()
    kl = (q * (log_q - log_prior)).sum(-1).mean()
    entropy = -(q * log_q).sum(-1).mean()
    return DiscoveryLoss(tail + head + beta * kl, tail, head, kl, entropy)


def straight_through(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """One state of each row, drawn from the softmax, with the gradient of a relaxed draw (Gumbel-softmax).

    Jang et al., arXiv 1611.01144, straight-through: the value is one-hot, and backwards it is
    ``softmax((logits + Gumbel noise) / temperature)``. A low temperature brings the gradient near that of the exact sum
    and makes it noisier.

    Args:
        logits: ``(P, K)``.
        temperature: above 0.
        generator: source of the noise; torch's own where None.

    Returns:
        ``(P, K)``.
    """
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    relaxed = ((logits + noise) / temperature).softmax(-1)
    drawn = torch.zeros_like(relaxed).scatter_(-1, relaxed.argmax(-1, keepdim=True), 1.0)
    return drawn - relaxed.detach() + relaxed


def guided(logits: Tensor, log_tail: Tensor, log_head: Tensor, log_prior: Tensor, beta: float) -> DiscoveryLoss:
    """A warm-up for :func:`elbo`: the decoder learns under the best posterior, and the encoder learns that posterior.

    With ``q* ∝ p(r) exp([log p(j|i,r) + log p(i|j,r)] / β)``, the negated bound is ``F + β·KL(q ‖ q*)``, where
    ``F = −β log Σ_r p(r) exp(…/β)`` does not know q. This is ``F + β·KL(q* ‖ q)`` with q* fixed in the second term:
    exact expectation-maximisation, with an encoder that follows. From the start an encoder lags behind its decoder
    (He et al., arXiv 1901.05534): all relations then learn the same before it can tell pairs apart, or the decoder fits
    the arbitrary partition that a fresh encoder happens to make.

    Args:
        logits, log_tail, log_head, log_prior, beta: as for :func:`elbo`; beta is above 0.

    Returns:
        The terms of :func:`elbo`, with a ``total`` of its own, which is that of the bound where q is q*.
    """
    log_joint = (log_tail + log_head) / beta + log_prior
    log_best = log_joint.detach().log_softmax(-1)
    free = -beta * log_joint.logsumexp(-1).mean()
    lag = (log_best.exp() * (log_best - logits.log_softmax(-1))).sum(-1).mean()
    return replace(elbo(logits, log_tail, log_head, log_prior, beta), total=free + beta * lag)


def published(
    logits: Tensor,
    padding: Tensor,
    items: Tensor,
    relations: Tensor,
    history: Tensor,
    target: Tensor,
    negative: Tensor,
    *,
    alpha: float = 0.1,
    skip_first: bool = True,
) -> DiscoveryLoss:
    """The objective of the public LRD code (github.com/ysh-1998/LRD, ``lrd_forward`` of its two models).

    ``−1/(B|S|) Σ_b Σ_{m∈S} log[1/n_b Σ_h σ(q_bhm ⟨z_m ⊙ (1 + x_i), x_h − x_h⁻⟩)] + α/(BHM) Σ_bhm −q log q``:
    one sigmoid for each state; heads alone are reconstructed; the entropy averages over padding too, and is minimised.

    Args:
        logits: ``(P, M)`` of the encoder for (history item, target), in the order of ``history.nonzero()``.
        padding: ``(B, M)`` of the encoder for (item 0, target), which every empty slot of a row has.
        items: ``(N + 1, D)`` item vectors of the recommender.
        relations: ``(M, D)`` vectors of the virtual, predefined and latent relations.
        history: ``(B, H)`` items, 0 is padding; every row holds at least one item.
        target: ``(B,)`` items.
        negative: ``(B, H)`` one random item for each slot of the history.
        alpha: weight of the entropy.
        skip_first: sum over all states but the first, rather than over all.
    """
    log_q, log_none = logits.log_softmax(-1), padding.log_softmax(-1)
    q = log_q.exp()
    row, slot = history.nonzero(as_tuple=True)
    events = (history > 0).sum(1, keepdim=True)  # (B, 1)
    difference = embedding(history[row, slot], items) - embedding(negative[row, slot], items)  # (P, D)
    seen = (1 + embedding(target, items)).index_select(0, row) * difference
    agreement = (q * (seen @ relations.T)).sigmoid()  # (P, M)
    mean = agreement.new_zeros(len(history), q.size(1)).index_add(0, row, agreement) / events  # (B, M)
    reconstruction = -mean[:, 1 if skip_first else 0 :].log().mean()
    empty = (history.size(1) - events) * log_none.exp() * log_none  # (B, M)
    entropy = -((q * log_q).sum() + empty.sum()) / (history.numel() * q.size(1))
    none = torch.zeros_like(reconstruction)
    return DiscoveryLoss(reconstruction + alpha * entropy, none, reconstruction, none, entropy)
