"""The flagship's step that touches a few items: what it gives is what the whole graph gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.models.flagship import Flagship
from lrdgraph.models.registry import build_model
from lrdgraph.training.checkpoint import load_tensors
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train, validate
from tests.models import shop
from tests.models.cases import CASES, lessons, requests
from tests.models.test_contract import walks

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
        if part.discovery is not None:
            torch.testing.assert_close(part.enriched().mixture, whole.enriched().mixture, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.item_vectors(), whole.item_vectors(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(part.score(requests()), whole.score(requests()), rtol=1e-5, atol=1e-5)


def test_a_small_fanout_is_another_sample_at_each_step_and_follows_from_the_seed() -> None:
    model = flagship(fanout=1)
    first, again = (learnt(model, lessons())[0] for _ in range(2))
    assert first == again
    torch.manual_seed(6)
    assert float(model.loss(lessons())["total"].detach()) != first["total"]


@kinds
def test_candidates_are_scored_as_among_all_items(values: dict[str, Any]) -> None:
    model = flagship(fanout=2, **values).eval()
    shared = torch.tensor([9, 2, 2, 24, 1])
    own = torch.randint(1, 25, (12, 7), generator=torch.Generator().manual_seed(0))
    own[:, 3] = own[:, 0]
    with torch.no_grad():
        every = model.score(requests())
        torch.testing.assert_close(model.score(requests(), shared), every[:, shared])
        torch.testing.assert_close(model.score(requests(), own), every.gather(1, own))


def test_few_candidates_never_ask_for_all_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    model = flagship(trend=True).eval()
    with torch.no_grad():
        model.score(requests(), torch.tensor([3]))  # from now on vectors and posteriors are kept
    widths = []
    product = torch.Tensor.__matmul__
    monkeypatch.setattr(model.trend, "forward", lambda moment: pytest.fail("the trend of all items was read"))
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: widths.append(b.shape[-1]) or product(a, b))
    with torch.no_grad():
        model.score(requests(), torch.tensor([3, 4]))
    assert widths
    assert max(widths) < 25


def test_a_step_reads_and_moves_the_rows_it_touches_alone() -> None:
    """Two people of a catalogue; whoever is neither near them nor drawn keeps vector and bias, and has no gradient."""
    model = flagship(fanout=2, num_negatives=2, sparse_gradients=True, discovery_pairs=1)
    batch = lessons().rows(slice(0, 2))
    torch.manual_seed(0)
    model.loss(batch)["total"].backward()
    for table in (model.items.free.weight, model.bias):
        gradient = table.grad
        assert gradient.is_sparse
        rows = gradient.coalesce().indices()[0].tolist()
        assert 0 not in rows
        assert len(rows) == len(set(rows))
    assert len(model.bias.grad.coalesce().values()) <= 6


@pytest.mark.parametrize("name", ["sasrec", "lrdgraph"])
def test_a_planted_succession_is_learned_as_with_all_items(name: str) -> None:
    found = {}
    for sampled in (False, True):
        parts, inputs = walks(shuffled=False)
        torch.manual_seed(0)
        values = CASES[name]["plain"] | {"dropout": 0.1}
        if sampled:
            values |= SHARED | {"num_negatives": 4, "sparse_gradients": True}
            values |= {"fanout": 3} if name == "lrdgraph" else {}
        model = build_model(name, inputs, values)
        settings = TrainingSettings(epochs=12, batch_size=12, learning_rate=0.02, device="cpu", metric="full/HR@1")
        evaluation = EvaluationSettings(ks=(1,))
        train(model, parts, settings, evaluation)
        found[sampled] = validate(model, parts, "test", evaluation).metrics["full/HR@1"]
    assert found[True] >= found[False] - 0.1
    assert found[True] >= 0.8


def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path: Path) -> None:
    weights = []
    for stops in ((4,), (2, 4)):
        folder = tmp_path / str(len(stops))
        for epochs in stops:
            parts, inputs = walks(shuffled=False)
            torch.manual_seed(0)
            values = CASES["lrdgraph"]["plain"] | SHARED | {"fanout": 2, "sparse_gradients": True}
            model = build_model("lrdgraph", inputs, values)
            train(model, parts, TrainingSettings(epochs=epochs, batch_size=12, device="cpu", clip=1.0), folder=folder)
        weights.append(load_tensors(folder / "last" / "model.safetensors"))
        weights.append(load_tensors(folder / "last" / "optimizer.safetensors"))
    for one, other in zip(weights[:2], weights[2:], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_texts_in_half_precision_stay_so_and_say_the_same() -> None:
    inputs = shop.inputs()
    scores = []
    for kind in (torch.float32, torch.float16):
        torch.manual_seed(0)
        values = shop.TINY | SHARED | {"fanout": -1}
        model = build_model("lrdgraph", replace(inputs, text=inputs.text.to(kind)), values).eval()
        assert model.items.text.dtype == model.discovery.text.dtype == kind
        with torch.no_grad():
            scores.append(model.score(requests()))
        model.train().loss(lessons())["total"].backward()
    torch.testing.assert_close(*scores, rtol=1e-2, atol=1e-2)


def test_a_fanout_needs_shared_negatives() -> None:
    with pytest.raises(ConfigError, match="set loss to 'shared-cross-entropy'"):
        flagship(fanout=3, loss="cross-entropy")


@pytest.mark.parametrize("values", [{}, {"knowledge_weight": 0.5}, {"discovery_weight": 0.0}], ids=str)
def test_a_step_on_the_whole_graph_makes_the_vectors_of_items_once(values: dict[str, Any]) -> None:
    model, calls = flagship(**values), []
    model.items.register_forward_hook(lambda *_: calls.append(1))
    model.loss(lessons())
    assert len(calls) == 1
