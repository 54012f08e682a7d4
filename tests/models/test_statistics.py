from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_loaders import load
from lrdgraph.batch import target_batch
from lrdgraph.errors import ConfigError, UnknownIdError
from lrdgraph.evaluation import EvaluationSettings, evaluate
from lrdgraph.graph.build import build_graph
from lrdgraph.models.inputs import model_inputs
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from tests.models import shop


def batch(length: int = 5):
    targets = split(shop.shop()).targets("test")
    return target_batch(targets, np.arange(len(targets)), length)


def counted(graph, history: list[int], names: tuple[str, ...]) -> list[float]:
    """The sum over events, edge by edge."""
    scores = [0.0] * (graph.num_items + 1)
    edges = zip(*graph.edge_index.tolist(), graph.edge_type.tolist(), graph.edge_weight.tolist(), strict=True)
    for source, target, kind, weight in edges:
        if graph.relations[kind].name in names and max(source, target) <= graph.num_items:
            scores[target] += weight * history.count(source)
    return scores


def test_popularity_is_the_training_count_for_everyone():
    model = shop.model("popularity")
    counts = np.bincount(split(shop.shop()).training().item, minlength=25)
    assert model.score(batch()).tolist() == [counts.tolist()] * 48
    asked = torch.tensor([3, 1, 24])
    assert model.score(batch(), asked)[7].tolist() == counts[[3, 1, 24]].tolist()
    assert model.score(batch(), asked.expand(48, 3))[7].tolist() == counts[[3, 1, 24]].tolist()


@pytest.mark.parametrize("names", [("needs",), ("needs^-1",), ("needs", "needs^-1"), ()])
def test_relation_count_equals_a_loop_over_edges(names):
    model = shop.model("relation-count", relations=names)
    histories = batch()
    scores = model.score(histories)
    for row in range(len(histories)):
        expected = counted(model.inputs.graph, histories.history[row].tolist(), names or ("needs", "needs^-1"))
        assert scores[row].tolist() == expected
    chosen = torch.randint(1, 25, (48, 6))
    assert model.score(histories, chosen).tolist() == scores.gather(1, chosen).tolist()


def test_by_hand():
    model = shop.model("relation-count", relations=("needs",))
    (first, second), *_ = model.recommend([["red-pen", "red-pen", "red-ink", "blue-ink"]], k=2, filter_seen=False)
    assert (first.item, first.score) == ("red-ink", 2.0)  # two pens, weight 1
    assert (second.item, second.score) == ("red-pad", 0.5)  # before blue-pad, with which it ties


def test_popularity_breaks_ties_and_never_outweighs_an_edge():
    inputs = shop.inputs()
    popularity = torch.zeros(25)
    popularity[1:] = torch.arange(1, 25) * 1e4
    inputs = replace(inputs, popularity=popularity)
    plain = build_model("relation-count", inputs, {"relations": ("needs",)}).score(batch())
    broken = build_model("relation-count", inputs, {"relations": ("needs",), "tie_break": "popularity"}).score(batch())
    for row, scores in zip(plain[:, 1:], broken[:, 1:], strict=True):
        assert scores.unique().numel() == 24
        reference = sorted(range(24), key=lambda i: (-float(row[i]), -i))
        assert scores.argsort(descending=True).tolist() == reference


def test_only_so_many_recent_events_count():
    model = shop.model("relation-count", relations=("needs",), max_length=1)
    ((best,),) = model.recommend([["red-pen", "blue-pen"]], k=1)
    assert best.item == "blue-ink"


def test_bad_settings_are_told():
    with pytest.raises(UnknownIdError, match="no relation 'neads' \\(did you mean 'needs'\\?\\)"):
        shop.model("relation-count", relations=("neads",))
    with pytest.raises(ConfigError, match="No edge of colour joins two items"):
        shop.model("relation-count", relations=("colour",))
    with pytest.raises(ConfigError, match="'relation-count' reads an item graph"):
        build_model("relation-count", replace(shop.inputs(), graph=None))
    with pytest.raises(ConfigError, match="max_length"):
        shop.model("relation-count", max_length=0)


@pytest.mark.parametrize("name", ["popularity", "relation-count"])
def test_nothing_is_trained_or_saved(name):
    model = shop.model(name)
    assert not model.trainable
    assert model.num_parameters == 0
    assert not model.state_dict()
    with pytest.raises(TypeError, match="nothing to train"):
        model.loss(batch())


def test_on_office_the_count_equals_the_measured_baseline(office):
    corpus = load(office)
    parts = split(corpus)
    inputs = model_inputs(corpus, parts.training(), None, build_graph(corpus))
    expected = {(): 0.1646, ("complement", "complement^-1"): 0.1453, ("complement",): 0.1211}
    for relations, value in expected.items():
        model = build_model("relation-count", inputs, {"relations": relations})
        found = evaluate(
            model.score, parts.targets("test"), EvaluationSettings(), max_length=300, num_items=corpus.num_items
        )
        assert found.metrics["candidates-99/NDCG@5"] == pytest.approx(value, abs=5e-4)
