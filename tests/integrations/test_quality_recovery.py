"""Held-out relations with real PyKEEN models, and our ranks beside OGB's evaluator."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from lrdgraph.evaluation.link_ranks import filtered_ranks, link_metrics
from lrdgraph.quality.features import cooccurrence_features, random_features
from lrdgraph.quality.hidden import hide_pairs, hide_relation
from lrdgraph.quality.kge import DECODERS, EmbeddingSettings, embedding_family, train_embedding
from lrdgraph.quality.recovery import rank_links, ranked_metrics, recover, recover_relation
from tests.quality.worlds import planted_inputs

SMALL = EmbeddingSettings(channels=16, epochs=20, batch_size=128, learning_rate=0.05)


@pytest.fixture(scope="module")
def inputs():
    return planted_inputs()


@pytest.mark.parametrize("levels", [4, 1_000_000])
def test_metrics_are_those_of_ogb(inputs, levels, monkeypatch):
    """With many ties and with none; the others of the filtered setting are its negatives, padded with −∞."""
    monkeypatch.setitem(sys.modules, "outdated", None)
    from ogb.linkproppred import Evaluator

    n = inputs.num_items
    links = hide_pairs(inputs.graph, 0.3).links["brand"]
    scores = torch.randint(levels, (n + 1, n + 1)).float()
    head, tail = links.hidden
    ranks = filtered_ranks(lambda q: scores[q], head, tail, links.all)

    competes = torch.ones(len(head), n + 1, dtype=torch.bool)
    competes[:, 0] = False
    competes[torch.arange(len(head)), head] = False
    true = torch.zeros(n + 1, n + 1, dtype=torch.bool)
    true[links.all[0], links.all[1]] = True
    competes &= ~true[head]
    others = scores[head].masked_fill(~competes, -torch.inf)
    found = Evaluator("ogbl-wikikg2").eval({"y_pred_pos": scores[head, tail], "y_pred_neg": others})
    np.testing.assert_allclose(1 / ranks, found["mrr_list"].numpy(), rtol=1e-6)
    theirs = {"MRR": found["mrr_list"], **{f"Hits@{k}": found[f"hits@{k}_list"] for k in (1, 3, 10)}}
    for name, value in link_metrics(ranks).items():
        assert value == pytest.approx(float(theirs[name].double().mean()), rel=1e-6), name


@pytest.mark.parametrize("model", sorted(DECODERS))
def test_an_embedding_learns_the_visible_graph_and_recovers_hidden_pairs(inputs, model):
    hidden = hide_pairs(inputs.graph, 0.2)
    trained = train_embedding(hidden.graph, model, 0, SMALL)
    links = hidden.links["brand"]
    ranks = rank_links(trained.own_score("brand", "tail"), trained.own_score("brand", "head"), links, inputs.num_items)
    random = random_features(inputs)["random"]
    control = rank_links(*(lambda i, j: random(i, j)[..., 0],) * 2, links, inputs.num_items)
    assert ranked_metrics(ranks)["MRR"] > 3 * ranked_metrics(control)["MRR"]
    found = recover(hidden, {model: trained})["brand"]
    assert found[f"{model} (own score)"]["MRR"] == pytest.approx(ranked_metrics(ranks)["MRR"])


@pytest.mark.parametrize("model", sorted(DECODERS))
def test_scores_are_those_of_pykeen(inputs, model):
    """The interaction of PyKEEN on the same vectors, an edge and its inverse."""
    from pykeen.nn.modules import interaction_resolver

    trained = train_embedding(inputs.graph, model, 0, replace(SMALL, epochs=1))
    i, j = torch.tensor([3, 5, 7]), torch.tensor([8, 9, 1])

    def theirs(head, relation, tail):
        z = trained.relations[trained.names.index(relation)]
        vectors = [trained.entities[head], z.expand(len(head), -1), trained.entities[tail]]
        if model == "ComplEx":
            vectors = [torch.complex(*v.chunk(2, dim=-1)) for v in vectors]
        return interaction_resolver.make(model)(*vectors)

    torch.testing.assert_close(trained.own_score("goes_with", "tail")(i, j), theirs(i, "goes_with", j))
    torch.testing.assert_close(trained.own_score("goes_with", "head")(i, j), theirs(j, "goes_with^-1", i))
    features = trained(i, j)
    assert features.shape == (3, 2 * 4)
    torch.testing.assert_close(features[:, 0], theirs(i, trained.names[0], j))
    torch.testing.assert_close(features[:, 4], theirs(j, trained.names[0], i))


def test_a_seed_decides_and_what_is_hidden_does_not(inputs):
    quick = replace(SMALL, epochs=1)
    graph = hide_relation(inputs.graph, "goes_with").graph
    assert graph.relations.names == ("brand", "brand^-1")
    first, again, other = (train_embedding(graph, "DistMult", seed, quick).entities for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_hidden_relation_with_all_families_at_once(inputs):
    families = [embedding_family("DistMult", SMALL), embedding_family("ComplEx", SMALL), cooccurrence_features]
    found = recover_relation(inputs, "goes_with", [*families, random_features], shown=0.2)["goes_with"]
    assert set(found) == {
        *("distmult", "distmult-product", "complex", "complex-product", "co-occurrence", "random"),
    }, "an embedding has no score of its own for what it was not shown"
    assert found["co-occurrence"]["MRR"] > found["random"]["MRR"]
