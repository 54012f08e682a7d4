"""Names on a planted shop: the word of each relation is found, not in a random control; a model is followed or not."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.relations import Relation
from lrdgraph.naming import NamingSettings, Proposal, propose_names
from lrdgraph.naming.propose import item_texts
from tests.models import shop
from tests.naming.worlds import WORDS, Reciter, planted, titles

KEYWORDS = NamingSettings("keywords")
OWN = NamingSettings("my-model")
GOOD = ("camping gear", "Both items are used when camping.", "both")


def by_model(*answers: str, graph: EnrichedGraph | None = None) -> tuple[list[Proposal], Reciter]:
    chat = Reciter(answers)
    return propose_names(graph or planted(), titles(), OWN, chat=chat), chat


def test_keywords_find_the_planted_word() -> None:
    found = propose_names(planted(), titles(), KEYWORDS)
    assert [proposal.relation.name for proposal in found] == ["latent_0", "latent_1", "latent_2"]
    for (relation, notes), word in zip(found, WORDS, strict=True):
        assert relation.label.split(", ")[0] == word
        assert f"clearest pairs apart: {word} (100%)" in relation.description
        assert (relation.kind, relation.proposed_by, relation.symmetric, notes) == ("latent", "keywords", True, ())


def test_a_random_control_gets_no_planted_word() -> None:
    for seed in range(5):
        for relation, _ in propose_names(planted(shuffled=True, seed=seed), titles(), KEYWORDS):
            assert not set(WORDS) & set(relation.label.split(", "))
            if relation.label == relation.name:
                assert re.fullmatch(r"No word sets its \d+ clearest pairs apart\.", relation.description)


def test_the_same_words_give_distinct_labels() -> None:
    """Two relations with the same pairs have the same keywords."""
    graph = planted()
    mixture = graph.mixture[:, [0, 0, 1]] * 0.5
    twins = enrich(graph.graph, graph.latent_index, lambda i, j: mixture)
    labels = [relation.label for relation, _ in propose_names(twins, titles(), KEYWORDS)]
    assert labels[0].startswith("camping")
    assert len({label.casefold() for label in labels}) == 3


def test_a_usable_answer_is_followed() -> None:
    names = ["camping gear", "kitchen ware", "garden tools"]
    answers = [part for name in names for part in (name, f"both are {name}", "both")]
    found, chat = by_model(*answers)
    assert [proposal.relation.label for proposal in found] == names
    assert found[1].relation == Relation(
        "latent_1", "latent", "kitchen ware", "Both are kitchen ware.", True, "my-model"
    )
    assert [proposal.notes for proposal in found] == [()] * 3
    assert len(chat.asked) == 9
    assert chat.limits == {OWN.max_new_tokens}


def test_a_model_reads_clear_pairs_and_those_of_others() -> None:
    _, chat = by_model(*GOOD)
    for n, word in enumerate(WORDS):
        name, *rest = (asked[-1]["content"] for asked in chat.asked[3 * n : 3 * n + 3])
        own, others = name.split("Other pairs, of another kind:")
        assert others.count(" -> ") == 4
        assert not any(word in line for line in others.splitlines()[1:5])
        assert f"Frequent words: {word}" in others
        for text in (own, *rest):
            assert text.count(" -> ") == OWN.pairs
            assert text.split("Frequent")[0].count(word) == 2 * OWN.pairs


def test_an_unusable_answer_falls_back_to_keywords_and_says_so() -> None:
    found, _ = by_model("The (The) (The)", "x", "neither")
    for (relation, notes), word in zip(found, WORDS, strict=True):
        assert relation.label.split(", ")[0] == word
        assert relation.proposed_by == "keywords"
        assert notes == ("the model's answer 'The (The) (The)' has no usable name; keywords stand in",)


def test_an_unusable_sentence_alone() -> None:
    found, _ = by_model("camping gear", "x", "both")
    relation, notes = found[0]
    assert (relation.label, relation.proposed_by) == ("camping gear", "my-model")
    assert relation.description.startswith("Words that set its")
    assert notes == ("the model's sentence 'x' is not usable; keywords stand in for it",)


@pytest.mark.parametrize("answer", ["camping gear", "Camping  Gear", "needs this"])
def test_no_name_twice(answer: str) -> None:
    """Neither that of another relation nor that of a predefined one."""
    found, _ = by_model(answer, *GOOD[1:])
    labels = [proposal.relation.label for proposal in found]
    assert len({label.casefold() for label in labels} | {"needs this"}) == 4
    assert "repeats a name; keywords stand in" in found[2].notes[-1]


def test_the_posterior_decides_on_the_direction() -> None:
    found, _ = by_model(*GOOD, graph=planted(turned=0.9))
    assert {proposal.relation.symmetric for proposal in found} == {False}
    assert "the model says that it runs both ways; by the posterior it runs from head to tail" in found[0].notes
    found, _ = by_model("a name", "a whole sentence here", "first to second")
    assert {proposal.relation.symmetric for proposal in found} == {True}


@pytest.mark.parametrize(("answer", "expected"), [("both", True), ("first to second", False), ("maybe", None)])
def test_the_model_is_asked_where_pairs_stand_one_way(answer: str, expected: bool | None) -> None:
    graph = planted()
    half = graph.num_pairs // 2
    one_way = EnrichedGraph(graph.graph, graph.latent_index[:, :half], graph.mixture[:half], graph.latent)
    found, _ = by_model("a name", "a whole sentence here", answer, graph=one_way)
    assert {proposal.relation.symmetric for proposal in found} == {expected}
    assert {relation.symmetric for relation, _ in propose_names(one_way, titles(), KEYWORDS)} == {None}


def test_kept_names_are_not_asked_for() -> None:
    kept = {"latent_1": Relation("latent_1", "latent", "Camping Gear")}
    chat = Reciter(GOOD)
    found = propose_names(planted(), titles(), OWN, kept=kept, chat=chat)
    assert found[1] == Proposal(kept["latent_1"])
    assert len(chat.asked) == 6
    assert found[0].relation.proposed_by == "keywords"  # its label was taken


def test_nothing_is_loaded_where_all_are_kept() -> None:
    kept = {name: Relation(name, "latent", f"a {name}") for name in ("latent_0", "latent_1", "latent_2")}
    found = propose_names(planted(), titles(), NamingSettings("no/such/model/anywhere"), kept=kept)
    assert [proposal.relation for proposal in found] == list(kept.values())


@given(st.lists(st.text(max_size=30), min_size=1, max_size=9))
def test_whatever_a_model_answers(answers: list[str]) -> None:
    found, _ = by_model(*answers)
    labels = [proposal.relation.label for proposal in found]
    assert len({label.casefold() for label in labels} | {"needs this"}) == 4
    assert all(len(f"{one.relation.label} {one.relation.description}".splitlines()) == 1 for one in found)


def test_of_a_trained_model() -> None:
    model = shop.model("lrdgraph", steps=20)
    seen: list[tuple[int, int]] = []
    corpus = shop.shop()
    found = propose_names(
        model, corpus.fields["title"].to_list(), KEYWORDS, progress=lambda done, total: seen.append((done, total))
    )
    assert [proposal.relation.name for proposal in found] == ["latent_0", "latent_1"]
    assert seen == [(1, 2), (2, 2)]


def test_item_texts_are_titles_with_what_else_is_told() -> None:
    fields = pl.DataFrame(
        {
            "title": ["Toy Story", "", "GoldenEye"],
            "year": ["1995", "1996", ""],
            "genres": [["Animation", "Comedy"], [], None],
            "brand": ["", "a &amp; b", None],
            "price": [1.0, 2.0, 3.0],
        }
    )
    assert item_texts(fields, ["Toy Story", "i2", "GoldenEye"]) == [
        "Toy Story (Animation Comedy)",
        "i2 (a & b)",
        "GoldenEye",
    ]
    assert item_texts(pl.DataFrame(), ["i1", "i2"]) == ["i1", "i2"]


def test_bad_input_is_told() -> None:
    with pytest.raises(DataError, match="There are 2 texts for 120 items; give one each"):
        propose_names(planted(), titles(), KEYWORDS, texts=["a", "b"])
    with pytest.raises(ConfigError, match="SASRec discovers no relations"):
        propose_names(shop.model("sasrec"), [], KEYWORDS)
    with pytest.raises(DataError, match="'no/such/model/anywhere' does not exist"):
        propose_names(planted(), titles(), NamingSettings("no/such/model/anywhere"))
