from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation import Evaluation, EvaluationSettings, evaluate
from tests.evaluation.worlds import Table, coarse, make_targets, slow_ranks

USERS, ITEMS = 40, 25


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(3, 20),
    ties=st.sampled_from(["optimistic", "realistic", "pessimistic"]),
    filter_seen=st.booleans(),
    protocols=st.sampled_from(["auto", "full", "candidates"]),
    batch_size=st.integers(1, 12),
    item_chunk=st.integers(2, 25),
    max_length=st.integers(1, 10),
)
def test_ranks_equal_the_loops(seed, items, ties, filter_seen, protocols, batch_size, item_chunk, max_length):
    targets, score = make_targets(seed, 10, items, width=7), coarse(seed, 10, items)
    chosen = EvaluationSettings((1, 3), ties, filter_seen, "target", protocols, batch_size, item_chunk)
    ranks = evaluate(score, targets, chosen, max_length=max_length, num_items=items).ranks
    slow = slow_ranks(score.table, targets, chosen, items)
    expected = {"full": slow["full"], "candidates-7": slow["candidates"]}
    wanted = {"auto": ["full", "candidates-7"], "full": ["full"], "candidates": ["candidates-7"]}[protocols]
    assert {name: rank.tolist() for name, rank in ranks.items()} == {name: expected[name] for name in wanted}


def test_chunks_of_users_and_items_leave_the_metrics_of_real_valued_scores():
    targets = make_targets(1, USERS, ITEMS)
    table = torch.randn(USERS + 1, ITEMS + 1, generator=torch.Generator().manual_seed(1))
    whole = evaluate(Table(table), targets, max_length=5, num_items=ITEMS)
    for batch_size, item_chunk in ((1, 2), (7, 5), (USERS, ITEMS), (USERS, ITEMS + 1)):
        parts = EvaluationSettings(batch_size=batch_size, item_chunk=item_chunk)
        assert evaluate(Table(table), targets, parts, max_length=5, num_items=ITEMS).metrics == whole.metrics


def test_never_more_items_at_once_than_the_chunk():
    targets, score = make_targets(2, USERS, ITEMS, width=30), coarse(2, USERS, ITEMS)
    evaluate(score, targets, EvaluationSettings(item_chunk=6), max_length=5, num_items=ITEMS)
    assert max(score.widths) <= 6
    assert 6 in score.widths


def test_a_catalogue_that_fits_is_scored_once_for_both_protocols():
    targets, score = make_targets(2, USERS, ITEMS), coarse(2, USERS, ITEMS)
    evaluate(score, targets, EvaluationSettings(batch_size=10), max_length=5, num_items=ITEMS)
    assert score.widths == [ITEMS + 1] * 4


def planted(targets, users: int, items: int) -> Table:
    table = torch.zeros(users + 1, items + 1)
    table[torch.from_numpy(targets.user), torch.from_numpy(targets.item)] = 1.0
    return Table(table)


def test_who_knows_the_target_is_perfect_and_who_guesses_hits_k_in_n():
    users, items = 3000, 100
    targets = replace(make_targets(3, users, items), candidates=None)
    knows = evaluate(planted(targets, users, items), targets, max_length=5, num_items=items)
    assert knows.metrics == dict.fromkeys(knows.metrics, 1.0)

    noise = Table(torch.rand(users + 1, items + 1, generator=torch.Generator().manual_seed(0)))
    guesses = evaluate(noise, targets, EvaluationSettings(filter_seen=False), max_length=5, num_items=items)
    # standard error sqrt(.1 · .9 / 3000) = 0.0055
    assert guesses.metrics["full/HR@10"] == pytest.approx(10 / items, abs=0.02)


def test_a_constant_scorer_gets_the_middle_rank():
    targets = replace(make_targets(4, USERS, ITEMS), candidates=np.full((USERS, 9), 3))
    constant = Table(torch.zeros(USERS + 1, ITEMS + 1))
    ranks = evaluate(constant, targets, EvaluationSettings(filter_seen=False), max_length=5, num_items=ITEMS).ranks
    assert set(ranks["full"]) == {(1 + ITEMS) / 2}
    assert set(ranks["candidates-9"]) == {(1 + 10) / 2}


def test_the_score_of_padding_never_counts():
    targets = make_targets(5, USERS, ITEMS)
    table = planted(targets, USERS, ITEMS).table
    table[:, 0] = 9.0
    for item_chunk in (4, 100):
        chosen = EvaluationSettings(item_chunk=item_chunk)
        ranks = evaluate(Table(table), targets, chosen, max_length=5, num_items=ITEMS).ranks
        assert set(ranks["full"]) == {1.0}


def test_seen_items_are_those_of_the_whole_history_not_of_the_last_events():
    targets = make_targets(6, 1, 8, longest=2)
    events = replace(targets.events, item=np.array([1, 2, 3, 4]), time=np.arange(4), offsets=np.array([0, 0, 4]))
    targets = replace(targets, item=np.array([4]), time=np.array([3]), start=np.array([0]), end=np.array([3]))
    targets = replace(targets, events=events, candidates=np.array([[1, 2, 7]]))
    score = Table(torch.tensor([[0.0] * 9, [0.0, 9, 9, 9, 5, 0, 0, 7, 0]]))  # above target 4: seen 1, 2, 3, and 7
    for filter_seen, rank in ((True, 2.0), (False, 5.0)):
        chosen = EvaluationSettings(filter_seen=filter_seen)
        result = evaluate(score, targets, chosen, max_length=1, num_items=8)
        assert result.ranks["full"].tolist() == [rank]
        assert result.ranks["candidates-3"].tolist() == [4.0]  # a published list keeps its seen items


def test_a_target_bought_before_still_competes_for_its_own_place():
    targets = make_targets(7, 1, 3, longest=2)
    events = replace(targets.events, item=np.array([2, 1, 2]), time=np.arange(3), offsets=np.array([0, 0, 3]))
    targets = replace(targets, item=np.array([2]), time=np.array([2]), start=np.array([0]), end=np.array([2]))
    targets = replace(targets, events=events, candidates=None)
    score = Table(torch.tensor([[0.0] * 4, [0.0, 9.0, 5.0, 7.0]]))
    assert evaluate(score, targets, max_length=2, num_items=3).ranks["full"].tolist() == [2.0]


def test_listed_duplicates_count_each_and_the_listed_target_is_a_tie():
    targets = replace(make_targets(8, 1, 5), candidates=np.array([[3, 3, 4, 0, 2]]), item=np.array([2]))
    score = Table(torch.tensor([[0.0] * 6, [9.0, 0.0, 5.0, 7.0, 1.0, 0.0]]))
    ranks = {}
    for protocols in ("auto", "candidates"):
        chosen = EvaluationSettings(protocols=protocols, ties="pessimistic")
        ranks[protocols] = evaluate(score, targets, chosen, max_length=3, num_items=5).ranks["candidates-5"].tolist()
    assert ranks == {"auto": [4.0], "candidates": [4.0]}


def test_the_scorer_sees_the_last_events_the_moment_and_no_gradient():
    targets, weight = make_targets(9, 4, ITEMS), torch.ones(ITEMS + 1, requires_grad=True)
    asked = {}
    for request in ("target", "last-event"):

        def score(batch, candidates, request=request):
            asked[request] = (batch.history, batch.moment[:, -1], torch.is_grad_enabled())
            return (weight * 2).expand(len(batch), -1)

        chosen = EvaluationSettings(request=request)
        evaluate(score, targets, chosen, max_length=1, num_items=ITEMS)
    history, moment, gradient = asked["target"]
    assert history[:, 0].tolist() == targets.events.item[targets.end - 1].tolist()
    assert moment.tolist() == targets.time.tolist()
    assert asked["last-event"][1].tolist() == targets.events.time[targets.end - 1].tolist()
    assert not gradient


def test_buckets_by_degree_and_by_tie_partition_the_targets():
    targets, score = make_targets(10, USERS, ITEMS), coarse(10, USERS, ITEMS)
    degree = np.arange(ITEMS + 1) - 1
    result = evaluate(score, targets, max_length=5, num_items=ITEMS, degree=degree)
    bounds = {"degree 0": (0, 0), "degree 1-5": (1, 5), "degree 6-20": (6, 20), "degree >20": (21, 1000)}
    for protocol, buckets in result.buckets.items():
        for name, (low, high) in bounds.items():
            inside = [r for r, i in zip(result.ranks[protocol], targets.item, strict=True) if low <= degree[i] <= high]
            assert buckets[name]["count"] == len(inside)
            if inside:
                assert buckets[name]["MRR"] == pytest.approx(np.mean([1 / r for r in inside]))
                assert buckets[name]["HR@5"] == pytest.approx(np.mean([r <= 5 for r in inside]))
        assert buckets["tied"]["count"] == targets.tied.sum()
        assert buckets["untied"]["MRR"] == pytest.approx((1 / result.ranks[protocol][~targets.tied]).mean())


def test_an_empty_bucket_has_its_count_alone_and_json_holds_no_nan():
    targets, score = make_targets(11, USERS, ITEMS), coarse(11, USERS, ITEMS)
    result = evaluate(score, targets, max_length=5, num_items=ITEMS, degree=np.full(ITEMS + 1, 3))
    assert result.buckets["full"]["degree 0"] == {"count": 0}
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text)["metrics"] == result.metrics
    assert json.loads(text)["settings"]["ks"] == [5, 10]
    assert json.loads(text)["targets"] == USERS


def test_names_carry_the_protocol():
    targets, score = make_targets(12, USERS, ITEMS), coarse(12, USERS, ITEMS)
    result = evaluate(score, targets, EvaluationSettings(ks=(3,)), max_length=5, num_items=ITEMS)
    names = ["HR@3", "NDCG@3", "MRR"]
    assert list(result.metrics) == [f"{protocol}/{name}" for protocol in ("full", "candidates-9") for name in names]
    assert "full/NDCG@3" in repr(result)
    assert result.per_target("candidates-9/MRR").mean() == pytest.approx(result.metrics["candidates-9/MRR"])
    with pytest.raises(ConfigError, match="no protocol 'candidates-99'"):
        result.per_target("candidates-99/MRR")


def test_merged_parts_equal_the_whole():
    targets, score = make_targets(13, USERS, ITEMS), coarse(13, USERS, ITEMS)
    degree = np.arange(ITEMS + 1)
    whole = evaluate(score, targets, max_length=5, num_items=ITEMS, degree=degree)
    parts = []
    for rows in (np.arange(0, 15), np.arange(15, USERS)):
        columns = ("user", "item", "time", "start", "end", "tied", "candidates")
        some = replace(targets, **{name: getattr(targets, name)[rows] for name in columns})
        parts.append(evaluate(score, some, max_length=5, num_items=ITEMS, degree=degree))
    assert Evaluation.merge(parts).to_json() == whole.to_json()
    other = evaluate(score, targets, EvaluationSettings(ties="optimistic"), max_length=5, num_items=ITEMS)
    for wrong in ([], [whole, other]):
        with pytest.raises(ConfigError):
            Evaluation.merge(wrong)


def test_progress_counts_targets():
    seen = []
    targets, score = make_targets(14, 7, ITEMS), coarse(14, 7, ITEMS)
    chosen = EvaluationSettings(batch_size=3)
    evaluate(score, targets, chosen, max_length=5, num_items=ITEMS, progress=lambda *now: seen.append(now))
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_each_misuse_is_one_sentence():
    targets, score = make_targets(15, 5, ITEMS), coarse(15, 5, ITEMS)

    def run(targets=targets, score=score, chosen=None, items=ITEMS, degree=None):
        return evaluate(score, targets, chosen, max_length=5, num_items=items, degree=degree)

    bare = replace(targets, candidates=None)
    with pytest.raises(ConfigError, match="publishes no candidate lists"):
        run(bare, chosen=EvaluationSettings(protocols="candidates"))
    none = replace(bare, user=np.zeros(0, int), item=np.zeros(0, int))
    with pytest.raises(DataError, match="no targets"):
        run(none)
    with pytest.raises(DataError, match=r"A target is item 99, outside 1…25"):
        run(replace(targets, item=np.array([1, 2, 99, 3, 4])))
    with pytest.raises(DataError, match=r"A candidate is item -1, outside 0…25"):
        run(replace(targets, candidates=np.full((5, 3), -1)))
    with pytest.raises(DataError, match="26, row 0 for padding"):
        run(degree=np.zeros(ITEMS))
    with pytest.raises(DataError, match=r"gave shape \(5,\) where \(5, 26\)"):
        run(score=lambda batch, candidates: torch.zeros(5))
    with pytest.raises(DataError, match="scores are NaN"):
        run(score=lambda batch, candidates: torch.full((5, 26), float("nan")))
