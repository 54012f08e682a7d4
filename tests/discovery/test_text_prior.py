"""The start of discovery from texts: what it says of planted topics, and that it is the prior afterwards."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from lrdgraph.discovery import RelationDVAE, start_from_texts
from lrdgraph.discovery.objectives import elbo
from lrdgraph.discovery.text_prior import tables_from_texts
from lrdgraph.errors import ConfigError

TOPICS, EACH, WIDTH = 3, 60, 16


def texts(permuted: bool = False) -> Tensor:
    """``(N + 1, 16)`` vectors around three centres; item n has topic (n − 1) // 60, or that of another item."""
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(TOPICS, WIDTH, generator=generator)
    vectors = centres.repeat_interleave(EACH, 0) + 0.5 * torch.randn(TOPICS * EACH, WIDTH, generator=generator)
    if permuted:
        vectors = vectors[torch.randperm(len(vectors), generator=generator)]
    return torch.cat([torch.zeros(1, WIDTH), vectors])


def pairs(number: int = 6000) -> Tensor:
    """Two items of one topic."""
    generator = torch.Generator().manual_seed(1)
    topic = torch.randint(TOPICS, (number,), generator=generator)
    return topic * EACH + 1 + torch.randint(EACH, (2, number), generator=generator)


def started(seed: int = 0, permuted: bool = False, num_latent: int = TOPICS) -> RelationDVAE:
    torch.manual_seed(seed)
    dvae = RelationDVAE(texts(permuted), num_latent, 8, own_tables=False)
    start_from_texts(dvae, pairs())
    return dvae


def topic(items: Tensor) -> Tensor:
    return (items - 1) // EACH


def test_a_relation_is_what_near_pairs_are_about_and_far_ones_have_none() -> None:
    i, j = pairs(500)
    with torch.no_grad():
        near = started().state_posterior(i, j)
        far = started().state_posterior(i, (j - 1 + EACH) % (TOPICS * EACH) + 1)
    assert near[:, 0].mean() < 0.15
    assert far[:, 0].mean() > 0.9
    assert adjusted_rand_score(topic(i), near[:, 1:].argmax(1)) > 0.95


def test_texts_that_say_nothing_of_the_pairs_leave_them_without_relation() -> None:
    with torch.no_grad():
        assert started(permuted=True).state_posterior(*pairs(500))[:, 0].mean() > 0.8


def test_seeds_agree_and_without_the_start_they_do_not() -> None:
    i, j = pairs(500)
    with torch.no_grad():
        same = [started(seed).state_posterior(i, j).argmax(1) for seed in range(3)]
        chance = []
        for seed in range(3):
            torch.manual_seed(seed)
            chance.append(RelationDVAE(texts(), TOPICS, 8, own_tables=False).state_posterior(i, j).argmax(1))
    for a, b in itertools.combinations(range(3), 2):
        assert adjusted_rand_score(same[a], same[b]) > 0.9
        assert adjusted_rand_score(chance[a], chance[b]) < 0.7


def test_the_start_is_the_prior_so_that_the_bound_begins_without_divergence() -> None:
    dvae = started()
    items, relations = torch.randn(TOPICS * EACH + 1, 8), torch.randn(TOPICS, 8)
    at_first = dvae.loss(*pairs(200), items, relations)
    assert float(at_first.kl.detach()) == pytest.approx(0, abs=1e-6)
    at_first.total.backward()
    assert dvae.prior_encoder is not None
    assert all(p.grad is None for p in dvae.prior_encoder.parameters())
    with torch.no_grad():
        dvae.encoder.bias[1] += 3
    assert float(dvae.loss(*pairs(200), items, relations).kl.detach()) > 0.01


def test_the_prior_is_saved_with_the_weights() -> None:
    saved = started(seed=0).state_dict()
    other = started(seed=1)
    other.load_state_dict(saved)
    assert torch.equal(other.prior_encoder.both, saved["prior_encoder.both"])
    bare = RelationDVAE(texts(), TOPICS, 8, own_tables=False)
    assert not any(name.startswith("prior_encoder") for name in bare.state_dict())
    torch.nn.ModuleList([bare]).load_state_dict({f"0.{key}": value for key, value in saved.items()})
    assert all(torch.equal(tensor, saved[name]) for name, tensor in bare.state_dict().items())
    assert not any(p.requires_grad for p in bare.prior_encoder.parameters())  # type: ignore[union-attr]


def test_in_double_precision_the_start_is_the_same() -> None:
    i, j = pairs(500)
    torch.manual_seed(0)
    dvae = RelationDVAE(texts(), TOPICS, 8, own_tables=False).double()
    start_from_texts(dvae, pairs())
    with torch.no_grad():
        found, expected = dvae.state_posterior(i, j), started().state_posterior(i, j)
    assert found.dtype == torch.float64
    assert adjusted_rand_score(found.argmax(1), expected.argmax(1)) > 0.95


def test_a_prior_of_each_pair_worked_by_hand() -> None:
    """q = (½, ½) against p = (¼, ¾) and (½, ½): the divergences are ½ log 2 + ½ log ⅔ and 0."""
    prior = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    found = elbo(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 2), prior, 1.0)
    assert float(found.kl) == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2, rel=1e-6)


def test_more_relations_than_topics_and_one_alone() -> None:
    for number in (1, 7):
        q = started(num_latent=number).state_posterior(*pairs(300))
        assert q.shape == (300, number + 1)
        assert bool(q.isfinite().all())


def test_what_it_cannot_do_is_said() -> None:
    additive = RelationDVAE(texts(), TOPICS, 8, encoder="additive", own_tables=False)
    with pytest.raises(ConfigError, match="interaction encoder"):
        start_from_texts(additive, pairs())
    plain = RelationDVAE(texts(), TOPICS, 8, own_tables=False)
    with pytest.raises(ConfigError, match="2 pairs of training events for each of 3 relations, and there are 5"):
        start_from_texts(plain, pairs(5))


def test_directions_of_a_sample_of_the_texts_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    i, j = pairs(500)
    with torch.no_grad():
        whole = started().state_posterior(i, j)
        monkeypatch.setattr("lrdgraph.discovery.text_prior.MANY", 50)
        monkeypatch.setattr("lrdgraph.discovery.text_prior.MOST_PAIRS", 5000)
        sample = started().state_posterior(i, j)
    assert not torch.equal(sample, whole)
    assert sample[:, 0].mean() < 0.15
    assert adjusted_rand_score(topic(i), sample[:, 1:].argmax(1)) > 0.95


def test_tables_from_texts_score_a_pair_by_its_likeness() -> None:
    torch.manual_seed(0)
    dvae = RelationDVAE(texts(), 2, WIDTH)
    tables_from_texts(dvae, closeness=4.0, spread=0.0)
    with torch.no_grad():
        items, relations = dvae.tables()
        text = dvae.standard(dvae.text)
    torch.testing.assert_close(items[1:].square().sum(1).mean(), torch.tensor(4.0))
    # all directions are kept, so that the score is the product of the standardised texts on one scale
    product = text @ text.T
    scale = 4.0 / product.diagonal()[1:].mean()
    for relation in relations:
        torch.testing.assert_close((items * relation) @ items.T, scale * product, atol=1e-3, rtol=1e-3)


def test_tables_from_texts_need_tables() -> None:
    with pytest.raises(ConfigError, match="need own tables"):
        tables_from_texts(RelationDVAE(texts(), 2, 8, own_tables=False))
