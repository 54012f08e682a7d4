"""Discovery recovers relations that were planted, from texts alone, and nothing when texts and items are parted.

Each figure is the mean of three shops. What counts of a shop is the best of three starts by the training loss, which
needs no label; single starts end in a poor optimum now and then, see :func:`tests.discovery.planted.find`.
"""

from __future__ import annotations

from statistics import mean

import numpy as np
import pytest
import torch

from lrdgraph.discovery import usage, warnings
from tests.discovery.planted import Found, Planted, agreement, find, language_vectors, plant

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def shops() -> list[tuple[Planted, Found]]:
    """A planted shop and what was found in it, for each seed."""
    planted = [plant(seed=seed) for seed in SEEDS]
    return [(shop, find(shop, language_vectors(shop.texts), seed)) for seed, shop in zip(SEEDS, planted, strict=True)]


def test_every_transition_has_the_one_relation_that_its_texts_tell() -> None:
    planted = plant()
    item, user = planted.sequences.item, planted.sequences.user
    i, j = item[:-1][user[:-1] == user[1:]], item[1:][user[:-1] == user[1:]]
    shares = np.bincount(planted.relation[i, j] + 1, minlength=4) / len(i)
    assert shares[0] == 0
    assert shares[1:].min() > 0.25
    for a, b in zip(i[:200], j[:200], strict=True):
        first, second = (planted.texts[n - 1].split() for n in (a, b))
        assert (planted.relation[a, b] == 1) == (first[0] == second[0])
        assert (planted.relation[a, b] == 2) == (first[-2] == second[-2])


def test_nothing_held_out_is_trained_on(shops: list[tuple[Planted, Found]]) -> None:
    for _, found in shops:
        trained = set(map(tuple, found.train.T.tolist()))
        assert not trained & set(map(tuple, found.held_out.T.tolist()))
        assert not set(found.train.flatten().tolist()) & set(found.cold.flatten().tolist())
        assert min(found.held_out.shape[1], found.cold.shape[1]) > 200


def test_planted_relations_are_recovered_on_held_out_pairs(shops: list[tuple[Planted, Found]]) -> None:
    assert mean(agreement(planted, found.dvae, found.held_out) for planted, found in shops) >= 0.9


def test_they_are_recovered_for_items_that_training_never_saw(shops: list[tuple[Planted, Found]]) -> None:
    assert mean(agreement(planted, found.dvae, found.cold) for planted, found in shops) >= 0.9


def test_permuted_texts_tell_nothing(shops: list[tuple[Planted, Found]]) -> None:
    agreements = []
    for seed, (planted, _) in zip(SEEDS, shops, strict=True):
        text = language_vectors(planted.texts)
        order = 1 + torch.randperm(len(text) - 1)
        control = find(planted, torch.cat([text[:1], text[order]]), seed, starts=1)
        agreements.append(agreement(planted, control.dvae, control.held_out))
    assert mean(agreements) <= 0.1


def test_random_pairs_are_none_more_than_planted_ones(shops: list[tuple[Planted, Found]]) -> None:
    for planted, found in shops:
        i, j = (torch.from_numpy(planted.relation[1:, 1:]) < 0).nonzero()[::97].T + 1
        with torch.no_grad():
            random, true = (found.dvae.state_posterior(*pairs)[:, 0].mean() for pairs in ((i, j), found.held_out))
        assert float(random) > float(true) + 0.2


def test_what_found_something_is_not_warned_of(shops: list[tuple[Planted, Found]]) -> None:
    for _, found in shops:
        with torch.no_grad():
            measured = usage(found.dvae.state_posterior(*found.held_out))
        assert warnings(measured) == []
        assert measured.information > 0.5
