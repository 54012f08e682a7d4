from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from lrdgraph.batch import Batch
from lrdgraph.models.kda import KDA
from lrdgraph.models.latent_relations import LatentRelations, LatentSettings
from lrdgraph.models.registry import build_model
from lrdgraph.models.relation_aware import RelationAware
from lrdgraph.nn.relational_attention import RelationMixer
from tests.models import shop
from tests.models.cases import lessons, requests

TINY = {"hidden_channels": 16, "num_heads": 2, "num_latent": 2, "discovery_channels": 8, "max_length": 5}


def kda(**values: Any) -> KDA:
    torch.manual_seed(0)
    made = build_model("kda", shop.inputs(), TINY | values)
    assert isinstance(made, KDA)
    return made.eval()


@pytest.mark.parametrize("encoder", ["interaction", "additive"])
@pytest.mark.parametrize("none_state", [True, False])
def test_posterior_of_all_candidates_is_that_of_each_pair(encoder: str, none_state: bool) -> None:
    settings = LatentSettings(num_latent=2, encoder=encoder, none_state=none_state, discovery_channels=8)
    latent = LatentRelations(shop.inputs(), settings, 3, "test")
    history, candidates = torch.tensor([[0, 3, 7], [1, 2, 3]]), torch.tensor([[4, 4, 9, 24], [1, 2, 3, 5]])
    found = latent.posterior(history, candidates)
    assert found.shape == (2, 4, 3, 2)
    for b in range(2):
        for c in range(4):
            torch.testing.assert_close(
                found[b, c], latent.dvae.posterior(history[b], candidates[b, c].expand(3)), rtol=1e-4, atol=1e-5
            )


def test_only_a_model_that_reads_the_posterior_knows_it() -> None:
    batch, candidates = requests(), torch.arange(1, 25)
    for read in (True, False):
        model = kda(read_posterior=read, deviation=0.5)
        with torch.no_grad():
            before = model.score(batch, candidates)
            for parameter in model.latent.dvae.parameters():  # type: ignore[union-attr]
                parameter.add_(torch.randn_like(parameter))
            after = model.score(batch, candidates)
        assert torch.equal(before, after) is not read


def test_what_is_compiled_is_the_mixer_and_weights_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    monkeypatch.setattr(RelationMixer, "compile", lambda self: compiled.append(self))
    model = kda()
    names = model.state_dict().keys()
    model.compile_parts()
    assert compiled == [model.mixer]
    assert model.state_dict().keys() == names


@pytest.mark.parametrize("name", ["rcf", "kda"])
@pytest.mark.parametrize("lengths", [[1, 3, 1, 2], [1, 1, 1, 1], [2, 3, 2, 5], [0, 1, 4, 1]])
def test_one_event_is_mixed_once_and_gives_the_same_numbers(name: str, lengths: list[int]) -> None:
    torch.manual_seed(0)
    settings = TINY | {"num_layers": 2, "deviation": 0.5, "read_posterior": False, "objective": "published"}
    model = build_model(name, shop.inputs(), settings | {"encoder": "additive"}).double()
    assert isinstance(model, RelationAware)
    if isinstance(model, KDA):  # decays on both sides of 0 and 1, and most between
        for part in (model.decay.cosine, model.decay.sine):
            torch.nn.init.normal_(part, std=4.0)
    history = torch.randint(1, 25, (4, 5))
    for row, length in enumerate(lengths):
        history[row, : 5 - length] = 0
    batch = Batch(torch.arange(1, 5), history, torch.randint(10**7, (4, 5)), torch.full((4, 5), 10**7))
    candidates, table = torch.randint(1, 25, (4, 3)), model.items()
    vectors, weight = table[candidates], torch.randn(4, 3, 16, dtype=torch.double)

    def found(pooled: torch.Tensor) -> list[torch.Tensor]:
        loss, parameters = (pooled * weight).sum(), [*model.parameters()]
        return [pooled, *torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)]

    kept = model.event_weight(batch)
    assert kept is None or float(kept.detach().std()) > 0.1
    once = found(model._pooled(batch, candidates, vectors, table, kept))
    for_each = found(model.mixer(model._summaries(batch, candidates, vectors, table, kept)))
    assert any(bool(gradient.any()) for gradient in once[1:])
    for got, expected in zip(once, for_each, strict=True):
        torch.testing.assert_close(got, expected)


def test_the_recommendation_alone_teaches_a_posterior_that_is_read() -> None:
    for read in (True, False):
        model = kda(read_posterior=read, discovery_weight=0.0, deviation=0.5).train()
        model.loss(lessons_of_last())["total"].backward()
        gradients = [p.grad for p in model.latent.dvae.encoder.parameters()]  # type: ignore[union-attr]
        assert any(g is not None and bool(g.any()) for g in gradients) is read


def test_a_pair_that_is_no_relation_sends_nothing() -> None:
    model = kda(deviation=0.5)
    batch = requests()
    with torch.no_grad():
        model.latent.dvae.encoder.bias[0] = 50.0  # type: ignore[union-attr,operator]
        none = model._scores(batch, torch.arange(1, 25).expand(12, -1), model.items(), model.event_weight(batch))
        weight = model.event_weight(batch)
        weight[..., model.num_rows :] = 0
        model.settings = type(model.settings)(**{**vars(model.settings), "read_posterior": False})
        cut = model._scores(batch, torch.arange(1, 25).expand(12, -1), model.items(), weight)
    torch.testing.assert_close(none, cut)


def lessons_of_last():  # type: ignore[no-untyped-def]
    batch = lessons()
    assert batch.target is not None
    batch.target[:, :-1] = 0
    return batch


def test_the_use_of_relations_is_measured_beyond_people_with_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrdgraph.models.relation_aware.PAIRS_LOOKED_AT", 4)
    inputs, alone = shop.inputs(), torch.arange(1, 9)
    user, item, time = inputs.events
    single = torch.stack([alone, alone, torch.zeros_like(alone)])
    later = torch.cat([single, torch.stack([user + 8, item, time])], dim=1)
    model = build_model("kda", replace(inputs, events=later, num_users=inputs.num_users + 8), TINY)
    found = model.relation_usage()
    assert found is not None
    assert all(math.isfinite(value) for value in model.diagnostics().values())
    before = kda()  # without the eight, the same four pairs come first
    before.latent.load_state_dict(model.latent.state_dict())  # type: ignore[union-attr]
    assert before.relation_usage() == found


def test_without_two_events_of_one_person_there_is_nothing_to_measure() -> None:
    inputs = shop.inputs()
    single = torch.stack([torch.arange(1, 9), torch.arange(1, 9), torch.arange(8)])
    model = build_model("kda", replace(inputs, events=single), TINY)
    assert (model.relation_usage(), model.diagnostics(), model.warnings()) == (None, {}, [])
