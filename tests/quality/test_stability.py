"""The same relations from every seed, and a control that has none to find."""

from __future__ import annotations

from functools import partial
from statistics import mean

import numpy as np
import pytest
import torch

from lrdgraph.discovery import history_pairs
from lrdgraph.errors import ConfigError
from lrdgraph.quality.discovered import DiscoverySettings, train_discovery
from lrdgraph.quality.stability import held_out_posterior, hold_out, measure_stability
from tests.quality.worlds import keys, planted_inputs


def test_by_hand() -> None:
    first = np.eye(2)[[0, 0, 1, 1]]
    second = np.array([[0.0, 1.0], [0.25, 0.75], [1.0, 0.0], [1.0, 0.0]])
    found = measure_stability([first, first, second])
    assert found.rand == (1, 1, 1)
    assert found.matched == pytest.approx((1, 3.75 / 4, 3.75 / 4))
    assert found.matches == ((0, 1), (1, 0))
    held = found.to_json()
    assert held["matched_mass"] == pytest.approx((1 + 2 * 3.75 / 4) / 3)
    assert held["each"]["usage"][0]["perplexity"] == pytest.approx(2)


def test_collapse_is_stable_too_which_perplexity_tells() -> None:
    collapsed = np.tile([1.0, 0.0], (5, 1))
    found = measure_stability([collapsed, collapsed])
    assert found.rand == (1,)
    assert found.used[0].perplexity == pytest.approx(1)


def test_one_seed_is_not_enough() -> None:
    with pytest.raises(ConfigError, match="at least two"):
        measure_stability([np.ones((2, 1))])


def test_held_out_pairs_are_in_no_training_in_either_direction() -> None:
    pairs = torch.randint(1, 30, (2, 500))
    pairs = pairs[:, pairs[0] != pairs[1]]
    train, held = hold_out(pairs, 30, 0.2, seed=1)
    assert not keys(train) & keys(held)
    assert keys(train) | keys(held) == keys(pairs)
    assert held.unique(dim=1).size(1) == held.size(1)
    assert len(keys(held)) == round(0.2 * len(keys(pairs)))


def test_planted_relations_are_found_again_and_shuffled_texts_tell_less() -> None:
    inputs = planted_inputs()
    settings = DiscoverySettings(
        prior="uniform",
        num_latent=3,
        hidden_channels=36,
        num_negatives=128,
        epochs=7,
        batch_size=256,
        learning_rate=0.01,
    )
    train = partial(train_discovery, settings=settings)
    train_on, asked = hold_out(history_pairs(inputs.sequences(), 1), inputs.num_items)
    own, control = (
        measure_stability(
            [held_out_posterior(inputs, train_on, asked, seed, train, control=shuffled) for seed in (1, 2)]
        )
        for shuffled in (False, True)
    )
    assert mean(own.rand) > mean(control.rand) + 0.2
    # an encoder that has learned its training pairs by heart is sure of itself on others too, only wrongly
    assert mean(u.information for u in own.used) > 1.2 * mean(u.information for u in control.used)
