from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.batch import target_batch
from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.models import recommend as subject
from lrdgraph.models.base import dot
from lrdgraph.models.evidence import among
from lrdgraph.models.recommend import Reason, Recommendation, recommend
from lrdgraph.models.registry import build_model
from lrdgraph.models.request import request_events
from lrdgraph.splits import split
from tests.models import shop

DAY = shop.DAY


@pytest.fixture(scope="module")
def flagship():
    torch.manual_seed(0)
    return shop.model("lrdgraph", steps=20)


@pytest.fixture(scope="module")
def counts():
    return shop.model("relation-count", relations=("needs",))


def people(number: int, longest: int = 8):
    """Random histories with times that rise."""
    rng = np.random.default_rng(1)
    ids = np.array(shop.shop().items.series.to_list())
    lengths = rng.integers(1, longest + 1, number)
    histories = [rng.choice(ids, length).tolist() for length in lengths]
    return histories, [np.sort(rng.integers(10_000, 10_400, length) * DAY).tolist() for length in lengths]


def flat(answers):
    return [(r.item, round(r.score, 4)) for answer in answers for r in answer]


def test_what_is_planted_is_recommended(flagship):
    for colour in shop.COLOURS:
        best, *_ = flagship.recommend([[f"{colour}-pen"]], k=3)[0]
        assert best.item == f"{colour}-ink"


@pytest.mark.parametrize("name", ["lrdgraph", "sasrec", "popularity", "relation-count"])
def test_alone_or_in_company_the_answer_is_the_same(name, monkeypatch):
    model = shop.model(name, steps=0 if name in ("popularity", "relation-count") else 5)
    histories, times = people(30)
    together = recommend(model, histories, times, k=5)
    alone = [recommend(model, [h], [t], k=5)[0] for h, t in zip(histories, times, strict=True)]
    monkeypatch.setattr(subject, "ROWS_AT_ONCE", 7)
    in_blocks = recommend(model, histories, times, k=5)
    for other in (alone, in_blocks):
        assert [[r.item for r in answer] for answer in other] == [[r.item for r in answer] for answer in together]
        assert np.allclose([s for _, s in flat(other)], [s for _, s in flat(together)], atol=1e-3)


@pytest.mark.parametrize("name", ["lrdgraph", "bpr-mf", "cfkg"])
def test_equals_the_scores_of_evaluation_for_people_of_the_corpus(name):
    torch.manual_seed(0)
    model = shop.model(name, steps=20) if name == "lrdgraph" else build_model(name, shop.inputs(), {}).eval()
    corpus, targets = shop.shop(), split(shop.shop()).targets("test")
    scores = model.score(target_batch(targets, np.arange(len(targets)), model.max_length)).detach()
    spans = list(zip(targets.start, targets.end, strict=True))
    histories = [corpus.items.ids(targets.events.item[a:b]) for a, b in spans]
    times = [targets.events.time[a:b] for a, b in spans]
    answers = model.recommend(histories, times, at=targets.time, k=24, users=targets.user, filter_seen=False)
    strangers = model.recommend(histories, times, at=targets.time, k=24, filter_seen=False)
    assert (answers == strangers) == (name == "lrdgraph")
    for row, answer in zip(scores, answers, strict=True):
        expected = sorted(range(1, 25), key=lambda i: -float(row[i]))
        assert np.allclose([r.score for r in answer], row[expected], atol=1e-5)
        assert sorted(r.item for r in answer) == sorted(corpus.items.series)


def test_seen_items_are_left_out_beyond_the_window_too(flagship):
    history = ["red-pen", "blue-pen", "red-ink", "gold-pen", "gold-ink", "gold-pad", "blue-ink"]
    assert len(history) > flagship.max_length
    answers = [r.item for r in flagship.recommend([history], k=24)[0]]
    assert sorted(answers) == sorted(set(shop.shop().items.series) - set(history))
    assert len(flagship.recommend([history], k=24, filter_seen=False)[0]) == 24
    assert flagship.recommend([shop.shop().items.series.to_list()], k=3) == [[]]


def test_events_are_sorted_by_time_stably(flagship):
    history = ["red-pen", "blue-ink", "gold-case", "red-pad"]
    shuffled = flagship.recommend([[history[n] for n in (2, 0, 3, 1)]], [[9, 5, 9, 7]])
    assert shuffled == flagship.recommend([history], [[5, 7, 9, 9]])
    assert shuffled != flagship.recommend([history[:2] + history[:1:-1]], [[5, 7, 9, 9]])


def test_without_times_everything_happens_at_the_request(flagship):
    history = ["red-pen", "blue-ink"]
    last = int(split(shop.shop()).training().time.max())
    assert flagship.recommend([history]) == flagship.recommend([history], [[last, last]])
    assert request_events(flagship.inputs.items, [history], None, None, now=last).moment.tolist() == [last]
    assert flagship.recommend([history], at=77 * DAY) == flagship.recommend([history], [[77 * DAY] * 2], at=77 * DAY)


def test_the_moment_of_the_request(counts, flagship):
    def seconds(at):
        answer = counts.recommend([["red-pen"], ["red-pen"]], [[100], [50]], at=at, k=1, reasons=1)
        return [recommendation.reasons[0].seconds_ago for (recommendation,) in answer]

    assert seconds(None) == [0, 0]
    assert seconds(500) == [400, 450]
    assert seconds([500, 60]) == [400, 10]
    now, later = (flagship.recommend([["red-pen"]], [[0]], at=days * DAY, k=1)[0][0].score for days in (0, 300))
    assert now != later


def test_reasons_by_hand(counts):
    answer = counts.recommend([["red-pen", "red-ink", "red-pen"]], [[0, DAY, 3 * DAY]], k=24, reasons=2, at=3 * DAY)[0]
    assert answer[0] == Recommendation("red-pad", 0.5, (Reason("red-ink", "needs", 2 * DAY, 0.5),))
    assert answer[1].reasons == ()  # nothing leads there
    seen = counts.recommend([["red-pen", "red-pen"]], [[0, DAY]], k=1, reasons=5, filter_seen=False)[0][0]
    assert seen.reasons == (Reason("red-pen", "needs", DAY, 1.0), Reason("red-pen", "needs", 0, 1.0))
    one = counts.recommend([["red-pen", "red-pen"]], k=1, reasons=1, filter_seen=False)[0][0]
    assert len(one.reasons) == 1
    assert counts.recommend([["red-pen"]], k=1)[0][0].reasons == ()


def test_sentences():
    told = Recommendation("ink", 1.25, (Reason("pen", "needs", 3 * DAY, 0.5), Reason("pad", "latent_0", 0, 0.25)))
    assert str(told) == "ink (1.250): needs of pen, 3 days ago; latent_0 of pad"
    assert str(Recommendation("ink", -1.0)) == "ink (-1.000)"
    ago = {1: "1 second", 59: "59 seconds", 60: "1 minute", 7199: "1 hour", 45 * DAY: "45 days", 70 * DAY: "2 months"}
    for seconds, words in (ago | {365 * 3 * DAY: "2 years"}).items():
        assert str(Reason("pen", "needs", seconds, 1.0)) == f"needs of pen, {words} ago"


@pytest.mark.parametrize("settings", [{}, {"latent": "fixed"}, {"num_latent": 0}])
def test_parts_dot_product_and_bias_add_up_to_the_score(settings):
    model = shop.model("lrdgraph", steps=5, **settings)
    targets = split(shop.shop()).targets("test")
    batch = target_batch(targets, np.arange(20), model.max_length)
    candidates = torch.stack([torch.randperm(24)[:9] + 1 for _ in range(20)])
    with torch.no_grad():
        told = model.explain(batch, candidates)
        vectors = model.item_vectors()
        rest = dot(model.encode(batch, vectors)[:, -1], vectors, model.bias, candidates)
        parts = torch.zeros_like(rest).index_put((told.row, told.column), told.value, accumulate=True)
        scores = model.score(batch, candidates)
    assert torch.allclose(rest + parts, scores, atol=1e-5)
    assert not torch.allclose(rest, scores, atol=1e-2)


def test_parts_equal_a_loop_over_events_and_edges(flagship):
    targets = split(shop.shop()).targets("test")
    batch = target_batch(targets, np.arange(6), flagship.max_length)
    candidates = torch.stack([torch.randperm(24)[:6] + 1 for _ in range(6)])
    with torch.no_grad():
        told = flagship.explain(batch, candidates)
        mixture = flagship.mixture().tolist()
        kernel = {gap: flagship.kernel(torch.tensor([gap]))[0].tolist() for gap in told.seconds.unique().tolist()}
    graph = flagship.inputs.graph
    typed = list(zip(*graph.edge_index.tolist(), graph.edge_type.tolist(), graph.edge_weight.tolist(), strict=True))
    pairs = list(zip(*flagship.pairs.tolist(), mixture, strict=True))
    expected = []
    for row, history in enumerate(batch.history.tolist()):
        for item, time in zip(history, batch.history_time[row].tolist(), strict=True):
            gap = int(batch.moment[row, -1]) - time
            for column, candidate in enumerate(candidates[row].tolist()):
                for source, target, kind, weight in typed:
                    if (source, target) == (item, candidate):
                        expected.append((row, column, item, kind, gap, kernel[gap][kind] * weight))
                for source, target, weights in pairs:
                    if (source, target) == (item, candidate):
                        shares = enumerate(weights, start=len(graph.relations))
                        expected += [
                            (row, column, item, kind, gap, kernel[gap][kind] * share) for kind, share in shares
                        ]
    columns = (getattr(told, key).tolist() for key in ("row", "column", "item", "relation", "seconds", "value"))
    found = sorted(zip(*columns, strict=True))
    assert [part[:5] for part in found] == [part[:5] for part in sorted(expected)]
    assert np.allclose([part[5] for part in found], [part[5] for part in sorted(expected)], atol=1e-6)
    assert told.labels == ("needs", "colour", "needs (inverse)", "colour (inverse)", "latent_0", "latent_1")


def test_flagship_tells_latent_and_predefined_reasons(flagship):
    answers = flagship.recommend([["red-pen"]], [[0]], at=4 * DAY, k=24, reasons=10)[0]
    reasons = [reason for answer in answers for reason in answer.reasons]
    assert {"needs", "latent_0", "latent_1"} <= {reason.relation for reason in reasons}
    assert all(reason.weight > 0 and reason.item == "red-pen" for reason in reasons)
    assert {reason.seconds_ago for reason in reasons} == {4 * DAY}
    for answer in answers:
        assert list(answer.reasons) == sorted(answer.reasons, key=lambda reason: -reason.weight)


def test_models_without_evidence_give_no_reasons():
    for model in (shop.model("lrdgraph", evidence=False), shop.model("sasrec")):
        assert model.recommend([["red-pen"]], k=2, reasons=3)[0][0].reasons == ()


def test_only_what_speaks_for_an_item_is_a_reason():
    model = shop.model("relation-count")
    model.evidence.weight[::2] *= -1
    answer = model.recommend([["red-pen", "red-ink", "blue-ink"]], k=24, reasons=9, filter_seen=False)[0]
    weights = [reason.weight for recommendation in answer for reason in recommendation.reasons]
    assert weights
    assert min(weights) > 0
    assert answer[-1].score < 0
    assert answer[-1].reasons == ()


def test_mode_is_left_as_it_was(flagship):
    learning = shop.model("lrdgraph", dropout=0.5)
    expected = learning.recommend([["red-pen"]])
    learning.train()
    assert learning.recommend([["red-pen"]]) == expected
    assert learning.training
    flagship.recommend([["red-pen"]])
    kept = flagship._cache["vectors"]
    flagship.recommend([["red-pen"]])
    assert flagship._cache["vectors"] is kept  # nothing is computed anew for the next request
    assert not flagship.training


def test_no_people_and_few_items(flagship):
    assert flagship.recommend([]) == []
    assert len(flagship.recommend([["red-pen"]], k=1000)[0]) == 23


def test_only_some_items_in_the_order_of_all(flagship):
    histories = people(30)[0]
    everything = flagship.recommend(histories, k=1000)
    ids = flagship.inputs.items.series.to_list()
    some, gone = ids[::3], [ids[0], ids[4], ids[6]]
    for asked in ({"only": some}, {"exclude": gone}, {"only": some, "exclude": gone}, {"only": iter(some)}):
        left = set(some if "only" in asked else ids) - set(asked.get("exclude", ()))
        found = flagship.recommend(histories, k=4, **asked)
        assert [[a.item for a in row] for row in found] == [
            [a.item for a in row if a.item in left][:4] for row in everything
        ]
    assert flagship.recommend([["red-pen"]], only=[]) == [[]]
    assert flagship.recommend([["red-pen"]], only=["red-pen"]) == [[]]


BAD = {
    "an unknown id": (UnknownIdError, "'red-pan' is not in the corpus \\(did you mean 'red-pen'", [["red-pan"]], {}),
    "an empty history": (DataError, "History 2 of 2 is empty; give at least one item", [["red-pen"], []], {}),
    "a string": (DataError, "got the string 'red-pen': put it into a list", ["red-pen"], {}),
    "a string alone": (DataError, "got the string 'red-pen': put it into a list", "red-pen", {}),
    "numbers alone": (DataError, "A history is a list of item ids; got 50: put it into a list", [50, 172], {}),
    "a number to leave out": (
        DataError,
        "The item id 7 is of type int; give ids as strings",
        [["red-pen"]],
        {"exclude": [7]},
    ),
    "k in words": (ConfigError, "k must be 1 or more and reasons 0 or more; got k='5'", [["red-pen"]], {"k": "5"}),
    "a number": (DataError, "An item id is 7 of type int; give ids as strings", [[7]], {}),
    "too few times": (DataError, "History 1 of 1 has 1 items and 2 times", [["red-pen"]], {"times": [[1, 2]]}),
    "times for others": (DataError, "There are times for 2 histories, and 1", [["red-pen"]], {"times": [[1], [2]]}),
    "words for times": (DataError, "'times' must be whole seconds", [["red-pen"]], {"times": [["noon"]]}),
    "broken times": (DataError, "'times' must be whole seconds", [["red-pen"]], {"times": [[1.5]]}),
    "a NaN": (DataError, "'times' must be whole seconds", [["red-pen"]], {"times": [[float("nan")]]}),
    "too early": (DataError, "has an event at 9, after the request at 8", [["red-pen"]], {"times": [[9]], "at": 8}),
    "two requests": (DataError, "'at' holds 2 moments for 1 histories", [["red-pen"]], {"at": [1, 2]}),
    "a moment that wraps": (DataError, "'at' must be whole seconds", [["red-pen"]], {"at": 2**63}),
    "half a second": (DataError, "'at' must be whole seconds", [["red-pen"]], {"at": 0.5}),
    "too few users": (DataError, "'users' must hold, for each of 1 histories, a number", [["red-pen"]], {"users": []}),
    "no such user": (DataError, "a number from 0 to", [["red-pen"]], {"users": [10**6]}),
    "a user's name": (DataError, "'users' must be whole numbers", [["red-pen"]], {"users": ["ann"]}),
    "no items": (ConfigError, "k must be 1 or more", [["red-pen"]], {"k": 0}),
    "no such item to leave out": (UnknownIdError, "'red-pan' is not", [["red-pen"]], {"exclude": ["red-pan"]}),
    "an item for items": (DataError, "got the string 'red-pen'", [["red-pen"]], {"only": "red-pen"}),
    "less than no reason": (ConfigError, "reasons 0 or more", [["red-pen"]], {"reasons": -1}),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_one_sentence(case, counts):
    kind, sentence, histories, options = BAD[case]
    with pytest.raises(kind, match=sentence) as caught:
        counts.recommend(histories, **options)
    assert str(caught.value).count("\n") == 0


def test_scores_that_are_no_numbers_are_told():
    model = shop.model("sasrec")
    with torch.no_grad():
        model.bias.fill_(torch.nan)
    with pytest.raises(DataError, match="SASRec gives scores that are not numbers"):
        model.recommend([["red-pen"]])


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 6))
def test_best_is_the_head_of_a_stable_sort(rows, k):
    scores = torch.tensor(rows, dtype=torch.float32)
    expected = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    assert subject._best(scores, k).tolist() == expected.tolist()


@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 20))
def test_among_equals_a_search(rows, width, number):
    candidates = torch.stack([torch.randperm(5)[:width] for _ in range(rows)])
    position, item = torch.randint(rows, (number,)), torch.randint(9, (number,))
    found, column = among(position, item, candidates)
    expected = [
        (x, candidates[p].tolist().index(i))
        for x, (p, i) in enumerate(zip(position.tolist(), item.tolist(), strict=True))
        if i in candidates[p].tolist()
    ]
    assert list(zip(found.tolist(), column.tolist(), strict=True)) == expected


def test_a_run_is_no_model():
    with pytest.raises(ConfigError, match=r"A model is needed to recommend, got dict; give run.model of a run\."):
        recommend({}, [["red-pen"]])
