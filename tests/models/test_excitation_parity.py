"""SLRC+ and Chorus score as those of ReChorus do, and pass the same gradients on.

The numbers were recorded by ``benchmarks/public/record_excitation.py``; the public code is not needed here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lrdgraph.batch import Batch
from lrdgraph.models.excitation import ExcitedRecommender
from lrdgraph.models.registry import build_model
from tests.models import parity
from tests.models.test_excitation import MODELS

UNIT = 2**20 / 86_400
SETTINGS = {"hidden_channels": parity.WIDTH, "max_length": 6, "days": UNIT}


def recorded(name: str, part: str) -> dict[str, Tensor]:
    tensors = load_file(Path(__file__).parent / "fixtures" / f"parity-{name}.safetensors")
    return {key.removeprefix(f"{part}/"): value for key, value in tensors.items() if key.startswith(f"{part}/")}


def renamed(name: str, theirs: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Weights of the public model under our names; ``scale`` is what ours holds of the first stage's vectors."""
    found = {"people.weight": theirs["u_embeddings.weight"], "bias": theirs["item_bias.weight"][:, 0]}
    if name == "slrc":
        found["items.weight"] = theirs["i_embeddings.weight"]
        found["strength"], found["strengths"] = theirs["global_alpha"], theirs["alphas.weight"]
        found["kernel"] = torch.stack([theirs[f"{part}.weight"] for part in ("pis", "betas", "mus", "sigmas")])
        return found
    found["items.weight"] = theirs["i_embeddings.weight"] * scale
    found["relations"] = theirs["r_embeddings.weight"][1:] * scale
    found["rate"] = theirs["betas.weight"][:, 1:]
    # of substitutes alone, the second relation
    found["late"] = torch.stack([theirs[f"{part}.weight"][:, 2:] for part in ("mus", "sigmas")])
    return found


def prepared(name: str) -> tuple[ExcitedRecommender, Batch, Tensor]:
    model = build_model(name, parity.inputs(np.zeros((parity.ITEMS, parity.TEXT))), SETTINGS).double().eval()
    assert isinstance(model, ExcitedRecommender)
    model.load_state_dict(renamed(name, recorded(name, "weight"), scale=10.0))
    feed = recorded(name, "batch")
    moment = torch.zeros_like(feed["history"])
    moment[:, -1] = feed["moment"]
    return model, Batch(feed["user"], feed["history"], feed["history_time"], moment), feed["item"]


@pytest.mark.parametrize("name", MODELS)
def test_scores_and_gradients_are_those_of_rechorus(name: str) -> None:
    model, batch, candidates = prepared(name)
    expected = recorded(name, "out")
    scores = model.score(batch, candidates)
    assert float(scores.detach().std()) > 0.1
    torch.testing.assert_close(scores, expected["scores"], rtol=0, atol=1e-8)
    (scores * expected["direction"]).sum().backward()
    weights = renamed(name, recorded(name, "gradient"), scale=0.1)
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, weights[key].view_as(parameter), rtol=0, atol=1e-8, msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_another_unit_of_time_gives_other_scores(name: str) -> None:
    model, batch, candidates = prepared(name)
    later = Batch(batch.user, batch.history, batch.history_time, batch.moment + (batch.moment > 0) * 2**18)
    with torch.no_grad():
        assert (model.score(later, candidates) - recorded(name, "out")["scores"]).abs().max() > 1e-3
