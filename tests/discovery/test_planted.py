"""Discovery recovers relations that were planted, from texts alone, and nothing when texts and items are parted."""

from __future__ import annotations

from statistics import mean

import pytest
import torch

from tests.discovery.planted import agreement, find, language_vectors, plant

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def agreements() -> dict[str, list[float]]:
    """Adjusted Rand index for each seed: held-out pairs, pairs of unseen items, held-out pairs with texts permuted."""
    found: dict[str, list[float]] = {"held out": [], "cold": [], "permuted": []}
    for seed in SEEDS:
        planted = plant(seed=seed)
        text = language_vectors(planted.texts)
        true = find(planted, text, seed)
        found["held out"].append(agreement(planted, true.dvae, true.held_out))
        found["cold"].append(agreement(planted, true.dvae, true.cold))
        order = 1 + torch.randperm(len(text) - 1)
        control = find(planted, torch.cat([text[:1], text[order]]), seed)
        found["permuted"].append(agreement(planted, control.dvae, control.held_out))
    return found


def test_planted_relations_are_recovered_on_held_out_pairs(agreements: dict[str, list[float]]) -> None:
    assert mean(agreements["held out"]) >= 0.9


def test_they_are_recovered_for_items_that_training_never_saw(agreements: dict[str, list[float]]) -> None:
    assert mean(agreements["cold"]) >= 0.9


def test_permuted_texts_tell_nothing(agreements: dict[str, list[float]]) -> None:
    assert mean(agreements["permuted"]) <= 0.1
