"""What is recorded of the public code, on stand-ins for it: the code itself is not among our dependencies."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.public.accuracy import kept, means, posterior, ranked
from benchmarks.public.side_by_side import Pair
from tests.conftest import ROOT
from tests.models import parity
from tests.models.test_parity import TERMS, recorded


class Theirs(nn.Module):
    """As much of the public model as is read: two layers of its encoder, and a loss with its parts."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.item_embeddings = nn.Embedding(50, 2)
        self.project_layer_1 = nn.Identity()
        self.project_layer_2 = nn.Linear(4, len(weight), bias=False)
        with torch.no_grad():
            self.project_layer_2.weight.copy_(weight)

    def loss(self, out: dict[str, Any]) -> tuple[Tensor, list[Tensor]]:
        return out["lrd_loss"] * 10, [out["lrd_loss"], out["lrd_loss"], torch.tensor(0.5)]


def test_terms_are_kept_for_each_step_and_forgotten_with_the_epoch() -> None:
    model = Theirs(torch.zeros(3, 4))
    rows = kept(model)
    for value in (1.0, 3.0):
        total, parts = model.loss({"lrd_loss": torch.tensor(value)})
        assert float(total) == 10 * value
        assert len(parts) == 3
    assert means(rows) == {"total": 20.0, "discovery": 2.0, "knowledge": 0.5}
    assert rows == []


@pytest.mark.parametrize(("weight", "states"), [(torch.zeros(3, 4), 3.0), (torch.eye(4)[:3] * 1e4, None)])
def test_the_use_of_states_is_measured_on_random_pairs(weight: Tensor, states: float | None) -> None:
    torch.manual_seed(0)
    found = posterior(Theirs(weight))
    assert sum(found["mean"]) == pytest.approx(1, abs=1e-5)
    if states is not None:  # every pair is spread over all states and no pair is told from another
        assert found["perplexity"] == pytest.approx(states)
        assert found["information"] == pytest.approx(0, abs=1e-5)
    else:
        assert found["information"] == pytest.approx(math.log(found["perplexity"]), rel=0.01)


def test_ranking_takes_no_gradient() -> None:
    class Runner:
        def evaluate(self, model: nn.Module, data: Any, cut: list[int], metrics: list[str]) -> dict[str, Tensor]:
            assert not torch.is_grad_enabled()
            return {f"{metric}@{k}": torch.tensor(0.5) for metric in metrics for k in cut}

    assert ranked(Runner(), nn.Identity(), None) == {"NDCG@5": 0.5, "NDCG@10": 0.5, "HR@5": 0.5, "HR@10": 0.5}


class Train:
    """The recorded batch as the public data set gives it: padded on the right."""

    def __init__(self, name: str) -> None:
        latent = [0] * (parity.LATENT if name.endswith("-lrd") else 0)
        relations = ["r_complement", "r_substitute", "i_category", "i_brand"]
        self.corpus = SimpleNamespace(relations=relations)
        values = {n: (13 + parity.CATEGORY.get(n, 0), 17 + parity.BRAND.get(n, 0)) for n in range(1, parity.ITEMS + 1)}
        self.item_val_dict = {item: [0, 0, 0, *two, *latent] for item, two in values.items()}
        self.feed = recorded(name, "batch")
        real = self.feed["history_items"] > 0
        negative = torch.zeros_like(self.feed["neg_his_items"])
        for row, mine in enumerate(real):
            negative[row, : mine.sum()] = self.feed["neg_his_items"][row, mine]
        self.feed["neg_his_items"] = negative
        pairs = list(zip(self.feed["history_items"], 10**8 - self.feed["seconds"], real, strict=True))
        self.data = {"item_his": [items[mine].tolist() for items, _, mine in pairs], "time": np.full(len(real), 10**8)}
        self.data["time_his"] = [times[mine].tolist() for _, times, mine in pairs]

    def __getitem__(self, row: int) -> int:
        return row

    def collate_batch(self, rows: list[int]) -> dict[str, Tensor]:
        return {key: value[rows] for key, value in self.feed.items()}


@pytest.mark.parametrize("name", parity.MODELS)
def test_side_by_side_both_compute_the_same(name: str) -> None:
    weights, expected = recorded(name, "weight"), recorded(name, "out")
    expected["discovery/total"] = expected.pop("discovery", torch.empty(0))
    ours, train = parity.ours(name, weights), Train(name)
    ours.max_length = train.feed["history_items"].size(1)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
    gamma, ours.knowledge_weight = ours.knowledge_weight, 0.0
    pair = Pair(name, ours, SimpleNamespace(state_dict=lambda: weights, gamma=gamma), train)
    pair.copy_weights()
    assert ours.knowledge_weight == gamma > 0
    rows = np.arange(len(train.data["time"]))[::-1].copy()
    feed, batch = pair.batches(rows)
    torch.testing.assert_close(ours.score(batch, feed["item_id"]), expected["scores"].flip(0), rtol=0, atol=1e-8)
    found = ours.loss(batch)
    for term in TERMS:
        if expected[term].numel():
            assert abs(float(found[term].detach() - expected[term])) < 1e-8, term


def side_by_side(name: str) -> list[dict[str, Any]]:
    path = ROOT / f"benchmarks/results/side-by-side-{name}.json"
    log: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["log"]
    return log


@pytest.mark.parametrize(("name", "label"), [("kda", "KDA"), ("kda-lrd", "KDA + LRD")])
def test_the_page_says_what_the_side_by_side_records_say(name: str, label: str) -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    ranked = [entry for entry in side_by_side(name) if "validation" in entry["public"]]
    assert ranked
    for entry in ranked:
        sides = [(entry["public"], "NDCG@5"), (entry["ours"], "candidates-99/NDCG@5")]
        loss = [f"{side['loss']:.3f}" for side, _ in sides]
        accuracy = [f"{side[role][metric]:.4f}" for role in ("validation", "test") for side, metric in sides]
        assert f"| {label} | {entry['epoch']} | {' | '.join(loss + accuracy)} |" in page


def test_in_double_precision_trainings_stay_together() -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8").replace("\n", " ")
    gaps = {}
    for name in ("kda", "kda-lrd"):
        log = side_by_side(f"{name}-double")
        assert len(log) == 3
        gaps[name] = max(entry["gap"] for entry in log)
        assert gaps[name] < 1e-8
    upper = {name: f"{math.ceil(gap / 10 ** (e := math.floor(math.log10(gap))))}e{e}" for name, gap in gaps.items()}
    assert f"differ by {upper['kda']} at most for KDA and by {upper['kda-lrd']} for KDA + LRD" in page
