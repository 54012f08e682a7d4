"""Chorus: its kernels by hand, its first stage, and how fast what that made may move."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.models.chorus import Chorus
from lrdgraph.models.excitation import Excitations
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import build_model
from tests.models import shop
from tests.models.cases import lessons
from tests.models.test_slrc import normal


def made(inputs: ModelInputs | None = None, **settings: object) -> Chorus:
    torch.manual_seed(0)
    model = build_model("chorus", inputs or shop.inputs(), {"hidden_channels": 4, "max_length": 5} | settings)
    assert isinstance(model, Chorus)
    return model


def one(candidate: int, relation: int) -> Excitations:
    return Excitations(*(torch.tensor([value]) for value in (0, candidate, relation, 1, 0)))


@pytest.mark.parametrize("delta", [0.0, 0.5, 3.0])
def test_kernels_by_hand(delta: float) -> None:
    model = made(complements=("needs",), substitutes=("needs^-1",), group="colour")
    with torch.no_grad():
        model.rate.zero_()
        model.rate[3] = torch.tensor([1.0, 0.5])  # of the third colour, green; 0 is for what has none
        assert model.late is not None
        model.late[:, 3, 0] = torch.tensor([1.0, -0.5])  # mean 2, deviation 0.5
    time = torch.tensor([delta])
    green, red = 9, 1
    needs = model.temporal(one(green, 0), time).item()
    assert needs == pytest.approx(normal(delta, 0, 2))
    inverse = model.temporal(one(green, 1), time).item()
    assert inverse == pytest.approx(normal(delta, 2, 0.5) - normal(delta, 0, 1.5))
    assert model.temporal(one(red, 0), time).item() == pytest.approx(normal(delta, 0, 1))
    fading = made()
    with torch.no_grad():
        fading.rate.fill_(0.5)
    assert fading.late is None
    assert fading.temporal(one(green, 1), time).item() == pytest.approx(min(1.5 * math.exp(-1.5 * delta), 1.0))


def test_what_is_added_by_hand() -> None:
    model = made()
    with torch.no_grad():
        model.items.weight[2] = torch.tensor([10.0, 0.0, 0.0, 20.0])
        model.relations[1] = torch.tensor([0.0, 30.0, 0.0, -10.0])
        model.rate.zero_()
    person = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    _, items = model.tables()
    added = model.excite(one(2, 1), torch.tensor([2.0]), person, items)
    assert added.item() == pytest.approx(math.exp(-2) * (1 * 1 + 3 * 2 + 1 * 4))


def test_items_are_grouped_by_their_first_value() -> None:
    assert made(group="colour").group.tolist() == [0] + [1 + n // 4 for n in range(24)]
    assert made().group.tolist() == [0] * 25  # there is no relation 'category'


def test_the_first_stage_learns_edges_backwards_and_once() -> None:
    model = made(hidden_channels=16, first_epochs=2000, first_learning_rate=0.01)
    before = model.items.weight.clone()
    model.start_epoch(1)
    assert torch.equal(model.items.weight, before)
    model.start_epoch(0)
    assert not torch.equal(model.items.weight, before)
    with torch.no_grad():
        _, items = model.tables()
        relation = model.relations[0] * model.settings.vector_rate
        edges = model.inputs.need_graph("test")
        head, tail = edges.edge_index[:, edges.edges_of("needs")]
        nearest = torch.cdist(items[tail] + relation, items[1:]).argmin(1) + 1
        forwards = torch.cdist(items[tail] - relation, items[1:]).argmin(1) + 1
    assert (nearest == head).float().mean() >= 0.9
    assert (forwards == head).float().mean() <= 0.2


def test_the_first_stage_follows_from_the_seed() -> None:
    made_twice = []
    for _ in range(2):
        model = made(first_epochs=3)
        torch.manual_seed(7)
        model.start_epoch(0)
        made_twice.append(model.items.weight)
    assert torch.equal(*made_twice)


def test_vectors_move_at_their_share_of_the_learning_rate() -> None:
    model = made(vector_rate=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    before = [table.clone() for table in model.tables()]
    model.loss(lessons())["total"].backward()
    optimizer.step()
    moved = [(table - old).abs().max().item() for table, old in zip(model.tables(), before, strict=True)]
    assert moved == pytest.approx([0.01, 0.001], rel=1e-2)


def test_events_of_a_graph_without_values_have_one_kernel() -> None:
    inputs = shop.inputs()
    graph = inputs.need_graph("test")
    between = (graph.edge_index <= 24).all(0)
    parts = {k: getattr(graph, k)[..., between] for k in ("edge_index", "edge_type", "edge_weight")}
    assert made(replace(inputs, graph=replace(graph, **parts)), group="colour").rate.shape == (1, 2)


@pytest.mark.parametrize(
    ("setting", "named", "close"),
    [
        ("complements", ("neads",), "needs"),
        ("substitutes", ("needs", "neads"), "needs"),
        ("group", "color", "colour"),
    ],
)
def test_a_relation_that_the_graph_lacks_is_refused_with_the_nearest(setting: str, named: object, close: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[model\] {setting}: .* \(did you mean '{close}'\?\)"):
        made(**{setting: named})


def test_a_graph_may_lack_the_relations_that_are_named_by_default() -> None:
    made(complements=("complement",), substitutes=("substitute",), group="category")
