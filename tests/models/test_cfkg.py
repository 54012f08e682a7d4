"""Translations over people, items and attribute values: edges, corrupted edges and the hinge."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.batch import Batch
from lrdgraph.models.cfkg import CFKG
from lrdgraph.models.registry import build_model
from tests.models import shop


def made(**settings: object) -> CFKG:
    torch.manual_seed(0)
    model = build_model("cfkg", shop.inputs(), {"hidden_channels": 4} | settings)
    assert isinstance(model, CFKG)
    return model


def lesson(user: int = 1) -> Batch:
    one = torch.tensor([[3]])
    return Batch(torch.tensor([user]), one, one, one, torch.tensor([[4]]))


def test_edges_are_those_of_the_graph_without_inverses() -> None:
    model, corpus = made(), shop.shop()
    relation = corpus.triples.relation + 1
    expected = set(zip(corpus.triples.head.tolist(), relation.tolist(), corpus.triples.tail.tolist(), strict=True))
    assert set(map(tuple, model.edges.T.tolist())) == expected
    assert len(model.relations.weight) == 3  # buys, needs, colour
    assert len(model.attributes.weight) == 6


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_loss_equals_a_loop(margin: float, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(margin=margin)
    people, items, relations = (part.weight.detach() for part in (model.people, model.items, model.relations))
    nodes = torch.cat([items, model.attributes.weight.detach()])
    drawn: list[list[int]] = []

    def keep(name: str):
        sampler = getattr(model, name)
        forward = type(sampler).forward

        def draw(group: torch.Tensor, count: int) -> torch.Tensor:
            made = forward(sampler, group, count)
            drawn.append(made[:, 0].tolist())
            return made

        monkeypatch.setattr(sampler, "forward", draw)

    for name in ("other_people", "unseen", "other_heads", "other_tails"):
        keep(name)
    terms = model.loss(lesson())
    other_people, other_items, other_heads, other_tails = drawn
    share = round(2 * model.edges.size(1) / model.inputs.events.size(1))

    def distance(head: torch.Tensor, relation: torch.Tensor, tail: torch.Tensor) -> float:
        return float((head + relation - tail).square().sum())

    def hinge(true: float, false: float) -> float:
        return max(0.0, margin + true - false)

    hinges = []
    for item, other_item, other in zip((3, 4), other_items, other_people, strict=True):
        true = distance(people[1], relations[0], items[item])
        hinges.append(hinge(true, distance(people[1], relations[0], items[other_item])))
        hinges.append(hinge(true, distance(people[other], relations[0], items[item])))
    assert terms["recommendation"].item() == pytest.approx(sum(hinges) / 4, abs=1e-6)
    assert len(other_heads) == len(other_tails) == share
    assert share == 1
    # whichever edge was drawn, one of them explains the rest of the loss
    rest = terms["total"].item() * (4 + 2 * share) - sum(hinges)
    explained = [
        hinge(true, distance(nodes[head], relations[kind], nodes[other_tails[0]]))
        + hinge(true, distance(nodes[other_heads[0]], relations[kind], nodes[tail]))
        for head, kind, tail in model.edges.T.tolist()
        for true in [distance(nodes[head], relations[kind], nodes[tail])]
    ]
    assert min(abs(value - rest) for value in explained) < 1e-5
    assert terms["knowledge"].item() == pytest.approx(rest / 2, abs=1e-5)


def test_corrupted_edges_are_not_in_the_graph() -> None:
    model = made()
    held = set(map(tuple, model.edges.T.tolist()))
    head, relation, tail = (side.repeat(50) for side in model.edges)
    tails = model.other_tails(relation * model.rows + head, 1)[:, 0]
    heads = model.other_heads(relation * model.rows + tail, 1)[:, 0]
    assert not held & set(zip(head.tolist(), relation.tolist(), tails.tolist(), strict=True))
    assert not held & set(zip(heads.tolist(), relation.tolist(), tail.tolist(), strict=True))
    bought = set(map(tuple, model.inputs.events[:2].T.tolist()))
    user, item = (side.repeat(50) for side in model.inputs.events[:2])
    assert not bought & set(zip(model.other_people(item, 1)[:, 0].tolist(), item.tolist(), strict=True))
    assert not bought & set(zip(user.tolist(), model.unseen(user, 1)[:, 0].tolist(), strict=True))
    assert set(tails.tolist()) == set(heads.tolist()) == set(range(1, 31)), "any node may stand at a corrupted end"


def test_the_graph_says_where_items_lie() -> None:
    """After training, an item lies nearer to its own colour than to the others, also one that nobody bought."""
    model = made(hidden_channels=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    users = torch.arange(1, 49)
    events = model.inputs.events[:2].T
    rows = torch.stack([events[events[:, 0] == user, 1] for user in users])
    batch = Batch(users, rows[:, :1], rows[:, :1], rows[:, :1], rows[:, 1:])
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch)["total"].backward()
        optimizer.step()
    colour = model.items.weight[1:] + model.relations.weight[2]
    nearest = torch.cdist(colour, model.attributes.weight).argmin(1)
    bought = torch.isin(torch.arange(1, 25), events[:, 1])
    right = (nearest == torch.arange(24) // 4).float()
    assert right[bought].mean() >= 0.9
    assert right[~bought].mean() >= 0.9
