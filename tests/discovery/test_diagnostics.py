"""Figures by hand, and a warning where there is something to warn of."""

from __future__ import annotations

import math

import pytest
import torch

from lrdgraph.discovery.diagnostics import clearest_pairs, usage, warnings


def test_usage_by_hand() -> None:
    # means are 3/4 and 1/4; the first pair is certain, the second has one bit
    found = usage(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    spread = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found.share == (0.75, 0.25)
    assert found.largest == 0.75
    assert found.perplexity == pytest.approx(math.exp(spread))
    assert found.entropy == pytest.approx(math.log(2) / 2)
    assert found.information == pytest.approx(spread - math.log(2) / 2)
    assert found.figures() == {
        "perplexity": found.perplexity,
        "entropy": found.entropy,
        "information": found.information,
        "largest_share": 0.75,
    }


def test_every_pair_certain_and_all_states_used() -> None:
    found = usage(torch.eye(4))
    assert (found.perplexity, found.entropy) == (pytest.approx(4), 0)
    assert found.information == pytest.approx(math.log(4))
    assert warnings(found) == []


def test_collapse_is_warned_of() -> None:
    # nine in ten take state 0: perplexity e^0.325 = 1.38, and 0.325 nat say which
    found = usage(torch.eye(2)[torch.tensor([0] * 9 + [1])])
    (said,) = warnings(found)
    assert "have collapsed: perplexity 1.38, one state takes 90%" in said


def test_silence_is_warned_of() -> None:
    (said,) = warnings(usage(torch.full((5, 3), 1 / 3)))
    assert "says almost nothing: 0.000 nat" in said


def test_both_are_warned_of() -> None:
    assert len(warnings(usage(torch.tensor([[1.0, 0.0]] * 5)))) == 2


def test_clearest_pairs() -> None:
    posterior = torch.tensor([[0.1, 0.9], [0.7, 0.3], [0.4, 0.6]])
    assert clearest_pairs(posterior, 2).tolist() == [[1, 0], [2, 2]]
    assert clearest_pairs(posterior, 9).tolist() == [[1, 0], [2, 2], [0, 1]]
