"""Other precision, other device: about the same losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrdgraph.models.base import Recommender
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train
from tests.models import shop
from tests.models.cases import lessons
from tests.models.cases import trained as every_trained

TINY = {"hidden_channels": 16, "num_layers": 1, "dropout": 0.0, "max_length": 3, "trend": True}
MODELS = {
    "sasrec": TINY | {"text": True},
    "lrdgraph": TINY | {"discovery_channels": 4, "num_latent": 2, "text_neighbours": 3, "discovery_weight": 0.0},
}


def trained(name: str, **settings: Any) -> tuple[Recommender, list[float]]:
    torch.manual_seed(0)
    model = build_model(name, shop.inputs(), MODELS[name])
    training = TrainingSettings(**{"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "device": "cpu"} | settings)
    state = train(model, split(shop.shop()), training)
    return model, [entry["loss"]["recommendation"] for entry in state.log]


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16(name: str) -> None:
    model, rough = trained(name, precision="bfloat16")
    _, exact = trained(name)
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.03)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_cuda(name: str) -> None:
    model, losses = trained(name, device="cuda")
    assert losses == pytest.approx(trained(name)[1], rel=1e-3)
    assert all(tensor.is_cuda for tensor in (*model.parameters(), *model.buffers()))


@every_trained
@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
def test_a_step_in_another_precision(name: str, values: dict[str, Any], precision: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, shop.inputs(), values).train()
    model = model.double() if precision == "float64" else model
    model.start_epoch(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        total = model.loss(lessons())["total"]
    total.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
