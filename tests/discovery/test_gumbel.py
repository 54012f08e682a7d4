"""The sampled bound: where it is the exact one, how its gradients compare, and that it finds what was planted."""

from __future__ import annotations

from statistics import mean

import pytest
import torch
from torch import Tensor

from lrdgraph.discovery import RelationDVAE, discover, history_pairs, likelihood
from lrdgraph.discovery.decoders import Decoder, decoder_names, initial_relations, make_decoder
from lrdgraph.discovery.likelihood import base_measure, log_likelihoods
from lrdgraph.discovery.objectives import straight_through
from lrdgraph.errors import ConfigError
from tests.discovery.planted import Planted, agreement, language_vectors, plant

ITEMS, WIDTH = 30, 8


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(num_latent: int, **settings: object) -> tuple[RelationDVAE, Tensor, Tensor, Tensor, Tensor]:
    """A sampling model, two tables and 40 pairs."""
    text = torch.cat([torch.zeros(1, 5), torch.randn(ITEMS, 5)])
    dvae = RelationDVAE(text, num_latent, WIDTH, estimator="gumbel", **settings)  # type: ignore[arg-type]
    items, relations = torch.randn(ITEMS + 1, WIDTH) / 2, torch.randn(num_latent, WIDTH)
    i, j = torch.randint(1, ITEMS + 1, (2, 40))
    return dvae, items.requires_grad_(), relations.requires_grad_(), i, j


def test_a_draw_is_one_state_as_often_as_the_softmax_says() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]])
    drawn = straight_through(logits.expand(20_000, 3), 0.7, seeded(0))
    torch.testing.assert_close(drawn.sort(-1).values, torch.tensor([0.0, 0, 1]).expand(20_000, 3))
    torch.testing.assert_close(drawn.mean(0), logits[0].softmax(-1), atol=0.01, rtol=0)


def test_backwards_it_is_the_relaxed_draw() -> None:
    logits, weight = torch.randn(4, 5), torch.randn(4, 5)
    noise = -torch.empty(4, 5).exponential_(generator=seeded(3)).log()
    first, second = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (weight * straight_through(first, 0.5, seeded(3))).sum().backward()
    (weight * ((second + noise) / 0.5).softmax(-1)).sum().backward()
    torch.testing.assert_close(first.grad, second.grad)


@pytest.mark.parametrize("negatives", [None, 7])
@pytest.mark.parametrize("decoder", decoder_names())
@pytest.mark.parametrize("none_state", [True, False])
def test_with_a_single_relation_it_is_the_exact_bound(decoder: str, none_state: bool, negatives: int | None) -> None:
    dvae, items, relations, i, j = made(1, decoder=decoder, none_state=none_state, num_negatives=negatives)
    found = {}
    for dvae.estimator in ("gumbel", "exact"):
        loss = dvae.loss(i, j, items, relations, seeded(1))
        leaves = [items, relations, *(p for p in dvae.encoder.parameters() if none_state)]
        found[dvae.estimator] = (loss.terms(), torch.autograd.grad(loss.total, leaves))
    torch.testing.assert_close(found["gumbel"], found["exact"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("decoder", decoder_names())
def test_on_average_it_is_the_exact_bound_and_points_where_that_points(decoder: str) -> None:
    dvae, items, relations, i, j = made(6, decoder=decoder, random_share=0.0, temperature=0.5)
    leaves, draws = [dvae.encoder.both, relations, items], 400

    def of_loss(seed: int) -> list[Tensor]:
        total = dvae.loss(i, j, items, relations, seeded(seed)).total
        return [total.detach(), *torch.autograd.grad(total, leaves)]

    sampled = [sum(parts) / draws for parts in zip(*(of_loss(seed) for seed in range(draws)), strict=True)]
    dvae.estimator = "exact"
    exact = of_loss(0)
    assert float(sampled[0]) == pytest.approx(float(exact[0]), rel=0.02)
    alike = [
        float(torch.cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a, b in zip(sampled, exact, strict=True)
    ]
    assert alike[1] > 0.93  # of the encoder: the decoder's curvature between relations is what it cannot see
    assert min(alike[2:]) > 0.99


class Plain(Decoder):
    """What a user writes who gives a score alone."""

    def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return (head * relation - tail).tanh().sum(-1)


@pytest.mark.parametrize("negatives", [None, torch.tensor([3, 1, 2, 2])])
@pytest.mark.parametrize("decoder", [*map(make_decoder, decoder_names()), Plain()], ids=lambda d: type(d).__name__)
def test_relations_of_each_pair_equal_those_of_all(
    decoder: Decoder, negatives: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, items, relations, i, j = made(6)
    which = torch.randint(6, (40, 2))
    measure = base_measure(None, ITEMS)
    shared = log_likelihoods(decoder, items, relations, i, j, measure, negatives)
    for most in (likelihood.MAX_LOGITS, 500):
        monkeypatch.setattr(likelihood, "MAX_LOGITS", most)
        own = log_likelihoods(decoder, items, relations[which], i, j, measure, negatives)
        for found, expected in zip(own, shared, strict=True):
            torch.testing.assert_close(found, expected.gather(1, which))


@pytest.mark.parametrize("num_latent", [2, 50])
def test_the_decoder_is_asked_about_one_relation_of_a_pair(num_latent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dvae, items, relations, i, j = made(num_latent, random_share=0.0)
    shapes = []
    score = dvae.decoder.score_tails
    monkeypatch.setattr(dvae.decoder, "score_tails", lambda h, z, c: shapes.append(z.shape) or score(h, z, c))
    dvae.loss(i, j, items, relations)
    assert shapes == [(40, 1, WIDTH)]


def test_same_chance_same_loss() -> None:
    dvae, items, relations, i, j = made(6)
    first, again, other = (float(dvae.loss(i, j, items, relations, seeded(s)).total.detach()) for s in (1, 1, 2))
    assert first == again != other


def test_more_relations_than_dimensions_are_told_apart() -> None:
    found = initial_relations(200, 32)
    assert abs(float((found > 0.5).float().mean()) - 0.25) < 0.03
    alike = torch.cosine_similarity(found[:, None], found, dim=-1).fill_diagonal_(0)
    assert float(alike.max()) < 0.99
    with pytest.raises(ConfigError, match="num_latent is 200; it must lie between 1 and hidden_channels, 32"):
        RelationDVAE(torch.randn(9, 4), 200, 32)


def test_settings() -> None:
    text, pairs = torch.randn(9, 4), torch.randint(1, 9, (2, 30))
    for wrong in ({"estimator": "gumbl"}, {"temperature": 0.0}, {"temperature": float("nan")}):
        with pytest.raises(ConfigError, match="estimator must be 'exact' or 'gumbel', and temperature above 0."):
            RelationDVAE(text, 2, 8, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="A warm-up needs every relation of a pair; train without it"):
        discover(RelationDVAE(text, 2, 8, estimator="gumbel"), pairs, epochs=1, warm_up=0.5)


def recovered(shop: Planted, text: Tensor, seed: int) -> float:
    """Agreement on pairs held out, of a single start."""
    pairs = history_pairs(shop.sequences, max_gap=1)
    hidden = (torch.rand(len(text), len(text), generator=seeded(0)) < 0.2)[pairs[0], pairs[1]]
    popularity = torch.bincount(pairs[:, ~hidden].flatten(), minlength=len(text))
    torch.manual_seed(seed)
    dvae = RelationDVAE(text, 3, 36, popularity=popularity, num_negatives=128, estimator="gumbel")
    discover(dvae, pairs[:, ~hidden], epochs=12, batch_size=256, learning_rate=0.01, seed=seed)
    return agreement(shop, dvae, pairs[:, hidden].unique(dim=1))


def test_planted_relations_are_recovered_and_permuted_texts_tell_nothing() -> None:
    shop = plant()
    text = language_vectors(shop.texts)
    assert mean(recovered(shop, text, seed) for seed in (0, 1, 2)) > 0.8
    order = 1 + torch.randperm(len(text) - 1)
    assert recovered(shop, torch.cat([text[:1], text[order]]), 0) < 0.1
