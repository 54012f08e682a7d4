"""Softmax over the catalogue: against loops, in chunks, and by a sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.discovery import likelihood
from lrdgraph.discovery.decoders import decoder_names, make_decoder
from lrdgraph.discovery.likelihood import base_measure, draw_items, log_likelihoods
from lrdgraph.errors import DataError

N, K, D, P = 8, 3, 4, 6


@pytest.fixture
def tables() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Item vectors, relation vectors, heads and tails."""
    items, relations = torch.randn(N + 1, D, dtype=torch.float64), torch.randn(K, D, dtype=torch.float64)
    return items, relations, torch.randint(1, N + 1, (P,)), torch.randint(1, N + 1, (P,))


COUNTS = torch.tensor([99, 5, 0, 1, 3, 0, 2, 7, 4])


def test_the_base_measure_adds_one_and_leaves_out_padding() -> None:
    got = base_measure(torch.tensor([7, 0, 2, 0]), 3)
    torch.testing.assert_close(got, torch.tensor([-math.inf, math.log(1 / 5), math.log(3 / 5), math.log(1 / 5)]))
    torch.testing.assert_close(base_measure(None, 4)[1:], torch.full((4,), math.log(1 / 4)))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (torch.ones(3), r"shape \(3,\), expected \(5,\)"),
        (torch.tensor([0.0, 1, 2, -1, 0]), "negative or non-finite"),
        (torch.tensor([0.0, 1, 2, math.nan, 0]), "negative or non-finite"),
    ],
)
def test_malformed_popularity_is_refused(counts: Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        base_measure(counts, 4)


def test_items_are_drawn_by_popularity_and_padding_never() -> None:
    log_popularity = base_measure(COUNTS, N)
    drawn = draw_items(log_popularity, 200_000, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn, minlength=N + 1) / len(drawn)
    assert int(share[0] * len(drawn)) == 0
    torch.testing.assert_close(share, log_popularity.exp(), atol=0.005, rtol=0)


@pytest.mark.parametrize("name", decoder_names())
def test_the_whole_softmax_equals_loops(name: str, tables: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    items, relations, i, j = tables
    decoder, log_popularity = make_decoder(name), base_measure(COUNTS, N).double()
    tail, head = log_likelihoods(decoder, items, relations, i, j, log_popularity)
    for p in range(P):
        for k in range(K):
            a, b = int(i[p]), int(j[p])
            tails = [
                float(decoder.score(items[a], relations[k], items[n]) + log_popularity[n]) for n in range(1, N + 1)
            ]
            heads = [
                float(decoder.score(items[n], relations[k], items[b]) + log_popularity[n]) for n in range(1, N + 1)
            ]
            assert float(tail[p, k]) == pytest.approx(tails[b - 1] - np.logaddexp.reduce(tails))
            assert float(head[p, k]) == pytest.approx(heads[a - 1] - np.logaddexp.reduce(heads))


def test_a_relation_that_knows_nothing_says_popularity(tables: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    items, relations, i, j = tables
    log_popularity = base_measure(COUNTS, N).double()
    tail, head = log_likelihoods(make_decoder("distmult"), items, 0 * relations, i, j, log_popularity)
    torch.testing.assert_close(tail, log_popularity[j][:, None].expand(P, K))
    torch.testing.assert_close(head, log_popularity[i][:, None].expand(P, K))


def test_chunks_give_the_same_values_and_gradients(
    tables: tuple[Tensor, Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    items, relations, i, j = tables

    def values_and_gradients() -> list[Tensor]:
        x, z = items.clone().requires_grad_(), relations.clone().requires_grad_()
        tail, head = log_likelihoods(make_decoder("complex"), x, z, i, j, base_measure(COUNTS, N).double())
        return [tail, head, *torch.autograd.grad((tail * head).sum(), (x, z))]

    whole = values_and_gradients()
    chunked: list[int] = []
    one_chunk = likelihood._whole
    monkeypatch.setattr(likelihood, "_whole", lambda *a: (chunked.append(len(a[3])), one_chunk(*a))[1])
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 2 * K * (N + 1))
    torch.testing.assert_close(values_and_gradients(), whole)
    assert max(chunked) == 2


def test_a_sample_of_every_item_is_the_whole_softmax(tables: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    items, relations, i, j = tables
    uniform, every = base_measure(None, N).double(), torch.arange(1, N + 1)
    for name in decoder_names():
        decoder = make_decoder(name)
        sampled = log_likelihoods(decoder, items, relations, i, j, uniform, every[torch.randperm(N)])
        torch.testing.assert_close(sampled, log_likelihoods(decoder, items, relations, i, j, uniform))


def test_the_sampled_normaliser_has_no_bias(tables: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    items, relations, i, j = tables
    items = items / 2
    decoder, log_popularity = make_decoder("distmult"), base_measure(COUNTS, N).double()
    own = decoder.score(items[i][:, None], relations, items[j][:, None]) + log_popularity[j][:, None]
    whole, _ = log_likelihoods(decoder, items, relations, i, j, log_popularity)
    generator, total = torch.Generator().manual_seed(0), torch.zeros(P, K, dtype=torch.float64)
    for _ in range(2000):
        negatives = draw_items(log_popularity, 16, generator)
        sampled, _ = log_likelihoods(decoder, items, relations, i, j, log_popularity, negatives)
        assert float(sampled.max()) <= 0
        total += (own - sampled).exp()
    torch.testing.assert_close(total / 2000, (own - whole).exp(), rtol=0.03, atol=0)


def test_a_sample_under_autocast_is_summed_in_float32() -> None:
    torch.manual_seed(0)
    items, relations, many = torch.randn(200, 16) / 2, torch.randn(3, 16), torch.randint(1, 200, (512,))
    i, j = torch.randint(1, 200, (2, 64))
    exact = log_likelihoods(make_decoder("distmult"), items, relations, i, j, base_measure(None, 199), many)
    with torch.autocast("cpu", torch.bfloat16):
        rough = log_likelihoods(make_decoder("distmult"), items, relations, i, j, base_measure(None, 199), many)
    for found, expected in zip(rough, exact, strict=True):
        assert found.dtype == torch.float32
        assert float((found - expected).abs().mean()) < 2e-3


def test_in_double_precision_the_size_of_a_sample_is_exact() -> None:
    nothing, i = torch.zeros(6, 2, dtype=torch.float64), torch.tensor([1])
    uniform = torch.full((6,), 0.2, dtype=torch.float64).log()
    found, _ = log_likelihoods(make_decoder("distmult"), nothing, nothing[:1], i, i, uniform, torch.tensor([2, 3, 4]))
    assert float(found) == pytest.approx(math.log(0.2 / (0.2 + 1)), abs=1e-15)
