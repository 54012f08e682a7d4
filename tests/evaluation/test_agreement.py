"""Agreement of soft assignments, worked by hand and beside scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from lrdgraph.evaluation.agreement import (
    adjusted_rand,
    match,
    mutual_information,
    normalised_mutual_information,
    soft_joint,
)


def test_information_by_hand():
    joint = np.array([[0.5, 0.0], [0.25, 0.25]])
    # marginals ½ ½ and ¾ ¼
    information = 0.5 * math.log(0.5 / 0.375) + 0.25 * math.log(0.25 / 0.375) + 0.25 * math.log(0.25 / 0.125)
    entropies = math.log(2), -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert mutual_information(joint) == pytest.approx(information)
    assert normalised_mutual_information(joint) == pytest.approx(2 * information / sum(entropies))


def test_of_hard_assignments_it_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 200)
    b = np.where(rng.random(200) < 0.5, a % 3, rng.integers(0, 3, 200))
    joint = soft_joint(np.eye(4)[a], np.eye(3)[b])
    assert normalised_mutual_information(joint) == pytest.approx(normalized_mutual_info_score(a, b))


@pytest.mark.parametrize(
    ("joint", "value"), [([[0.5, 0], [0, 0.5]], 1), ([[0.25, 0.25], [0.25, 0.25]], 0), ([[0.5, 0.5]], 0)]
)
def test_extremes(joint, value):
    assert normalised_mutual_information(np.array(joint)) == pytest.approx(value)


def test_states_are_matched_whatever_their_order():
    first = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    order = np.array([2, 0, 1])  # state s of the first is state order[s] of the second
    second = np.empty_like(first)
    second[:, order] = first
    found, mass = match(first, second)
    assert found.tolist() == order.tolist()
    assert mass == pytest.approx((0.9**2 + 0.1**2 + 0.2**2 + 0.8**2 + 1 + 1) / 4)
    assert adjusted_rand(first, second) == 1


def test_the_adjusted_rand_index_by_hand():
    # partitions {0 1}{2 3} and {0}{1}{2 3}: one shared pair; of 6 pairs 2 and 1 are together
    first, second = np.eye(2)[[0, 0, 1, 1]], np.eye(3)[[0, 1, 2, 2]]
    expected = 2 * 1 / 6
    assert adjusted_rand(first, second) == pytest.approx((1 - expected) / ((2 + 1) / 2 - expected))
