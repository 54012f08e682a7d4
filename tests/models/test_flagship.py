"""What is the flagship's own: latent edges on the tape, the joint loss, and evidence in the scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.batch import Batch, target_batch, training_batch, training_windows
from lrdgraph.errors import ConfigError
from lrdgraph.graph.build import build_graph
from lrdgraph.models.flagship import Flagship
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from tests.models import shop

THROUGH = {"the graph alone": {"evidence": False}, "evidence alone": {"graph_layers": 0}, "both": {}}
through = pytest.mark.parametrize("values", THROUGH.values(), ids=THROUGH)


def flagship(**values: Any) -> Flagship:
    torch.manual_seed(0)
    model = build_model("lrdgraph", shop.inputs(), shop.TINY | {"discovery_weight": 0.0} | values)
    assert isinstance(model, Flagship)
    return model


def lessons() -> Batch:
    sequences = split(shop.shop()).training()
    return training_batch(sequences, *training_windows(sequences, 5), 5)


def requests() -> Batch:
    targets = split(shop.shop()).targets("test")
    return target_batch(targets, np.arange(len(targets)), 5)


def gradients(model: Flagship) -> dict[str, Tensor | None]:
    """Of the recommendation loss, by parameter of the discovery encoder."""
    model.loss(lessons())["total"].backward()
    assert model.discovery is not None
    return {name: p.grad for name, p in model.discovery.encoder.named_parameters()}


@through
@pytest.mark.parametrize("encoder", ["interaction", "additive"])
def test_recommendation_teaches_discovery_through_the_latent_edges(values: dict[str, Any], encoder: str) -> None:
    found = gradients(flagship(encoder=encoder, discovery_prior="uniform", **values))
    assert len(found) >= 4
    for name, gradient in found.items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert gradient.abs().max() > 1e-9, name


@through
def test_without_the_latent_edges_it_teaches_exactly_nothing(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = Flagship.mixture
    monkeypatch.setattr(Flagship, "mixture", lambda model: mixture(model).detach())
    assert all(gradient is None or not gradient.any() for gradient in gradients(flagship(**values)).values())


def test_the_gradient_is_that_of_the_loss() -> None:
    model = flagship(dropout=0.0).double()
    weight = model.discovery.encoder.both
    gradient = gradients(model)["both"].clone()
    for place in [(0, 0), (1, 3), (2, 7)]:
        losses = []
        for shift in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += shift
                losses.append(model.loss(lessons())["recommendation"].item())
                weight[place] -= shift
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(gradient[place].item(), rel=1e-4, abs=1e-10)


@pytest.mark.parametrize("how", ["discovered", "fixed"])
def test_latent_weights(how: str) -> None:
    model = flagship(latent=how, num_latent=3)
    mixture = model.mixture()
    assert mixture.shape == (model.pairs.size(1), 3)
    assert (mixture >= 0).all()
    assert (mixture.sum(1) <= 1 + 1e-6).all()
    assert mixture.requires_grad == (how == "discovered")
    if how == "fixed":
        assert (mixture == 1 / 3).all()
        with pytest.raises(ConfigError, match="no discovered relations"):
            model.enriched()
    else:
        enriched = model.enriched()
        assert torch.equal(enriched.latent_index, model.pairs)
        torch.testing.assert_close(enriched.mixture, mixture)


def test_no_latent_relations_is_a_graph_of_predefined_edges() -> None:
    model = flagship(num_latent=0)
    assert model.pairs.shape == (2, 0)
    assert model.discovery is None
    assert model.diagnostics() == {}
    assert model.latent_relations == ()
    texts_unread = replace(shop.inputs(), text=None)
    build_model("lrdgraph", texts_unread, shop.TINY | {"num_latent": 0, "text": False})


def gated(**values: Any) -> Flagship:
    """A flagship whose gate says something, which it does not at first."""
    model = flagship(evidence_gate=True, **values)
    assert model.gate is not None
    with torch.no_grad():
        for p in model.gate.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


@pytest.mark.parametrize(
    ("latent", "build"),
    [("discovered", flagship), ("fixed", flagship), ("discovered", gated)],
    ids=["discovered", "fixed", "gated"],
)
def test_scores_are_dot_product_bias_and_a_loop_over_edges(latent: str, build: Callable[..., Flagship]) -> None:
    model = build(latent=latent, time="request").eval()
    with torch.no_grad():
        for p in (*model.kernel.parameters(), model.bias):
            p.add_(torch.randn_like(p) * 0.3)
        batch, vectors, mixture = requests(), model.item_vectors(), model.mixture()
        scores = model.score(batch)
        query = model.encode(batch, vectors)[:, -1]
        graph = model.graph
        for row in (0, 7, 40):
            expected = (query[row] @ vectors.T + model.bias).tolist()
            gate = torch.ones(()) if model.gate is None else 1 + torch.tanh(model.gate(query[row]))
            for item, time in zip(batch.history[row].tolist(), batch.history_time[row].tolist(), strict=True):
                kernel = (model.kernel(batch.moment[row, -1:] - time)[0] * gate).tolist()
                edges = zip(
                    *graph.edge_index.tolist(), graph.edge_type.tolist(), graph.edge_weight.tolist(), strict=True
                )
                for source, destination, kind, weight in edges:
                    if source == item and destination <= graph.num_items:
                        expected[destination] += kernel[kind] * weight
                for (source, destination), weights in zip(model.pairs.T.tolist(), mixture.tolist(), strict=True):
                    if source == item:
                        expected[destination] += sum(
                            kernel[model.num_predefined + k] * w for k, w in enumerate(weights)
                        )
            torch.testing.assert_close(scores[row, 1:], torch.tensor(expected[1:]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("build", [flagship, gated])
def test_training_scores_of_a_position_are_those_of_its_request(build: Callable[..., Flagship]) -> None:
    """The loss of a window's last column is the cross-entropy of what ``score`` gives for that history."""
    model = build(dropout=0.0, text_dropout=0.0, trend=True)
    sequences = split(shop.shop()).training()
    batch = training_batch(sequences, *training_windows(sequences, 5), 5)
    last = torch.zeros_like(batch.target)
    last[:, -1] = batch.target[:, -1]
    loss = model.loss(replace(batch, target=last))["recommendation"]
    scores = (model.score(batch) + model.closed)[:, 1:]
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(scores, batch.target[:, -1] - 1).detach())


def test_what_a_gated_model_says_of_some_candidates_and_why_is_its_score() -> None:
    model, batch = gated(trend=True).eval(), requests()
    candidates = torch.arange(1, model.inputs.num_items + 1).expand(len(batch), -1)
    with torch.no_grad():
        scores = model.score(batch)
        torch.testing.assert_close(model.score(batch, candidates), scores[:, 1:])
        explained = model.explain(batch, candidates)
        assert explained is not None
        query, moment = model.scoring_query(batch), model.moments(batch)[:, -1]
        plain = model.base_scores(query, moment, model.scoring_vectors(), model.bias, candidates)
        told = plain.index_put((explained.row, explained.column), explained.value, accumulate=True)
    torch.testing.assert_close(told, scores[:, 1:])
    assert not torch.allclose(plain, told)


def test_the_joint_loss_is_the_weighted_sum_of_its_terms() -> None:
    model = flagship(discovery_weight=0.25, knowledge_weight=0.5)
    terms = model.loss(lessons())
    expected = terms["recommendation"] + 0.25 * terms["discovery/total"] + 0.5 * terms["knowledge"]
    torch.testing.assert_close(terms["total"].detach(), expected)


def test_weights_of_zero_leave_their_terms_out() -> None:
    terms = flagship(discovery_weight=0.0, knowledge_weight=0.0).loss(lessons())
    assert terms.keys() == {"total", "recommendation"}


def test_the_knowledge_loss_learns_predefined_edges() -> None:
    model = flagship(knowledge_weight=1.0, dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    values = []
    for _ in range(40):
        optimizer.zero_grad()
        terms = model.loss(lessons())
        terms["total"].backward()
        optimizer.step()
        values.append(terms["knowledge"].item())
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize("fanout", [0, 3])
def test_without_edges_there_is_no_knowledge_to_learn(fanout: int) -> None:
    bare = replace(shop.inputs(), graph=build_graph(shop.shop(), relations=()))
    values = {"knowledge_weight": 0.5, "fanout": fanout, "loss": "shared-cross-entropy", "num_negatives": 7}
    terms = build_model("lrdgraph", bare, shop.TINY | values).loss(lessons())
    assert "knowledge" not in terms
    assert torch.isfinite(terms["total"])


@pytest.mark.parametrize("time", ["none", "history", "request"])
def test_what_a_model_may_know_of_times(time: str) -> None:
    model = flagship(time=time, trend=False).eval()
    batch = requests()
    other = replace(batch, history_time=batch.history_time // 3, moment=batch.moment + 400 * shop.DAY)
    later = replace(batch, moment=batch.moment + 400 * shop.DAY)
    with torch.no_grad():
        for parameter in model.parameters():  # kernels begin without any decay
            parameter.add_(torch.rand_like(parameter))
        known = model.score(batch)
        assert torch.equal(known, model.score(other)) == (time == "none")
        assert torch.equal(known, model.score(later)) == (time != "request")


def test_diagnostics_are_finite_figures() -> None:
    figures = flagship().eval().diagnostics()
    assert figures
    assert all(name.startswith("relations/") and np.isfinite(value) for name, value in figures.items())


def test_predefined_relations_begin_near_the_one_that_leaves_vectors_as_they_are() -> None:
    relations = flagship(hidden_channels=64).relations[: len(flagship().graph.relations)]
    assert (relations.mean(1) - 1).abs().max() < 0.2
    assert (relations.std(1) < 0.3).all()


def test_what_is_compiled_is_the_transformer_and_weights_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    model = flagship()
    names = model.state_dict().keys()
    model.compile_parts()
    assert compiled == ["HistoryTransformer"]
    assert model.state_dict().keys() == names


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"decoder_scale": 0.0}, "decoder_scale is 0.0; it must be above 0"),
        ({"encoder": "additive"}, "needs the interaction encoder and the ELBO; set discovery_prior to 'uniform'"),
        ({"objective": "published", "none_state": False}, "set discovery_prior to 'uniform'"),
        ({"text_neighbours": 0}, "No two items are candidates for a latent relation; give items texts"),
    ],
)
def test_settings_of_the_prior_that_do_not_fit(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        flagship(**values)


def test_recurrent_and_without_any_edge_it_is_gru4rec_with_texts_times_and_trend() -> None:
    bare = {"graph_layers": 0, "evidence": False, "num_latent": 0, "sequence": "gru", "trend": True}
    ours = flagship(**bare).eval()
    same = {"text": True, "time": "request", "trend": True}
    kept = {key: value for key, value in shop.TINY.items() if key in {"hidden_channels", "max_length", "num_layers"}}
    plain = build_model("gru4rec", shop.inputs(), kept | same).eval()
    missing, extra = plain.load_state_dict(ours.state_dict(), strict=False)
    assert (missing, set(extra)) == ([], {"relations", "attribute_vectors"})
    with torch.no_grad():
        assert torch.equal(ours.score(requests()), plain.score(requests()))


def test_unseen_items_are_for_the_published_objective_alone() -> None:
    plain = flagship()
    published = flagship(objective="published", none_state=False, discovery_prior="uniform")
    assert (plain.unseen is None, published.unseen is None) == (True, False)
    assert not any(name.startswith("unseen") for name in (*plain.state_dict(), *published.state_dict()))
