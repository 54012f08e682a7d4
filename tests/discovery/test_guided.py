"""The warm-up: a value worked by hand, what it shares with the bound, and what it teaches whom."""

from __future__ import annotations

import math

import pytest
import torch

from lrdgraph.discovery import RelationDVAE, discover, history_pairs
from lrdgraph.discovery.objectives import elbo, guided
from lrdgraph.errors import ConfigError
from tests.discovery.planted import agreement, language_vectors, plant

HALF = torch.tensor([0.5, 0.5]).log()


def test_guided_worked_by_hand() -> None:
    """Likelihoods sum to (−4, −6), β = 2: q* ∝ (e⁻², e⁻³) = (e, 1) / (e + 1); q is uniform."""
    log_tail, log_head = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -4.0]])
    best = [math.e / (math.e + 1), 1 / (math.e + 1)]
    free = -2 * math.log(0.5 * (math.exp(-2) + math.exp(-3)))
    lag = sum(b * math.log(b / 0.5) for b in best)
    got = guided(torch.zeros(1, 2), log_tail, log_head, HALF, 2.0)
    assert float(got.total) == pytest.approx(free + 2 * lag, rel=1e-6)
    bound = elbo(torch.zeros(1, 2), log_tail, log_head, HALF, 2.0).terms()
    assert all(torch.equal(value, bound[name]) for name, value in got.terms().items() if name != "total")


def test_at_the_best_posterior_it_is_the_bound_and_nothing_is_below() -> None:
    log_tail, log_head, prior = torch.randn(9, 3), torch.randn(9, 3), torch.tensor([0.2, 0.3, 0.5]).log()
    best = (log_tail + log_head) / 1.5 + prior
    at_best = guided(best, log_tail, log_head, prior, 1.5).total
    torch.testing.assert_close(at_best, elbo(best, log_tail, log_head, prior, 1.5).total)
    for _ in range(20):
        logits = best + torch.randn(9, 3)
        assert float(elbo(logits, log_tail, log_head, prior, 1.5).total) > float(at_best)
        assert float(guided(logits, log_tail, log_head, prior, 1.5).total) > float(at_best)


def test_the_decoder_does_not_hear_the_encoder() -> None:
    def of_decoder(logits: torch.Tensor) -> torch.Tensor:
        log_tail = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        guided(logits, log_tail, log_tail, HALF, 2.0).total.backward()
        assert log_tail.grad is not None
        return log_tail.grad

    torch.testing.assert_close(of_decoder(torch.zeros(1, 2)), of_decoder(torch.tensor([[5.0, -5.0]])))


def test_the_encoder_follows_the_best_posterior() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    log_tail = torch.tensor([[-1.0, -3.0]])
    guided(logits, log_tail, log_tail, HALF, 2.0).total.backward()
    q_best = torch.tensor([[-1.0, -3.0]]).softmax(-1)
    torch.testing.assert_close(logits.grad, 2.0 * (0.5 - q_best))


def test_a_warm_up_needs_beta_and_a_share() -> None:
    text, pairs = torch.randn(9, 4), torch.randint(1, 9, (2, 30))
    with pytest.raises(ConfigError, match="A warm-up needs a beta above 0"):
        discover(RelationDVAE(text, 2, 8, beta=0.0), pairs, epochs=1, warm_up=0.5)
    with pytest.raises(ConfigError, match=r"warm_up is 1\.5; it is the share of steps"):
        discover(RelationDVAE(text, 2, 8), pairs, epochs=1, warm_up=1.5)


def test_one_start_recovers_planted_relations() -> None:
    """A single start, from a seed that ends at 0.84 with beta 1 and no warm-up."""
    seed = 2
    shop = plant()
    text, pairs = language_vectors(shop.texts), history_pairs(shop.sequences, max_gap=1)
    held = torch.rand(len(text), len(text), generator=torch.Generator().manual_seed(seed)) < 0.2
    hidden = held[pairs[0], pairs[1]]
    torch.manual_seed(seed)
    popularity = torch.bincount(pairs[:, ~hidden].flatten(), minlength=len(text))
    dvae = RelationDVAE(text, 3, 36, beta=2.0, popularity=popularity, num_negatives=128)
    discover(dvae, pairs[:, ~hidden], epochs=20, warm_up=0.6, seed=seed)
    assert agreement(shop, dvae, pairs[:, hidden].unique(dim=1)) >= 0.9
