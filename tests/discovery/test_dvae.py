"""The whole model: what it returns, which tables it reads, its loss against a slow reference, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lrdgraph.discovery import RelationDVAE
from lrdgraph.discovery.decoders import decoder_names, initial_relations
from lrdgraph.discovery.encoders import encoder_names
from lrdgraph.discovery.likelihood import draw_items
from lrdgraph.discovery.objectives import published
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.nn.sparse_products import Pattern

ITEMS, LATENT, WIDTH = 8, 3, 6
COUNTS = torch.tensor([0, 5, 0, 1, 3, 0, 2, 7, 4])
I, J = torch.tensor([1, 4, 4, 7]), torch.tensor([2, 3, 8, 1])  # noqa: E741


def texts() -> Tensor:
    return torch.cat([torch.zeros(1, 5), torch.randn(ITEMS, 5) + 1])


def made(**settings: Any) -> RelationDVAE:
    return RelationDVAE(texts(), LATENT, WIDTH, popularity=COUNTS, **settings)


@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(0, 1e3),
    encoder=st.sampled_from(encoder_names()),
    none_state=st.booleans(),
)
def test_posteriors_are_distributions(seed: int, scale: float, encoder: str, none_state: bool) -> None:
    torch.manual_seed(seed)
    dvae = RelationDVAE(texts() * scale, LATENT, WIDTH, encoder=encoder, none_state=none_state)
    i, j = torch.randint(1, ITEMS + 1, (2, 10))
    states = dvae.state_posterior(i, j)
    assert states.shape == (10, LATENT + none_state)
    assert bool((states >= 0).all())
    torch.testing.assert_close(states.sum(1), torch.ones(10))
    assert torch.equal(dvae.posterior(i, j), states[:, 1:] if none_state else states)


@pytest.mark.parametrize("encoder", encoder_names())
def test_a_pattern_has_the_posterior_of_its_pairs(encoder: str) -> None:
    dvae = made(encoder=encoder)
    pattern = Pattern.of(I, J, ITEMS + 1, ITEMS + 1)
    torch.testing.assert_close(dvae.pattern_posterior(pattern), dvae.state_posterior(I, J))
    with torch.no_grad():
        torch.testing.assert_close(dvae.pattern_posterior(pattern), dvae.state_posterior(I, J))


@pytest.mark.parametrize("encoder", encoder_names())
def test_a_pattern_under_autocast(encoder: str) -> None:
    dvae = made(encoder=encoder)
    pattern = Pattern.of(I, J, ITEMS + 1, ITEMS + 1)
    with torch.autocast("cpu", torch.bfloat16):
        rough = dvae.pattern_posterior(pattern)
    rough.square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in dvae.encoder.parameters())
    torch.testing.assert_close(rough.float(), dvae.pattern_posterior(pattern), atol=0.02, rtol=0.05)


@pytest.mark.parametrize("none_state", [True, False])
def test_many_pairs_pass_in_blocks(none_state: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrdgraph.discovery.dvae.block_size", lambda: 3)
    dvae = made(none_state=none_state)
    found = dvae.posterior_of_many(I, J)
    torch.testing.assert_close(found, dvae.state_posterior(I, J))
    assert not found.requires_grad
    assert dvae.posterior_of_many(I[:0], J[:0]).shape == (0, LATENT + none_state)


def test_the_posterior_of_a_pair_does_not_depend_on_its_company() -> None:
    dvae = made()
    torch.testing.assert_close(dvae.state_posterior(I[1:2], J[1:2]), dvae.state_posterior(I, J)[1:2])


def slow_loss(dvae: RelationDVAE, i: Tensor, j: Tensor, items: Tensor, relations: Tensor) -> float:
    """The bound of pairs over the whole catalogue, pair by pair and state by state."""
    popularity = (COUNTS[1:] + 1) / (COUNTS[1:] + 1).sum()
    total = 0.0
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        q = dvae.state_posterior(torch.tensor([a]), torch.tensor([b]))[0]
        explained = [(popularity[b - 1] * popularity[a - 1]).log()] if dvae.none_state else []
        for z in relations:
            tails = popularity * torch.stack([dvae.decoder.score(items[a], z, x) for x in items[1:]]).exp()
            heads = popularity * torch.stack([dvae.decoder.score(x, z, items[b]) for x in items[1:]]).exp()
            explained.append((tails[b - 1] / tails.sum() * heads[a - 1] / heads.sum()).log())
        prior = torch.arange(1, len(q) + 1) / (len(q) * (len(q) + 1) / 2)
        total -= float((q * (torch.stack(explained) - dvae.beta * (q / prior).log())).sum())
    return total / len(i)


@pytest.mark.parametrize("decoder", decoder_names())
@pytest.mark.parametrize("none_state", [True, False])
def test_loss_equals_a_slow_reference(decoder: str, none_state: bool) -> None:
    prior = [1.0, 2.0, 3.0, 4.0] if none_state else [1.0, 2.0, 3.0]
    dvae = made(decoder=decoder, none_state=none_state, beta=0.6, random_share=0.5, prior=prior)
    items, relations = torch.randn(ITEMS + 1, WIDTH) / 2, torch.randn(LATENT, WIDTH)
    i, j = I, J
    if none_state:
        drawn = draw_items(dvae.log_popularity, 4, torch.Generator().manual_seed(3))
        i, j = torch.cat([i, drawn[:2]]), torch.cat([j, drawn[2:]])
    found = dvae.loss(I, J, items, relations, torch.Generator().manual_seed(3))
    assert float(found.total.detach()) == pytest.approx(slow_loss(dvae, i, j, items, relations), rel=1e-4)


def test_sampled_loss_comes_near_the_whole() -> None:
    dvae = made(random_share=0.0)
    whole = float(dvae.loss(I, J).total)
    dvae.num_negatives = 20_000
    assert float(dvae.loss(I, J).total) == pytest.approx(whole, rel=0.01)


def test_same_chance_same_loss() -> None:
    dvae = made(num_negatives=4)
    first, again, other = (float(dvae.loss(I, J, generator=torch.Generator().manual_seed(s)).total) for s in (1, 1, 2))
    assert first == again != other


def test_given_tables_are_read_and_learn() -> None:
    dvae, table = made(own_tables=False), nn.Embedding(ITEMS + 1, WIDTH, padding_idx=0)
    relations = initial_relations(LATENT, WIDTH).requires_grad_()
    loss = dvae.loss(I, J, items=table.weight, relations=relations)
    loss.total.backward()
    assert table.weight.grad is not None
    assert table.weight.grad.any(1).tolist() == [False] + [True] * ITEMS
    assert relations.grad is not None
    assert bool(relations.grad.any(1).all())
    assert all(parameter.grad is not None for parameter in dvae.parameters())
    assert float(dvae.loss(I, J, 2 * table.weight, relations).total) != float(loss.total)


def test_tables_that_are_not_owned_are_no_parameters() -> None:
    dvae = made(own_tables=False)
    assert all(name.startswith("encoder.") for name, _ in dvae.named_parameters())
    assert {name.split(".")[0] for name, _ in made().named_parameters()} == {"encoder", "project", "relation_vectors"}


def test_own_tables_learn_from_text_alone() -> None:
    dvae = made()
    items, relations = dvae.tables()
    assert items.shape == (ITEMS + 1, WIDTH)
    assert relations is dvae.relation_vectors
    dvae.loss(I, J).total.backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in dvae.parameters())


def test_each_relation_begins_on_dimensions_of_its_own() -> None:
    found = initial_relations(3, 7)
    assert (found > 0.5).long().tolist() == [[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1]]


def test_published_loss_reads_the_posterior_of_history_and_target() -> None:
    dvae, items, relations = made(), torch.randn(ITEMS + 1, WIDTH), torch.randn(LATENT + 1, WIDTH)
    history, target, negative = torch.tensor([[1, 2, 0], [5, 0, 0]]), torch.tensor([3, 7]), torch.full((2, 3), 8)
    found = dvae.published_loss(history, target, negative, items, relations, alpha=0.2)
    logits = torch.stack([dvae.logits(row, j.expand(3)) for row, j in zip(history, target, strict=True)])
    padding = dvae.logits(torch.zeros_like(target), target)
    expected = published(logits[history > 0], padding, items, relations, history, target, negative, alpha=0.2)
    torch.testing.assert_close(found.total, expected.total)


def test_weights_come_back() -> None:
    text = texts()
    first, second = (RelationDVAE(text, LATENT, WIDTH) for _ in range(2))
    assert not torch.equal(first.state_posterior(I, J), second.state_posterior(I, J))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.state_posterior(I, J), second.state_posterior(I, J))
    assert torch.equal(first.tables()[0], second.tables()[0])


def test_the_scale_of_the_training_texts_is_saved_and_the_texts_are_not() -> None:
    first, other = made(), RelationDVAE(texts() * 9, LATENT, WIDTH)
    assert not {"text", "log_popularity", "log_prior"} & set(first.state_dict())
    other.load_state_dict(first.state_dict())
    assert torch.equal(other.standard.mean, first.standard.mean)
    assert torch.equal(other.standard.scale, first.standard.scale)


def test_repr() -> None:
    said = repr(made(encoder="additive", beta=0.5))
    assert "8 items, 3 latent relations + none, q: additive, p: distmult, width 6, beta 0.5" in said
    assert "3 latent relations no none" in repr(made(none_state=False))


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"num_latent": 7}, "num_latent is 7; it must lie between 1 and hidden_channels, 6."),
        ({"num_latent": 0}, "num_latent is 0; it must lie between 1 and hidden_channels, 6."),
        ({"beta": -1.0}, "beta and random_share must be 0 or more and num_negatives 1 or more."),
        ({"random_share": -0.1}, "beta and random_share must be 0 or more and num_negatives 1 or more."),
        ({"num_negatives": 0}, "beta and random_share must be 0 or more and num_negatives 1 or more."),
        ({"prior": [1.0, 1.0]}, "A prior needs 4 positive weights, one for each state; got "),
        ({"prior": [1.0, 1.0, 1.0, 0.0]}, "A prior needs 4 positive weights, one for each state; got "),
        ({"prior": [1.0, 1.0, 1.0, float("nan")]}, "A prior needs 4 positive weights, one for each state; got "),
        ({"prior": [1.0, 1.0, 1.0, float("inf")]}, "A prior needs 4 positive weights, one for each state; got "),
        ({"beta": float("nan")}, "beta and random_share must be 0 or more and num_negatives 1 or more."),
        ({"encoder": "additiv"}, "Unknown encoder 'additiv'"),
        ({"decoder": "distmul"}, "Unknown decoder 'distmul'"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RelationDVAE(texts(), **{"num_latent": LATENT, "hidden_channels": WIDTH, **settings})
    assert sentence in str(caught.value)


def test_as_many_relations_as_a_recommender_likes_where_tables_are_its_own() -> None:
    dvae = RelationDVAE(texts(), 9, 2, own_tables=False)
    assert torch.isfinite(dvae.loss(I, J, torch.randn(ITEMS + 1, 4), torch.randn(9, 4)).total)
    with pytest.raises(ConfigError, match=r"num_latent is 0; it must be 1 or more\."):
        RelationDVAE(texts(), 0, 2, own_tables=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_text_that_is_no_number(value: float) -> None:
    text = texts()
    text[3, 1] = value
    with pytest.raises(DataError, match="The language vector of item 3 holds NaN or infinity; encode the texts again."):
        RelationDVAE(text, LATENT, WIDTH)


@pytest.mark.parametrize("shape", [(9,), (2, 5), (3, 4, 5)])
def test_text_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"Text must be \(N \+ 1, T\) with at least two items; got "):
        RelationDVAE(torch.zeros(shape), 1, WIDTH)


def test_popularity_of_another_shape() -> None:
    with pytest.raises(DataError, match=r"popularity has shape \(4,\), expected \(9,\)"):
        RelationDVAE(texts(), LATENT, WIDTH, popularity=torch.ones(4))


def test_tables_that_do_not_fit() -> None:
    items, relations = torch.randn(ITEMS + 1, WIDTH), torch.randn(LATENT, WIDTH)
    without = made(own_tables=False)
    for given_tables in ({}, {"items": items}, {"relations": relations}):
        with pytest.raises(ConfigError, match="holds no tables of its own; give items and relations to its loss."):
            without.loss(I, J, **given_tables)
    with pytest.raises(ConfigError, match="There are 2 relation vectors for 3 latent relations."):
        without.loss(I, J, items, relations[:2])
    with pytest.raises(ConfigError, match="Relation vectors are 6 wide and item vectors 4; set hidden_channels"):
        made().loss(I, J, items[:, :4])


@pytest.mark.parametrize("encoder", ["additive", "interaction"])
@pytest.mark.parametrize("none_state", [True, False])
def test_posteriors_by_ends_and_of_half_precision_texts(encoder: str, none_state: bool) -> None:
    torch.manual_seed(0)
    text = torch.randn(9, 5)
    dvae = RelationDVAE(text, 3, 8, encoder=encoder, none_state=none_state)
    i, j = torch.tensor([1, 1, 8, 3]), torch.tensor([2, 8, 1, 3])
    torch.testing.assert_close(dvae.ends_posterior(i, j), dvae.posterior(i, j))
    for standardise in (True, False):
        same = {"encoder": encoder, "none_state": none_state, "standardise": standardise}
        dvae, half = RelationDVAE(text, 3, 8, **same), RelationDVAE(text.half(), 3, 8, **same)
        half.load_state_dict(dvae.state_dict())
        torch.testing.assert_close(half.posterior(i, j), dvae.posterior(i, j), rtol=1e-2, atol=1e-2)
        assert half.text.dtype == torch.float16
        half.loss(i, j).total.backward()
        assert half.double().posterior(i, j).dtype == torch.float64


def test_a_loss_on_a_few_items_is_the_loss_on_all_of_them() -> None:
    torch.manual_seed(0)
    dvae = RelationDVAE(torch.randn(30, 5), 2, 8, num_negatives=6, own_tables=False)
    items, relations = torch.randn(30, 8), torch.randn(2, 8)
    drawn = dvae.draw(torch.tensor([3, 4, 9, 9]), torch.tensor([4, 20, 3, 29]))
    nodes = torch.cat([*drawn, torch.tensor([7])]).unique()
    whole, part = dvae.loss_of(*drawn, items, relations), dvae.loss_of(*drawn, items[nodes], relations, nodes=nodes)
    assert len(nodes) < 20
    torch.testing.assert_close(part.total, whole.total)


def test_free_vectors_stand_beside_the_projection_and_learn() -> None:
    torch.manual_seed(0)
    dvae = RelationDVAE(texts(), 2, 4, free_vectors=True)
    assert dvae.item_vectors is not None
    assert dvae.project is not None
    items, _ = dvae.tables()
    torch.testing.assert_close(items, dvae.project(dvae.standard(dvae.text)) + dvae.item_vectors)
    dvae.loss(torch.tensor([1, 2]), torch.tensor([2, 3])).total.backward()
    assert dvae.item_vectors.grad is not None
    assert bool(dvae.item_vectors.grad[1:4].any())
    with pytest.raises(ConfigError, match="part of own tables"):
        RelationDVAE(texts(), 2, 4, own_tables=False, free_vectors=True)


@pytest.mark.parametrize("rows", [9, 11])
def test_item_vectors_without_padding_are_told(rows: int):
    dvae = RelationDVAE(torch.randn(10, 5), 2, 4)
    with pytest.raises(ConfigError, match=f"{rows} item vectors for 10 rows of text; row 0 of both is padding"):
        dvae.loss(torch.tensor([1]), torch.tensor([2]), items=torch.randn(rows, 4))
