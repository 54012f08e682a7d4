"""SLRC+: its kernel by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lrdgraph.models.excitation import Excitations
from lrdgraph.models.registry import build_model
from lrdgraph.models.slrc import SLRC
from tests.models import shop
from tests.models.test_neighbours import histories


def made(**settings: object) -> SLRC:
    torch.manual_seed(0)
    model = build_model("slrc", shop.inputs(), {"hidden_channels": 2, "max_length": 5} | settings).eval()
    assert isinstance(model, SLRC)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def normal(x: float, mean: float, deviation: float) -> float:
    return math.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))


def test_kernel_by_hand() -> None:
    model = made()
    assert model.latest.labels == ("repeat", "needs", "needs (inverse)")
    with torch.no_grad():
        model.strength.fill_(0.5)
        model.strengths[4, 1] = 1.5
        model.kernel[:, 4, 1] = torch.tensor([0.2, 1.0, 2.0, -0.5])  # share 0.7, rate 2, mean 3, deviation 0.5
        model.kernel[:, 5, 0] = torch.tensor([0.0, -5.0, 0.0, 30.0])  # beyond what rate and deviation may be
    at = torch.tensor([4, 5])
    found = Excitations(torch.tensor([0, 0]), at, torch.tensor([1, 0]), at, at)
    delta = torch.tensor([2.5, 0.5])
    expected = [
        2.0 * (0.7 * 2 * math.exp(-5) + 0.3 * normal(2.5, 3, 0.5)),
        0.5 * (0.5 * 1e-10 + 0.5 * normal(0.5, 1, 10)),
    ]
    nothing = torch.empty(0)
    assert model.excite(found, delta, nothing, nothing).tolist() == pytest.approx(expected)


def test_scores_by_hand() -> None:
    """Pen 1 needs ink 2; the pen was had 30 and 20 days ago, the ink 10 days ago, of a unit of 20 days."""
    model = made(days=20.0)
    with torch.no_grad():
        model.strength.fill_(1.0)
        model.bias[2] = 0.25
        scores = model.score(histories([1, 1, 2]))[0]
    day = 1 / 20

    def density(days: float) -> float:
        return 0.5 * math.exp(-days * day) + 0.5 * normal(days * day, 1, 1)

    assert scores[1].item() == pytest.approx(density(2) + density(1))  # itself, and the ink that is needed by it
    assert scores[2].item() == pytest.approx(0.25 + density(1) + density(2))
    assert scores[3].item() == pytest.approx(density(1))  # the pad that the ink needs
    assert not scores[4:].any()
