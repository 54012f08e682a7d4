from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lrdgraph.batch import Batch, training_batch, training_windows
from lrdgraph.graph.cooccurrence import cooccurrence_pairs
from lrdgraph.models.evidence import add_evidence
from lrdgraph.models.flagship import Flagship
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.latent_edges import latent_edges
from lrdgraph.models.registry import build_model
from lrdgraph.splits import Sequences
from tests.models import shop

TINY = shop.TINY | {"text_neighbours": 1, "cooccurrence_neighbours": 3}


def histories(seed: int = 0) -> Sequences:
    """Forty people with five of the shop's items each; many pairs are had by two people alone."""
    rng = np.random.default_rng(seed)
    item = np.concatenate([rng.choice(24, 5, replace=False) + 1 for _ in range(40)])
    return Sequences(item, np.arange(200) * 86_400, np.concatenate([[0, 0], np.arange(1, 41) * 5]))


def inputs(events: Sequences) -> ModelInputs:
    made = shop.inputs()
    fresh = model_inputs(replace(shop.shop()), events, made.text[1:].numpy(), made.graph)  # type: ignore[index]
    return replace(fresh, num_users=40)


def flagship(**values: Any) -> Flagship:
    torch.manual_seed(0)
    made = build_model("lrdgraph", inputs(histories()), TINY | values)
    assert isinstance(made, Flagship)
    return made.eval()


def test_which_edges_rest_on_one_person() -> None:
    events = histories()
    made = inputs(events)
    edges = latent_edges(made, made.need_graph("test"), made.need_text("test"), 1, 0, 3)
    found = cooccurrence_pairs(events, 24, limit_per_item=3)
    known = {tuple(pair) for pair in edges.pairs.T.tolist()}
    assert {tuple(pair) for pair in found.pairs.T.tolist()} <= known
    near = latent_edges(made, made.need_graph("test"), made.need_text("test"), 1, 0, 0)
    fixed = {tuple(pair) for pair in near.pairs.T.tolist()}
    expected = {
        (user, i, j)
        for i, j in found.pairs.T.tolist()
        for user in range(1, 41)
        if bool(found.held_out(torch.tensor([user]), torch.tensor([i]), torch.tensor([j]))) and (i, j) not in fixed
    }
    assert expected
    listed = zip(edges.user.tolist(), *edges.pairs[:, edges.edge].tolist(), strict=True)
    assert set(listed) == expected
    alone = {(i, j) for _, i, j in expected}
    assert {tuple(pair) for pair in edges.pairs[:, ~edges.lasting].T.tolist()} == alone
    assert near.lasting.all()
    assert not len(near.user)


def test_in_training_a_persons_own_edges_say_nothing() -> None:
    model, events = flagship(), histories()
    batch = training_batch(events, *training_windows(events, 5), 5)
    columns = batch.target.nonzero()  # type: ignore[union-attr]
    mixture = model.mixture().detach()
    found = cooccurrence_pairs(events, 24, limit_per_item=3)
    near = {
        tuple(pair) for pair in latent_edges(model.inputs, model.graph, model.discovery.text, 1, 0, 0).pairs.T.tolist()
    }  # type: ignore[union-attr]
    unread = torch.zeros(len(columns), 1)  # evidence without a gate reads no query
    logits = add_evidence(torch.zeros(len(columns), 25), model._evidence(columns, unread, batch, mixture))
    changed = 0
    for user in range(1, 41):
        mine = batch.user[columns[:, 0]] == user
        out = found.held_out(torch.full_like(model.pairs[0], user), model.pairs[0], model.pairs[1])
        out &= torch.tensor([tuple(pair) not in near for pair in model.pairs.T.tolist()])
        changed += int(out.sum())
        plain = without_holding_out(model, columns[mine], batch, mixture * ~out[:, None])
        torch.testing.assert_close(logits[mine], plain)
    assert changed > 10
    assert not torch.equal(logits, without_holding_out(model, columns, batch, mixture))


def without_holding_out(model: Flagship, columns: torch.Tensor, batch: Batch, mixture: torch.Tensor) -> torch.Tensor:
    pairs = model.history_pairs(batch, columns)
    kernel = model.kernel(pairs.gap)
    parts = [model.typed_evidence(pairs, kernel)]
    parts.append(model.latent_evidence(pairs, kernel[:, model.num_predefined :], mixture))  # type: ignore[misc]
    return add_evidence(torch.zeros(len(columns), 25), parts)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_convolution_hears_lasting_edges_alone(layers: int) -> None:
    model = flagship(graph_layers=layers)
    mixture = model.mixture().detach().requires_grad_()
    model.vectors_from(mixture).square().sum().backward()
    heard = mixture.grad.abs().sum(1) > 0  # type: ignore[union-attr]
    assert model.lasting is not None
    assert heard.nonzero().squeeze(1).tolist() == model.lasting.tolist()
    assert 0 < len(model.lasting) < len(heard)


def test_a_request_reads_every_edge() -> None:
    model = flagship()
    batch = training_batch(histories(), *training_windows(histories(), 5), 5)
    with torch.no_grad():
        asked = model.score(Batch(batch.user, batch.history, batch.history_time, batch.moment))
        stranger = model.score(Batch(batch.user * 0, batch.history, batch.history_time, batch.moment))
    assert torch.equal(asked, stranger)
