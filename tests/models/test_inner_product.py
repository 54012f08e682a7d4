"""The two parts of a score: together they are the score, up to a constant of the request."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lrdgraph.batch import Batch, target_batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.base import pick
from lrdgraph.models.inner_product import inner_product
from lrdgraph.models.recommend import evaluating
from lrdgraph.models.registry import build_model
from lrdgraph.models.sasrec import SASRec
from lrdgraph.splits import split
from tests.models import shop
from tests.models.cases import CASES, EVERY

SERVED = ("lrdgraph", "sasrec", "tisasrec", "bert4rec", "gru4rec", "narm", "bpr-mf", "lightgcn", "cfkg")
served = pytest.mark.parametrize(("name", "values"), [case for case in EVERY if case.values[0] in SERVED])


def requests(length: int) -> Batch:
    targets = split(shop.shop()).targets("test")
    return target_batch(targets, np.arange(12), length)


@served
def test_items_without_an_edge_differ_as_their_inner_products_do(name: str, values: dict[str, Any]) -> None:
    model = build_model(name, shop.inputs(), values)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    batch = requests(5)
    with evaluating(model):
        parts = inner_product(model)
        for moment in batch.moment[:, -1].unique().tolist():
            rows = batch.moment[:, -1] == moment
            rest = model.score(batch) - parts.query(batch) @ parts.items(moment).T
            if model.settings.__dict__.get("time") == "history":  # which reads the moment of the last event instead
                rest = model.score(batch) - parts.query(batch) @ parts.items(int(batch.history_time[rows][0, -1])).T
                rows &= batch.history_time[:, -1] == batch.history_time[rows][0, -1]
            reached = torch.zeros_like(rest, dtype=torch.bool)
            reached[:, 0] = True
            if parts.neighbours is not None:
                reached[parts.neighbours(batch)] = True
                assert rest[rows][reached[rows]].std() > 1e-3  # edges say something
            for row in rows.nonzero().flatten().tolist():
                others = rest[row][~reached[row]]
                assert len(others) > 5
                torch.testing.assert_close(others, others[:1].expand_as(others), rtol=1e-4, atol=1e-4)


def test_neighbours_equal_a_loop_over_events_and_edges() -> None:
    model = shop.model("lrdgraph", evidence_length=2)
    batch = requests(5)
    parts = inner_product(model)
    assert parts.neighbours is not None
    found = set(zip(*(column.tolist() for column in parts.neighbours(batch)), strict=True))
    edges = [edge for edge in model.inputs.graph.edge_index.T.tolist() if max(edge) <= 24] + model.pairs.T.tolist()
    recent = [(row, item) for row, history in enumerate(batch.history[:, -2:].tolist()) for item in history]
    assert found == {(row, target) for row, item in recent for source, target in edges if source == item}


def test_without_a_moment_the_last_step_is_read() -> None:
    model = shop.model("sasrec", steps=3, trend=True, time="request")
    last = int(model.inputs.events[2].max())
    with evaluating(model):
        items = inner_product(model).items
        assert torch.equal(items(None), items(last + 10**9))
        assert not torch.equal(items(None), items(last - 100 * shop.DAY))


@pytest.mark.parametrize("name", [name for name in CASES if name not in SERVED])
def test_scores_of_another_kind_are_refused(name: str) -> None:
    model = build_model(name, shop.inputs(), CASES[name]["plain"])
    with pytest.raises(ConfigError, match=f"The score of {type(model).__name__} is no inner product .* without an ind"):
        inner_product(model)


def test_a_subclass_with_a_score_of_its_own_is_another_model() -> None:
    class Own(SASRec):
        def score(self, batch: Batch, candidates: torch.Tensor | None = None) -> torch.Tensor:
            return pick(super().score(batch).square(), candidates)

    with pytest.raises(ConfigError, match="The score of Own is no inner product"):
        inner_product(Own(shop.inputs(), SASRec.Settings()))
