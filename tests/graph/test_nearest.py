"""Approximate nearest texts against the exact ones, on vectors that lie in clusters as language vectors do."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import MissingExtraError
from lrdgraph.graph import candidates
from lrdgraph.graph.candidates import nearest_text_pairs
from lrdgraph.graph.nearest import nearest_approximate, nearest_exact

K = 20
pytest.importorskip("faiss")


def clustered(items: int = 6000, width: int = 48, seed: int = 0) -> Tensor:
    """Departments, in them lines of products, in these items: three levels of Gaussian clusters, of length 1."""
    random = torch.Generator().manual_seed(seed)
    level = torch.randn(30, width, generator=random)
    for number, spread in ((items // 12, 0.8), (items, 0.5)):
        parent = torch.randint(len(level), (number,), generator=random)
        level = level[parent] + spread * torch.randn(number, width, generator=random)
    return torch.nn.functional.normalize(level, dim=1)


def recall(found: Tensor, exact: Tensor) -> float:
    hits = (found[:, :, None] == exact[:, None, :]).any(2)
    return float(hits.float().mean())


def test_almost_all_of_the_nearest_are_found() -> None:
    unit = clustered()
    exact, found = nearest_exact(unit, K), nearest_approximate(unit, K)
    assert recall(found, exact) >= 0.95
    assert recall(nearest_approximate(unit, K, probes=1), exact) < 0.9  # a search that looks at less finds less
    assert bool((found != torch.arange(len(unit))[:, None]).all())
    assert all(len(set(row)) == K for row in found[:200].tolist())


def test_all_clusters_give_the_exact_answer() -> None:
    unit = clustered(300)
    found = nearest_approximate(unit, K, probes=1000)
    assert torch.equal(found.sort(1).values, nearest_exact(unit, K).sort(1).values)


def test_the_same_vectors_give_the_same_answer() -> None:
    unit = clustered(3000)
    state = torch.get_rng_state()
    assert torch.equal(nearest_approximate(unit, K), nearest_approximate(unit, K))
    assert torch.equal(torch.get_rng_state(), state)


def test_copies_of_an_item_do_not_make_it_its_own_neighbour() -> None:
    """Forty equal vectors: a search for the nearest of one may return others first, and itself not at all."""
    unit = clustered(1000)
    unit[:40] = unit[0]
    found = nearest_approximate(unit, K)
    assert bool((found[:40] < 40).all())
    assert bool((found[:40] != torch.arange(40)[:, None]).all())
    assert bool((found >= 0).all())


def test_vectors_far_from_all_others_have_fewer() -> None:
    """Pairs of vectors, each at right angles to the rest: one cluster holds one other, and the rest is padding."""
    unit = torch.eye(64).repeat_interleave(2, dim=0)
    found = nearest_approximate(unit, 5, probes=1)
    pairs = nearest_text_pairs(torch.cat([torch.zeros(1, 64), unit]), 5, exact_up_to=0)
    assert found.min() >= -1
    assert pairs.min() >= 1
    assert bool((pairs[0] != pairs[1]).all())


def test_pairs_of_a_large_catalogue_are_approximate_and_those_of_a_small_one_are_not() -> None:
    vectors = torch.cat([torch.zeros(2, 48), 3 * clustered(2000)])  # item 1 has no text
    exact, found = (nearest_text_pairs(vectors, K, exact_up_to=limit) for limit in (2000, 1999))
    assert torch.equal(exact, nearest_text_pairs(vectors, K))
    keys = [set(map(tuple, pairs.T.tolist())) for pairs in (exact, found)]
    assert keys[0] != keys[1]
    assert len(keys[0] & keys[1]) >= 0.95 * len(keys[0])
    assert found.min() == 2
    assert found.size(1) == 2000 * K


def test_without_faiss_all_are_compared_and_a_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent() -> None:
        raise MissingExtraError("It needs faiss.")

    monkeypatch.setattr(candidates, "need_faiss", absent)
    vectors = torch.cat([torch.zeros(1, 48), clustered(500)])
    with caplog.at_level(logging.WARNING):
        found = nearest_text_pairs(vectors, K, exact_up_to=100)
    assert "500 items are found by comparing all with all, slowly. It needs faiss." in caplog.text
    assert torch.equal(found, nearest_text_pairs(vectors, K))
