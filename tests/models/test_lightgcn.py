"""Propagation over the graph of who chose what, against dense matrices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lrdgraph.batch import Batch
from lrdgraph.models.lightgcn import LightGCN
from lrdgraph.models.registry import build_model
from tests.models import shop


def made(num_layers: int = 3) -> LightGCN:
    """With an event that is repeated, an item that nobody has and a person without events."""
    inputs = shop.inputs()
    events = torch.tensor([[1, 1, 1, 2, 2, 3], [4, 5, 4, 5, 6, 6], [0, 1, 2, 3, 4, 5]])
    model = build_model("lightgcn", replace(inputs, events=events), {"hidden_channels": 4, "num_layers": num_layers})
    assert isinstance(model, LightGCN)
    return model.double()


def dense(model: LightGCN) -> torch.Tensor:
    """``D^-½ A D^-½`` over all people, then all items."""
    users, items = len(model.people.weight), len(model.items.weight)
    adjacency = torch.zeros(users + items, users + items, dtype=torch.float64)
    for user, item, _ in model.inputs.events.T.tolist():
        adjacency[user, users + item] = adjacency[users + item, user] = 1
    degree = adjacency.sum(1).clamp(min=1)
    return adjacency / (degree[:, None] * degree).sqrt()


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_tables_are_the_mean_of_powers(num_layers: int) -> None:
    model = made(num_layers)
    start = torch.cat([model.people.weight, model.items.weight])
    powers = [torch.linalg.matrix_power(dense(model), k) @ start for k in range(num_layers + 1)]
    expected = torch.stack(powers).mean(0)
    # the weights of edges were made in single precision
    torch.testing.assert_close(torch.cat(model.tables()), expected, rtol=0, atol=1e-6)
    grad = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (model.people.weight, model.items.weight), grad)
    found = torch.autograd.grad(torch.cat(model.tables()), (model.people.weight, model.items.weight), grad)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_who_has_no_edge_keeps_a_share_of_her_own_vector() -> None:
    model = made(num_layers=3)
    people, items = model.tables()
    torch.testing.assert_close(people[9], model.people.weight[9] / 4)
    torch.testing.assert_close(items[20], model.items.weight[20] / 4)


def test_one_step_by_hand() -> None:
    """Person 3 has item 6, which two people have; item 4 is had by person 1 alone, who has two items."""
    model = made(num_layers=1)
    people, items = model.tables()
    u, i = model.people.weight, model.items.weight
    torch.testing.assert_close(people[3], (u[3] + i[6] / 2**0.5) / 2, rtol=0, atol=1e-6)
    torch.testing.assert_close(items[4], (i[4] + u[1] / 2**0.5) / 2, rtol=0, atol=1e-6)


def test_the_penalty_is_on_what_is_learnt_and_not_on_what_is_smoothed() -> None:
    model = made()
    one = torch.tensor([[4]])
    batch = Batch(torch.tensor([1]), one, one, one, torch.tensor([[5]]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    terms = model.loss(batch)
    # two events, each of a person, an item and a negative of 4 numbers of 0.25: 3 · 4 · 0.25 / 2
    assert (terms["total"] - terms["recommendation"]).item() == pytest.approx(1e-4 * 1.5)
