"""A pipeline of PyKEEN's trains on our triples."""

from __future__ import annotations

import pytest
import torch
from pykeen.pipeline import PipelineResult, pipeline

from lrdgraph.graph.convert import from_pykeen, to_pykeen
from lrdgraph.graph.enrichment import EnrichedGraph
from tests.graph.shelves import ITEMS, SHELVES, shelves

GRAPH = shelves()
EPOCHS = 40


@pytest.fixture(scope="module")
def trained() -> PipelineResult:
    factory, _ = to_pykeen(GRAPH, min_posterior=0.5)
    training, testing = factory.split([0.9, 0.1], random_state=0)
    return pipeline(
        training=training,
        testing=testing,
        model="DistMult",
        model_kwargs={"embedding_dim": 16},
        optimizer_kwargs={"lr": 0.05},
        training_kwargs={"num_epochs": EPOCHS, "use_tqdm": False},
        evaluation_kwargs={"use_tqdm": False},
        random_seed=0,
        device="cpu",
    )


def test_it_learns(trained: PipelineResult) -> None:
    assert len(trained.losses) == EPOCHS
    assert trained.losses[-1] < 0.6 * trained.losses[0]
    by_chance = (1 / torch.arange(1, ITEMS + SHELVES + 1)).mean().item()
    assert trained.metric_results.get_metric("mrr") > 2.5 * by_chance


def test_known_edges_rank_above_random_ones(trained: PipelineResult) -> None:
    generator = torch.Generator().manual_seed(0)
    known = trained.training.mapped_triples
    random = known.clone()
    random[:, 2] = torch.randint(0, ITEMS, (len(known),), generator=generator)
    with torch.no_grad():
        scores, others = (trained.model.score_hrt(triples).squeeze(1) for triples in (known, random))
    assert float((scores > others).float().mean()) > 0.8


def test_what_it_trained_on_are_our_edges(trained: PipelineResult) -> None:
    factory, values = to_pykeen(GRAPH, min_posterior=0.5)
    assert trained.model.num_entities == ITEMS + SHELVES
    assert trained.model.num_relations == len(GRAPH.relations)
    weight = values.weights(trained.training.mapped_triples)
    assert len(weight) == int(0.9 * factory.num_triples)
    graph = from_pykeen(trained.training, values)
    assert isinstance(graph, EnrichedGraph)
    likely = (graph.mixture > 0.5).sum()
    assert graph.graph.num_edges + int(likely) == trained.training.num_triples
    assert float(graph.graph.edge_weight.sum() + 0.75 * likely) == pytest.approx(float(weight.sum()), rel=1e-5)
