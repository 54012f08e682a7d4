"""Encoders: the fast paths against their formulas, what each can see, and how a fresh one answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lrdgraph.discovery import encoders
from lrdgraph.discovery.encoders import (
    AdditiveEncoder,
    InteractionEncoder,
    PairEncoder,
    StandardText,
    encoder_names,
    make_encoder,
    register_encoder,
)
from lrdgraph.errors import ConfigError

N, T, S, D = 9, 6, 4, 5


def additive_logits(encoder: PairEncoder, t_i: Tensor, t_j: Tensor) -> Tensor:
    assert isinstance(encoder, AdditiveEncoder)
    return encoder.score(torch.cat([encoder.project(t_i), encoder.project(t_j)]))


def interaction_logits(encoder: PairEncoder, t_i: Tensor, t_j: Tensor) -> Tensor:
    assert isinstance(encoder, InteractionEncoder)
    p, q = encoder.head.weight @ t_i, encoder.tail.weight @ t_j
    terms = [
        (p * encoder.both[s]) @ q + encoder.head_only[s] @ p + encoder.tail_only[s] @ q + encoder.bias[s]
        for s in range(S)
    ]
    return torch.stack(terms)


FORMULAS = {"additive": additive_logits, "interaction": interaction_logits}


def made(name: str) -> tuple[PairEncoder, Tensor]:
    encoder = make_encoder(name, T, S, D)
    for weight in encoder.parameters():
        torch.nn.init.normal_(weight)
    return encoder.double(), torch.randn(N, T, dtype=torch.float64)


def test_every_registered_encoder_has_a_formula_here() -> None:
    assert set(encoder_names()) == set(FORMULAS)


@pytest.mark.parametrize("name", encoder_names())
def test_pairs_follow_the_formula(name: str) -> None:
    encoder, text = made(name)
    i, j = torch.randint(N, (2, 20))
    expected = torch.stack([FORMULAS[name](encoder, text[a], text[b]) for a, b in zip(i, j, strict=True)])
    torch.testing.assert_close(encoder.pairs(encoder.items(text), i, j), expected)


@pytest.mark.parametrize("name", encoder_names())
def test_factors_multiply_to_the_logits_of_all_pairs(name: str) -> None:
    encoder, text = made(name)
    terms = encoder.items(text)
    left, right, weight = encoder.factors(terms)
    every = torch.arange(N)
    product = torch.einsum("if,sf,jf->ijs", left, weight, right)
    torch.testing.assert_close(product, encoder.pairs(terms, every[:, None], every[None]))


@pytest.mark.parametrize("name", encoder_names())
def test_pairs_broadcast_a_target_over_its_history(name: str) -> None:
    encoder, text = made(name)
    terms, history, target = encoder.items(text), torch.randint(N, (3, 7)), torch.randint(N, (3, 1))
    got = encoder.pairs(terms, history, target)
    assert got.shape == (3, 7, S)
    torch.testing.assert_close(got, encoder.pairs(terms, history, target.expand(3, 7)))


@pytest.mark.parametrize("name", encoder_names())
def test_the_order_of_a_pair_matters(name: str) -> None:
    encoder, text = made(name)
    terms, (i, j) = encoder.items(text), torch.tensor([[0, 1, 2], [3, 4, 5]])
    assert float((encoder.pairs(terms, i, j) - encoder.pairs(terms, j, i)).abs().max()) > 1e-3


@pytest.mark.parametrize("name", encoder_names())
def test_a_fresh_encoder_is_neither_uniform_nor_decided(name: str) -> None:
    text = torch.nn.functional.normalize(torch.randn(300, 384) + 0.05, dim=-1)
    encoder = make_encoder(name, 384, 6, 64)
    terms, (i, j) = encoder.items(StandardText(text)(text)), torch.randint(300, (2, 500))
    q = encoder.pairs(terms, i, j).softmax(-1)
    entropy = float(torch.special.entr(q).sum(-1).mean())
    assert 0.6 * torch.tensor(6.0).log() < entropy < 0.999 * torch.tensor(6.0).log()


def interplay(name: str, i: int, j: int, other_i: int, other_j: int) -> Tensor:
    """``f(i, j) − f(i, j′) − f(i′, j) + f(i′, j′)``, which is zero for a sum of terms of one item each."""
    encoder, text = made(name)
    terms = encoder.items(text)
    f = encoder.pairs(terms, torch.tensor([[i], [other_i]]), torch.tensor([[j, other_j]]))
    return f[0, 0] - f[0, 1] - f[1, 0] + f[1, 1]


@given(st.tuples(*[st.integers(0, N - 1)] * 4))
def test_additive_logits_know_no_interplay(pairs: tuple[int, int, int, int]) -> None:
    torch.testing.assert_close(interplay("additive", *pairs), torch.zeros(S, dtype=torch.float64), atol=1e-9, rtol=0)


@given(st.tuples(*[st.integers(0, N - 1)] * 4).filter(lambda p: p[0] != p[2] and p[1] != p[3]))
def test_interaction_logits_know_interplay(pairs: tuple[int, int, int, int]) -> None:
    assert float(interplay("interaction", *pairs).abs().max()) > 1e-3


def test_the_published_additive_encoder_can_leave_out_its_biases() -> None:
    encoder = AdditiveEncoder(T, S, D, bias=False)
    assert sorted(dict(encoder.named_parameters())) == ["project.weight", "score.weight"]
    nothing = encoder.items(torch.zeros(2, T))
    assert float(encoder.pairs(nothing, torch.tensor([0]), torch.tensor([1])).abs().max()) == 0


def test_standard_text_is_centred_and_of_unit_variance_and_keeps_its_measure() -> None:
    text = torch.randn(50, T) * 0.01 + 3
    standard = StandardText(text)
    out = standard(text)
    torch.testing.assert_close(out.mean(0), torch.zeros(T), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.square().mean(), torch.tensor(1.0), atol=1e-3, rtol=0)
    other = StandardText(torch.randn(50, T))
    other.load_state_dict(standard.state_dict())
    torch.testing.assert_close(other(text), out)


def test_standard_text_of_equal_vectors_is_zero() -> None:
    text = torch.ones(4, T)
    assert float(StandardText(text)(text).abs().max()) == 0


def test_an_encoder_of_ones_own_is_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_encoders", dict(encoders._encoders))

    @register_encoder("mine")
    class Mine(AdditiveEncoder):
        """Additive under another name."""

    assert isinstance(make_encoder("mine", T, S, D), Mine)
    assert "mine" in encoder_names()


def test_an_unknown_encoder_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown encoder 'interacton' \(did you mean 'interaction'\?\)"):
        make_encoder("interacton", T, S, D)
