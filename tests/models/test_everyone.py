"""Recommendations for everyone are those for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.models import everyone, recommend
from lrdgraph.models.base import Recommender
from lrdgraph.models.everyone import recommend_everyone
from lrdgraph.models.registry import build_model
from lrdgraph.vocabulary import Vocabulary
from tests.models import shop


def model(name: str) -> Recommender:
    torch.manual_seed(0)
    return shop.model(name, steps=5) if name == "lrdgraph" else build_model(name, shop.inputs(), {}).eval()


def shuffled() -> Corpus:
    """The shop with its interactions in any order."""
    corpus = shop.shop()
    order = np.random.default_rng(0).permutation(len(corpus))
    return replace(corpus, user=corpus.user[order], item=corpus.item[order], time=corpus.time[order])


@pytest.mark.parametrize("name", ["lrdgraph", "bpr-mf", "popularity"])
@pytest.mark.parametrize("strangers", [True, False])
def test_equals_a_loop_over_people(name: str, strangers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (recommend, everyone):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 5)
    corpus, made = shuffled(), model(name)
    table = recommend_everyone(made, corpus, 3, strangers=strangers)
    assert table["user"].unique(maintain_order=True).to_list() == corpus.users.series.to_list()
    for number, user in enumerate(corpus.users.series, start=1):
        rows = np.flatnonzero(corpus.user == number)
        rows = rows[np.argsort(corpus.time[rows], kind="stable")]
        history, times = corpus.items.ids(corpus.item[rows]), corpus.time[rows].tolist()
        who = None if strangers else [number]
        expected = made.recommend([history], [times], k=3, users=who)[0]
        found = table.filter(table["user"] == user)
        assert found["rank"].to_list() == [1, 2, 3]
        assert found["item"].to_list() == [one.item for one in expected]
        np.testing.assert_allclose(found["score"], [one.score for one in expected], atol=1e-5)


@pytest.mark.parametrize("name", ["bpr-mf", "kda"])
def test_people_are_those_of_training_by_id(name: str) -> None:
    corpus, made = shop.shop(), model(name)
    turned = replace(corpus, users=Vocabulary(corpus.users.series.reverse(), "user"))
    turned = replace(turned, user=len(corpus.users) + 1 - corpus.user)
    columns, order = ["user", "rank", "item"], ["user", "rank"]
    expected = recommend_everyone(made, corpus, 3).select(columns).sort(order)
    assert recommend_everyone(made, turned, 3).select(columns).sort(order).equals(expected)
    others = replace(corpus, users=Vocabulary(corpus.users.series + "x", "user"))
    strangers = recommend_everyone(made, corpus, 3, strangers=True)["item"]
    assert recommend_everyone(made, others, 3)["item"].equals(strangers)


def test_events_with_new_items_are_skipped_where_that_is_asked() -> None:
    corpus, made = shop.shop(), model("lrdgraph")
    fields = corpus.fields.vstack(corpus.fields.head(1))
    grown = replace(
        corpus, items=Vocabulary([*corpus.items.series, "new"], "item"), fields=fields, triples=Triples.empty()
    )
    later = replace(
        grown,
        user=np.append(corpus.user, 1),
        item=np.append(corpus.item, len(grown.items)),
        time=np.append(corpus.time, corpus.time.max() + 9),
    )
    with pytest.raises(UnknownIdError, match="'new'"):
        recommend_everyone(made, later)
    assert recommend_everyone(made, later, skip_unknown=True).equals(recommend_everyone(made, corpus))


def test_only_some_items() -> None:
    corpus, made = shop.shop(), model("lrdgraph")
    ids = corpus.items.series.to_list()
    everything, asked = recommend_everyone(made, corpus, 100), {"only": ids[:9], "exclude": ids[3:5]}
    left = everything.filter(everything["item"].is_in(ids[:3] + ids[5:9]))
    found = recommend_everyone(made, corpus, 100, **asked)
    assert found.drop("rank").equals(left.drop("rank"))


def test_items_go_by_their_ids_and_people_without_events_are_left_out() -> None:
    corpus, made = shop.shop(), model("lrdgraph")
    turned = Vocabulary(corpus.items.series.reverse(), "item")
    fields = corpus.fields.reverse()
    other = replace(corpus, items=turned, item=len(corpus.items) + 1 - corpus.item, fields=fields)
    assert recommend_everyone(made, other, 2).equals(recommend_everyone(made, corpus, 2))
    few = corpus.user > 2
    less = replace(
        corpus, user=corpus.user[few], item=corpus.item[few], time=corpus.time[few], split=None, candidates={}
    )
    kept = recommend_everyone(made, less, 2)
    assert kept["user"].unique(maintain_order=True).to_list() == corpus.users.series.to_list()[2:]


def test_where_nothing_is_left_the_list_is_shorter() -> None:
    corpus, made = shop.shop(), model("popularity")
    table = recommend_everyone(made, corpus, 1000)
    had = np.array([len(set(corpus.item[corpus.user == u])) for u in range(1, corpus.num_users + 1)])
    assert table.group_by("user", maintain_order=True).len()["len"].to_list() == (corpus.num_items - had).tolist()
    assert recommend_everyone(made, corpus, 1000, filter_seen=False).height == corpus.num_users * corpus.num_items


def test_bad_input_gives_one_sentence() -> None:
    corpus, made = shop.shop(), model("popularity")
    with pytest.raises(ConfigError, match="k must be 1 or more"):
        recommend_everyone(made, corpus, 0)
    with pytest.raises(DataError, match="after the request at 5; ask later"):
        recommend_everyone(made, corpus, at=5)
    with pytest.raises(DataError, match="'at' must be whole seconds since 1970; got 2024-01-01"):
        recommend_everyone(made, corpus, at="2024-01-01")  # type: ignore[arg-type]
    more = replace(corpus, users=Vocabulary([*corpus.users.series, "someone"], "user"))
    assert recommend_everyone(made, more).height
    made.inputs = replace(made.inputs, users=None)
    with pytest.raises(DataError, match="set strangers"):
        recommend_everyone(made, more)
    assert recommend_everyone(made, more, strangers=True).height
    renamed = replace(corpus, items=Vocabulary(["new", *corpus.items.series[1:]], "item"))
    with pytest.raises(UnknownIdError, match="'new'"):
        recommend_everyone(made, renamed)
