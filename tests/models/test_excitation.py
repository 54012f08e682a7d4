"""Models that related events excite: which events they find, and that scores, losses and reasons are of one piece."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional as F

from lrdgraph.batch import Batch, training_batch, training_windows
from lrdgraph.corpus import Corpus, Triples
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.graph.build import build_graph
from lrdgraph.models.evidence import Pairs
from lrdgraph.models.excitation import Excitations, ExcitedRecommender, LatestEvents
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model
from lrdgraph.splits import Split, split
from lrdgraph.training.trainer import validate
from lrdgraph.vocabulary import Vocabulary
from tests.models import shop
from tests.models.cases import lessons, requests
from tests.models.test_neighbours import histories

MODELS = ["slrc", "chorus"]


def made(name: str, inputs: ModelInputs | None = None, **settings: object) -> ExcitedRecommender:
    torch.manual_seed(0)
    model = build_model(name, inputs or shop.inputs(), {"hidden_channels": 8, "max_length": 5} | settings).eval()
    assert isinstance(model, ExcitedRecommender)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_latest_event_of_each_relation_is_found_as_a_loop_finds_it(seed: int, repeat: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = build_graph(random_corpus(rng))
    latest = LatestEvents(graph, repeat, "any")
    events = [(p, int(rng.integers(1, 13)), int(gap)) for p in range(6) for gap in sorted(rng.integers(0, 99, p))[::-1]]
    pairs = Pairs(*(torch.tensor(part) for part in zip(*events, strict=True)))
    related = {
        (int(i), repeat + [r.name for r in latest.relations].index(graph.relations[int(r)].name), int(j))
        for (i, j), r in zip(graph.edge_index.T, graph.edge_type, strict=True)
        if max(i, j) <= 12
    } | {(i, 0, i) for i in range(1, 13) if repeat}
    expected = {}
    for p, h, gap in events:
        for i, r, c in related:
            if i == h:
                expected[p, c, r] = (h, gap)
    found = told(latest(pairs))
    assert found == expected
    assert any(len({h for q, h, _ in events if q == p}) > 1 for p in range(6))
    asked = torch.tensor(sorted({p * 13 + int(rng.integers(1, 13)) for p in range(6) for _ in range(3)}))
    assert told(latest(pairs, asked)) == {k: v for k, v in expected.items() if k[0] * 13 + k[1] in asked.tolist()}
    assert 0 < len(told(latest(pairs, asked))) < len(expected)


def told(found: Excitations) -> dict[tuple[int, int, int], tuple[int, int]]:
    keys = list(zip(found.position.tolist(), found.candidate.tolist(), found.relation.tolist(), strict=True))
    assert len(keys) == len(set(keys))
    return dict(zip(keys, zip(found.item.tolist(), found.gap.tolist(), strict=True), strict=True))


def random_corpus(rng: np.random.Generator) -> Corpus:
    triples = np.unique(rng.integers([1, 0, 1], [13, 3, 15], (40, 3)), axis=0)
    return Corpus(
        name="random",
        users=Vocabulary(["u"], "user"),
        items=Vocabulary([f"i{n}" for n in range(12)]),
        user=np.array([1]),
        item=np.array([1]),
        time=np.array([0]),
        fields=pl.DataFrame(),
        attributes=Vocabulary(["red", "blue"], "attribute"),
        triples=Triples(triples[:, 0], triples[:, 1], triples[:, 2], ("with", "instead", "near")),
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_that_of_scores_asked_for_one_by_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(name, num_negatives=3, l2=0.0)
    batch = lessons()
    assert batch.target is not None
    items = torch.cat([batch.history, batch.target[:, -1:]], 1)
    row, column = items.nonzero(as_tuple=True)
    drawn = torch.randint(1, 25, (len(row), 3))
    drawn[:, 1] = drawn[:, 0]  # an item that is drawn twice is excited twice
    monkeypatch.setattr(model.unseen, "forward", lambda user, count: drawn)
    expected = []
    for event, (b, k) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        past = [F.pad(part[b : b + 1, :k], (1, 0)) for part in (batch.history, batch.history_time, batch.moment)]
        scores = model.score(Batch(batch.user[b : b + 1], *past))[0]
        expected.append(F.softplus(scores[drawn[event]] - scores[items[b, k]]).mean())
    assert len(expected) == 72
    torch.testing.assert_close(model.loss(batch)["total"], torch.stack(expected).mean())


@pytest.mark.parametrize("name", MODELS)
def test_reasons_are_all_that_relations_add(name: str) -> None:
    model, batch = made(name), requests()
    candidates = torch.arange(1, 25).expand(len(batch), -1)
    with torch.no_grad():
        people, items = model.scoring_tables()
        base = model.asking(batch, people, items) @ items.T + model.bias
        reasons = model.explain(batch, candidates)
        added = torch.zeros(len(batch), 24).index_put((reasons.row, reasons.column), reasons.value, accumulate=True)
        torch.testing.assert_close(base[:, 1:] + added, model.score(batch)[:, 1:])
    assert (added != 0).any()
    assert {reasons.labels[r] for r in reasons.relation.tolist()} >= {"needs"}


def test_a_graph_without_edges_between_items_is_refused() -> None:
    inputs = shop.inputs()
    graph = inputs.need_graph("test")
    between = (graph.edge_index <= 24).all(0)
    alone = replace(
        graph,
        edge_index=graph.edge_index[:, ~between],
        edge_type=graph.edge_type[~between],
        edge_weight=graph.edge_weight[~between],
    )
    with pytest.raises(ConfigError, match="'slrc' reads relations between items, and no edge of the graph joins two"):
        build_model("slrc", replace(inputs, graph=alone))


def courses(shuffled: bool) -> tuple[Split, ModelInputs]:
    """60 people take four of ten pairs of items, the second of each within months of the first, as a relation says.

    Which pairs is random, so that nothing but the relation tells what is next. That of the control joins other items.
    """
    rng = np.random.default_rng(0)
    pair = np.stack([rng.permutation(10)[:4] for _ in range(60)])
    head = np.arange(1, 11)
    corpus = Corpus(
        name="courses",
        users=Vocabulary([f"u{n}" for n in range(60)], "user"),
        items=Vocabulary([f"i{n}" for n in range(20)]),
        user=np.repeat(np.arange(1, 61), 8),
        item=np.stack([pair + 1, pair + 11], 2).flatten(),
        time=np.cumsum(rng.integers(50, 150, (60, 8)), axis=1).flatten() * shop.DAY,
        fields=pl.DataFrame(),
        triples=Triples(head, np.zeros(10, np.int64), (np.roll(head, 3) if shuffled else head) + 10, ("then",)),
    )
    parts = split(corpus)
    return parts, model_inputs(corpus, parts.training(), None, build_graph(corpus))


@pytest.mark.parametrize("name", MODELS)
def test_what_a_relation_says_comes_next_is_learnt_and_what_another_says_is_not(name: str) -> None:
    """Of the 13 items that a person has not had, one is what the relation says."""
    found = {}
    for shuffled in (False, True):
        parts, inputs = courses(shuffled)
        values = {"hidden_channels": 2, "l2": 0.1, "num_negatives": 5, "max_length": 10}
        model = made(name, inputs, **values | ({"vector_rate": 1.0} if name == "chorus" else {}))
        sequences = parts.training()
        batch = training_batch(sequences, *training_windows(sequences, 10), 10)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        model.start_epoch(0)
        for _ in range(150):
            optimizer.zero_grad()
            model.loss(batch)["total"].backward()
            optimizer.step()
        found[shuffled] = validate(model, parts, "test", EvaluationSettings(ks=(1,))).metrics["full/HR@1"]
    assert found[False] >= 0.9
    assert found[True] <= 0.3


@pytest.mark.parametrize("name", MODELS)
def test_only_the_last_of_several_related_events_counts(name: str) -> None:
    model = made(name)
    with torch.no_grad():
        asked = [replace(histories(history), user=torch.tensor([3])) for history in ([1, 1], [7, 1], [1, 7])]
        twice, once, early = (model.score(batch)[0, 2] for batch in asked)
        assert twice == once != early
