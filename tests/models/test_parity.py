"""In published mode our relation-aware models compute what the public LRD code computes.

The numbers were recorded by ``benchmarks/public/record_parity.py``; the public code is not needed here.
"""

from __future__ import annotations

from pathlib import Path
from shutil import which

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.models.relation_aware import RelationAware
from lrdgraph.models.triples import Triples
from lrdgraph.nn.native import COMPILERS
from tests.models import parity

FIXTURES = Path(__file__).parent / "fixtures"
TERMS = ("recommendation", "knowledge", "discovery/total", "total")


class Recorded(nn.Module):
    """Gives what was recorded in place of a sampler's draws."""

    def __init__(self, *answers: Tensor | Triples) -> None:
        super().__init__()
        self.answers = list(answers)

    def forward(self, *_: object) -> Tensor | Triples:
        return self.answers.pop(0)


def recorded(name: str, part: str) -> dict[str, Tensor]:
    tensors = load_file(FIXTURES / f"parity-{name}.safetensors")
    return {key.removeprefix(f"{part}/"): value for key, value in tensors.items() if key.startswith(f"{part}/")}


def batch_of(feed: dict[str, Tensor]) -> Batch:
    """The recorded batch: the request comes at second 10⁸."""
    target = torch.zeros_like(feed["history_items"])
    target[:, -1] = feed["item_id"][:, 0]
    now = torch.full_like(feed["seconds"], 10**8)
    return Batch(feed["user_id"], feed["history_items"], now - feed["seconds"], now, target)


def prepared(name: str) -> tuple[RelationAware, Batch, dict[str, Tensor]]:
    feed = recorded(name, "batch")
    model = parity.ours(name, recorded(name, "weight"))
    rows = torch.zeros(20, dtype=torch.int64)
    rows[parity.ENTITIES] = torch.arange(len(parity.ENTITIES))
    model.unseen = Recorded(feed["item_id"][:, 1:], feed["neg_his_items"])  # type: ignore[assignment]
    triples = Triples(feed["head_id"], feed["tail_id"], feed["relation_id"], rows[feed["value_id"]])
    model.triples = RecordedTriples(triples)  # type: ignore[assignment]
    return model, batch_of(feed), feed


class RecordedTriples(Recorded):
    @property
    def head(self) -> Tensor:
        answer = self.answers[0]
        assert isinstance(answer, Triples)
        return answer.head


@pytest.mark.parametrize("name", parity.MODELS)
def test_scores_and_loss_terms_are_those_of_the_public_code(name: str) -> None:
    model, batch, feed = prepared(name)
    expected = recorded(name, "out")
    expected["discovery/total"] = expected.pop("discovery", torch.empty(0))
    scores = model.score(batch, feed["item_id"])
    assert float(scores.detach().std()) > 0.1
    torch.testing.assert_close(scores, expected["scores"], rtol=0, atol=1e-8)
    found = {term: value.detach() for term, value in model.loss(batch).items()}
    for term in TERMS:
        if expected[term].numel():
            assert abs(float(found[term] - expected[term])) < 1e-8, term


@pytest.mark.parametrize("name", parity.MODELS)
def test_gradients_are_those_of_the_public_code(name: str) -> None:
    model, batch, _ = prepared(name)
    model.train().loss(batch)["total"].backward()
    expected = parity.renamed(name, recorded(name, "gradient"))
    # what the public code shares between "no item" and "no value" learns as the latter, and is two rows here
    expected["items.free.weight"] = expected["items.free.weight"].index_fill(0, torch.tensor([0]), 0.0)
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert float(expected[key].abs().max()) > 1e-5, key
        torch.testing.assert_close(parameter.grad, expected[key], rtol=0, atol=1e-8, msg=key)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", parity.MODELS)
def test_single_precision_is_close(name: str, compiled: bool) -> None:
    model, batch, feed = prepared(name)
    expected = recorded(name, "out")
    model.float()
    if compiled:
        if not any(map(which, COMPILERS)):
            pytest.skip("there is no C++ compiler")
        plain = model.score(batch, feed["item_id"])
        model.compile_parts()
        assert not torch.equal(model.score(batch, feed["item_id"]), plain)  # the compiled layers did take part
    scores = model.score(batch, feed["item_id"])
    scale = float(expected["scores"].abs().max())
    torch.testing.assert_close(scores.double(), expected["scores"], rtol=1e-4, atol=1e-4 * scale)
    torch.testing.assert_close(model.loss(batch)["total"].double(), expected["total"], rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", parity.MODELS)
def test_the_comparison_notices_any_weight(name: str) -> None:
    model, batch, feed = prepared(name)
    expected = recorded(name, "out")
    for key, parameter in model.named_parameters():
        with torch.no_grad():
            held = parameter.clone()
            parameter.mul_(1.05)
        model.eval()
        other = parity_loss(model, batch, feed)
        with torch.no_grad():
            parameter.copy_(held)
        assert abs(float(other - expected["total"])) > 1e-8, f"{key} has no part in the loss"


def parity_loss(model: RelationAware, batch: Batch, feed: dict[str, Tensor]) -> Tensor:
    answers = (model.unseen.answers, model.triples.answers)  # type: ignore[union-attr]
    model.unseen.answers, model.triples.answers = list(answers[0]), list(answers[1])  # type: ignore[union-attr,assignment]
    try:
        return model.loss(batch)["total"].detach()
    finally:
        model.unseen.answers, model.triples.answers = answers  # type: ignore[union-attr,assignment]
