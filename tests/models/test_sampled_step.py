"""The flagship's step that touches a few items: what it gives is what the whole graph gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.flagship import Flagship
from lrdgraph.models.registry import build_model
from tests.models import shop
from tests.models.cases import lessons, requests

SHARED = {"loss": "shared-cross-entropy", "num_negatives": 6}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"graph_layers": 2},
    "three layers, trend": {"graph_layers": 3, "trend": True},
    "no graph": {"graph_layers": 0},
    "no evidence": {"evidence": False},
    "no latent": {"num_latent": 0},
    "fixed": {"latent": "fixed"},
    "knowledge": {"knowledge_weight": 0.5},
    "relation drawn": {"estimator": "gumbel"},
    "co-occurrence": {"cooccurrence_neighbours": 4},
    "texts alone": {"use_id": False},
    "sparse": {"sparse_gradients": True, "knowledge_weight": 0.5},
}
kinds = pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)


def flagship(**values: Any) -> Flagship:
    torch.manual_seed(0)
    model = build_model("lrdgraph", shop.inputs(), shop.TINY | SHARED | values)
    assert isinstance(model, Flagship)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            torch.manual_seed(len(name))
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def learnt(model: Flagship, batch: Batch) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Loss terms and gradients of one step without dropout, from one seed."""
    torch.manual_seed(5)
    terms = model.loss(batch)
    terms["total"].backward()
    gradients = {n: p.grad.to_dense() for n, p in model.named_parameters() if p.grad is not None}
    return {name: float(value.detach()) for name, value in terms.items()}, gradients


@kinds
@pytest.mark.parametrize("fanout", [-1, 200], ids=["all edges", "more than there are"])
def test_with_all_edges_losses_and_gradients_are_those_of_the_whole_graph(values: dict[str, Any], fanout: int) -> None:
    whole, part = flagship(**values), flagship(fanout=fanout, **values)
    if fanout > 0:  # the seed of the drawing is drawn after the candidates
        values_of = [learnt(model, lessons())[0]["recommendation"] for model in (whole, part)]
        assert values_of[1] == pytest.approx(values_of[0], rel=1e-5)
        return
    (terms, gradients), (sampled, found) = learnt(whole, lessons()), learnt(part, lessons())
    assert sampled == pytest.approx(terms, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found.get(name, torch.zeros_like(gradient)), gradient, rtol=1e-4, atol=1e-6)


@kinds
def test_scores_and_vectors_are_those_of_the_whole_graph(values: dict[str, Any]) -> None:
    whole, part = flagship(**values).eval(), flagship(fanout=2, **values).eval()
    with torch.no_grad():
        torch.testing.assert_close(part.mixture(), whole.mixture(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.item_vectors(), whole.item_vectors(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.score(requests()), whole.score(requests()), rtol=1e-5, atol=1e-5)


def test_a_small_fanout_is_another_sample_at_each_step_and_follows_from_the_seed() -> None:
    model = flagship(fanout=1)
    first, again = (learnt(model, lessons())[0] for _ in range(2))
    assert first == again
    torch.manual_seed(6)
    assert float(model.loss(lessons())["total"]) != first["total"]


def test_a_fanout_needs_shared_negatives() -> None:
    with pytest.raises(ConfigError, match="set loss to 'shared-cross-entropy'"):
        flagship(fanout=3, loss="cross-entropy")
