"""Calibration figures, worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lrdgraph.errors import DataError
from lrdgraph.evaluation.reliability import Reliability, reliability


def test_by_hand():
    found = reliability(np.array([0.1, 0.15, 0.8, 1.0]), np.array([0, 1, 1, 1]), bins=2)
    assert found.stated == (pytest.approx(0.125), pytest.approx(0.9))
    assert found.found == (0.5, 1.0)
    assert found.count == (2, 2)
    assert found.ece == pytest.approx((2 * 0.375 + 2 * 0.1) / 4)
    assert found.brier == pytest.approx((0.01 + 0.85**2 + 0.04 + 0) / 4)
    assert found.base == pytest.approx(0.75 * 0.25)


def test_what_says_the_truth_has_no_error_and_what_lies_has_all_of_it():
    outcome = np.array([0, 1, 1, 0])
    assert reliability(outcome, outcome).ece == 0
    assert reliability(1 - outcome, outcome).ece == 1
    fair = reliability(np.full(4, 0.5), outcome)
    assert (fair.ece, fair.brier, fair.base) == (0, 0.25, 0.25)


def test_there_and_back():
    found = reliability(np.random.default_rng(0).random(50), np.arange(50) % 2)
    assert Reliability.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("wrong", [[], [1.2], [-0.1], [float("nan")]])
def test_refused(wrong):
    with pytest.raises(DataError, match="all of them in"):
        reliability(np.array(wrong), np.zeros(len(wrong)))
