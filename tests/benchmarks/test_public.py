"""What is recorded of the public code, on stand-ins for it: the code itself is not among our dependencies."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.public.accuracy import kept, means, posterior, ranked


class Theirs(nn.Module):
    """As much of the public model as is read: two layers of its encoder, and a loss with its parts."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.item_embeddings = nn.Embedding(50, 2)
        self.project_layer_1 = nn.Identity()
        self.project_layer_2 = nn.Linear(4, len(weight), bias=False)
        with torch.no_grad():
            self.project_layer_2.weight.copy_(weight)

    def loss(self, out: dict[str, Any]) -> tuple[Tensor, list[Tensor]]:
        return out["lrd_loss"] * 10, [out["lrd_loss"], out["lrd_loss"], torch.tensor(0.5)]


def test_terms_are_kept_for_each_step_and_forgotten_with_the_epoch() -> None:
    model = Theirs(torch.zeros(3, 4))
    rows = kept(model)
    for value in (1.0, 3.0):
        total, parts = model.loss({"lrd_loss": torch.tensor(value)})
        assert float(total) == 10 * value
        assert len(parts) == 3
    assert means(rows) == {"total": 20.0, "discovery": 2.0, "knowledge": 0.5}
    assert rows == []


@pytest.mark.parametrize(("weight", "states"), [(torch.zeros(3, 4), 3.0), (torch.eye(4)[:3] * 1e4, None)])
def test_the_use_of_states_is_measured_on_random_pairs(weight: Tensor, states: float | None) -> None:
    torch.manual_seed(0)
    found = posterior(Theirs(weight))
    assert sum(found["mean"]) == pytest.approx(1, abs=1e-5)
    if states is not None:  # every pair is spread over all states and no pair is told from another
        assert found["perplexity"] == pytest.approx(states)
        assert found["information"] == pytest.approx(0, abs=1e-5)
    else:
        assert found["information"] == pytest.approx(math.log(found["perplexity"]), rel=0.01)


def test_ranking_takes_no_gradient() -> None:
    class Runner:
        def evaluate(self, model: nn.Module, data: Any, cut: list[int], metrics: list[str]) -> dict[str, Tensor]:
            assert not torch.is_grad_enabled()
            return {f"{metric}@{k}": torch.tensor(0.5) for metric in metrics for k in cut}

    assert ranked(Runner(), nn.Identity(), None) == {"NDCG@5": 0.5, "NDCG@10": 0.5, "HR@5": 0.5, "HR@10": 0.5}
