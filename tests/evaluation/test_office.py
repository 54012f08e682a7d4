"""Scores that need no training, on Office Products: numbers that any model of ours has to be held against."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from data_loaders import load
from lrdgraph.evaluation import EvaluationSettings, evaluate
from lrdgraph.splits import split


@pytest.fixture(scope="module")
def corpus(office):
    return load(office)


def links(corpus, *names: str) -> sp.csr_matrix:
    """Number of triples between two items, ``(N + 1, N + 1)``, whichever of the two is the head."""
    kept = np.isin(corpus.triples.relation, [corpus.triples.names.index(name) for name in names])
    shape = (corpus.num_items + 1, corpus.num_items + 1)
    head, tail = corpus.triples.head[kept], corpus.triples.tail[kept]
    directed = sp.csr_matrix((np.ones(len(head), np.float32), (head, tail)), shape)
    return (directed + directed.T).tocsr()


def by_history(matrix: sp.csr_matrix):
    def score(batch, candidates):
        rows = np.repeat(np.arange(len(batch)), batch.history.shape[1])
        cells = (np.ones(len(rows), np.float32), (rows, batch.history.numpy().ravel()))
        history = sp.csr_matrix(cells, (len(batch), matrix.shape[0]))
        scores = torch.from_numpy((history @ matrix).toarray())
        return scores if candidates is None else scores.gather(1, candidates)

    return score


def ranked(corpus, score, **chosen):
    targets = split(corpus).targets("test")
    return evaluate(score, targets, EvaluationSettings(**chosen), max_length=300, num_items=corpus.num_items)


def test_lists_hold_duplicates_and_never_the_target(corpus):
    targets = split(corpus).targets("test")
    assert targets.candidates.shape == (4905, 99)
    assert not (targets.candidates == targets.item[:, None]).any()
    repeats = (np.diff(np.sort(targets.candidates, 1), axis=1) == 0).any(1)
    assert repeats.mean() == pytest.approx(0.877, abs=0.001)


def test_counts_of_edges_from_the_history_are_the_untrained_baselines(corpus):
    name = "candidates-99/NDCG@5"
    complement = ranked(corpus, by_history(links(corpus, "complement"))).metrics
    both = ranked(corpus, by_history(links(corpus, "complement", "substitute"))).metrics
    assert complement[name] == pytest.approx(0.1453, abs=5e-4)
    assert both[name] == pytest.approx(0.1646, abs=5e-4)
    assert complement["full/NDCG@5"] == pytest.approx(0.0194, abs=5e-4)


def test_two_thirds_of_a_list_tie_with_the_target_so_that_the_rule_for_ties_decides(corpus):
    score = by_history(links(corpus, "complement"))
    found = {t: ranked(corpus, score, ties=t, protocols="candidates") for t in ("optimistic", "pessimistic")}
    ranks = {ties: result.ranks["candidates-99"] for ties, result in found.items()}
    assert (ranks["pessimistic"] - ranks["optimistic"]).mean() == pytest.approx(66.8, abs=0.1)
    assert found["optimistic"].metrics["candidates-99/NDCG@5"] == pytest.approx(0.3667, abs=5e-4)
    assert found["pessimistic"].metrics["candidates-99/NDCG@5"] == pytest.approx(0.1261, abs=5e-4)


def test_popularity_equals_a_loop_over_users(corpus):
    parts = split(corpus)
    targets = parts.targets("test")
    degree = np.bincount(parts.training().item, minlength=corpus.num_items + 1)
    table = torch.from_numpy(degree).float()
    result = ranked(corpus, lambda batch, candidates: table.expand(len(batch), -1))
    for p in range(0, len(targets), 50):
        own = degree[targets.item[p]]
        seen = set(targets.events.item[targets.start[p] : targets.end[p]].tolist()) | {int(targets.item[p])}
        others = np.array([degree[i] for i in range(1, corpus.num_items + 1) if i not in seen])
        assert result.ranks["full"][p] == 1 + (others > own).sum() + (others == own).sum() / 2
        listed = degree[targets.candidates[p]]
        assert result.ranks["candidates-99"][p] == 1 + (listed > own).sum() + (listed == own).sum() / 2
