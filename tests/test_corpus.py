from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.vocabulary import Vocabulary

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    """Any small corpus, with or without each of the things a corpus may lack."""
    items = draw(st.lists(text.filter(bool), unique=True, min_size=1, max_size=6))
    values = draw(st.lists(text.filter(bool), unique=True, max_size=3))
    texts = st.lists(text, min_size=len(items), max_size=len(items))
    users, size = draw(st.integers(1, 4)), draw(st.integers(0, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    nodes, relations, triples = len(items) + len(values), draw(st.integers(1, 3)), draw(st.integers(0, 8))
    split = rng.integers(0, 3, size).astype(np.int8) if draw(st.booleans()) else None
    candidates = {}
    if split is not None and draw(st.booleans()):
        counts = {"validation": int((split == 1).sum()), "test": int((split == 2).sum())}
        candidates = {role: rng.integers(1, len(items) + 1, (n, 4)) for role, n in counts.items()}
    return Corpus(
        name=draw(text),
        users=Vocabulary([f"u{i}" for i in range(users)], "user"),
        items=Vocabulary(items),
        user=rng.integers(1, users + 1, size),
        item=rng.integers(1, len(items) + 1, size),
        time=rng.integers(0, 5, size),
        fields=pl.DataFrame({name: draw(texts) for name in "ab"[: users % 3]}),
        attributes=Vocabulary(values, "attribute"),
        triples=Triples(
            rng.integers(1, nodes + 1, triples),
            rng.integers(0, relations, triples),
            rng.integers(1, nodes + 1, triples),
            tuple(f"r{i}" for i in range(relations)),
            rng.random(triples, dtype=np.float32) if draw(st.booleans()) else None,
        ),
        split=split,
        candidates=candidates,
        dropped=draw(st.dictionaries(text, st.integers(0, 9), max_size=2)),
    )


@settings(max_examples=15)  # each example waits for the disk
@given(corpora())
def test_saving_and_loading_gives_the_same_corpus(corpus: Corpus):
    with tempfile.TemporaryDirectory() as folder:
        twin = Corpus.load(corpus.save(Path(folder) / "corpus"))
    assert twin.fingerprint == corpus.fingerprint
    assert (twin.name, twin.dropped, repr(twin)) == (corpus.name, corpus.dropped, repr(corpus))
    for name in ("user", "item", "time", "split"):
        mine, its = getattr(corpus, name), getattr(twin, name)
        assert (mine is None) == (its is None)
        assert mine is None or (np.array_equal(mine, its) and mine.dtype == its.dtype and not its.flags.writeable)
    assert {r: rows.tolist() for r, rows in twin.candidates.items()} == {
        r: rows.tolist() for r, rows in corpus.candidates.items()
    }
    assert twin.fields.to_dict(as_series=False) == corpus.fields.to_dict(as_series=False)


def parts(**changes: Any) -> dict[str, Any]:
    """Arguments of a small good corpus, some of them changed."""
    good: dict[str, Any] = {
        "name": "small",
        "users": Vocabulary(["ann", "bob"], "user"),
        "items": Vocabulary(["pen", "ink", "pad"]),
        "user": np.array([1, 1, 2]),
        "item": np.array([1, 2, 3]),
        "time": np.array([5, 6, 7]),
        "fields": pl.DataFrame({"title": ["Pen", "Ink", "Pad"], "brand": ["", "x", "y"]}),
        "attributes": Vocabulary(["blue", "red"], "attribute"),
        "triples": Triples(
            np.array([1, 2]), np.array([0, 1]), np.array([2, 4]), ("needs", "colour"), np.ones(2, np.float32)
        ),
        "split": np.array([0, 1, 2], dtype=np.int8),
        "candidates": {"validation": np.array([[1, 3]]), "test": np.array([[1, 2]])},
    }
    return good | changes


def triples(**changes: Any) -> Triples:
    return replace(parts()["triples"], **changes)


CHANGES: dict[str, dict[str, Any]] = {
    "user names": {"users": Vocabulary(["ann", "bo"], "user")},
    "item names": {"items": Vocabulary(["pen", "inkp", "ad"])},
    "attribute names": {"attributes": Vocabulary(["blue", "rot"], "attribute")},
    "user": {"user": np.array([1, 2, 2])},
    "item": {"item": np.array([1, 2, 2])},
    "time": {"time": np.array([5, 6, 8])},
    "order": {"user": np.array([1, 2, 1]), "item": np.array([1, 3, 2]), "time": np.array([5, 7, 6])},
    "field text": {"fields": pl.DataFrame({"title": ["Pen", "Ink", "Pads"], "brand": ["", "x", "y"]})},
    "field name": {"fields": pl.DataFrame({"title": ["Pen", "Ink", "Pad"], "maker": ["", "x", "y"]})},
    "text moved between items": {"fields": pl.DataFrame({"title": ["PenI", "nk", "Pad"], "brand": ["", "x", "y"]})},
    "head": {"triples": triples(head=np.array([1, 3]))},
    "relation": {"triples": triples(relation=np.array([0, 0]))},
    "tail": {"triples": triples(tail=np.array([2, 5]))},
    "weight": {"triples": triples(weight=np.array([1, 0.5], dtype=np.float32))},
    "no weight": {"triples": triples(weight=None)},
    "relation name": {"triples": triples(names=("needs", "hue"))},
    "split": {"split": np.array([1, 0, 2], dtype=np.int8)},
    "candidates": {"candidates": {"validation": np.array([[3, 1]]), "test": np.array([[1, 2]])}},
    "role of candidates": {"candidates": {"test": np.array([[1, 3]])}},
    "role of candidates too": {"candidates": {"validation": np.array([[1, 3]])}},
}


def test_every_change_changes_the_fingerprint():
    prints = [Corpus(**parts()).fingerprint, *(Corpus(**parts(**change)).fingerprint for change in CHANGES.values())]
    assert len(set(prints)) == len(CHANGES) + 1


def test_name_dropped_and_order_of_fields_do_not():
    other = parts(name="big", dropped={"x": 1})
    other["fields"] = other["fields"].select("brand", "title")
    assert Corpus(**other).fingerprint == Corpus(**parts()).fingerprint


BAD: list[tuple[dict[str, Any], str]] = [
    ({"time": np.array([5])}, "Column 'time' has 1 rows and 'user' has 3"),
    ({"split": np.array([0], dtype=np.int8)}, "Column 'split' has 1 rows"),
    ({"split": np.array([0, 1, 3], dtype=np.int8)}, "'split' holds a value that is no role"),
    ({"user": np.array([0, 1, 2])}, r"Column 'user' holds an index outside 1…2"),
    ({"item": np.array([1, 2, 4])}, r"Column 'item' holds an index outside 1…3"),
    ({"fields": pl.DataFrame({"title": ["Pen"]})}, "1 rows of fields for 3 items"),
    ({"fields": pl.DataFrame({"id": ["1", "2", "3"]})}, "A field is called 'id'"),
    ({"triples": triples(head=np.array([1, 6]))}, r"Column 'head' holds an index outside 1…5"),
    ({"triples": triples(tail=np.array([0, 1]))}, r"Column 'tail' holds an index outside 1…5"),
    ({"triples": triples(relation=np.array([0, 2]))}, "relation that has no name"),
    ({"triples": triples(relation=np.array([0, -1]))}, "relation that has no name"),
    ({"triples": triples(weight=np.ones(1, dtype=np.float32))}, "differ in length"),
    ({"candidates": {"test": np.array([[1, 4]])}}, r"Column 'test candidates' holds an index outside 1…3"),
    ({"candidates": {"test": np.array([[1], [2]])}}, "2 candidate lists for 1 test interactions"),
    ({"candidates": {"train": np.array([[1]])}}, "candidate lists for 'train'"),
    ({"split": None, "candidates": {"test": np.array([[1]])}}, "1 candidate lists for 0 test"),
    ({"item": np.array([1, 2, 3], dtype=np.int32)}, "Column 'item' is int32, expected int64"),
    ({"time": np.array([np.nan, 2.0, 3.0])}, "Column 'time' is float64, expected int64"),
    ({"split": np.array([0, 1, 2])}, "Column 'split' is int64, expected int8"),
    ({"triples": triples(weight=np.array([0.5, 7.0], dtype=np.float32))}, r"weight outside \[0, 1\]"),
    ({"triples": triples(weight=np.array([0.5, np.nan], dtype=np.float32))}, r"weight outside \[0, 1\]"),
]


@pytest.mark.parametrize(("change", "says"), BAD, ids=[says for _, says in BAD])
def test_what_does_not_fit_together_is_one_sentence(change: dict[str, Any], says: str):
    with pytest.raises(DataError, match=says) as caught:
        Corpus(**parts(**change))
    assert str(caught.value).endswith(".")


def test_a_corpus_cannot_be_written_to():
    corpus = Corpus(**parts())
    for array in (corpus.user, corpus.time, corpus.split, corpus.triples.head, corpus.candidates["test"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_killed_save_leaves_the_corpus_that_stood_there(tmp_path: Path):
    corpus = Corpus(**parts())
    corpus.save(tmp_path / "corpus").rename(tmp_path / ".corpus.old")
    (tmp_path / f".corpus.{0:032x}.tmp").mkdir()
    assert Corpus.load(tmp_path / "corpus").fingerprint == corpus.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_other_files_are_not_saved_over(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "interactions.csv").write_text("a")
    (tmp_path / "notes.txt").write_text("b")
    for name, sentence in (("mine", "mine holds files that are not a corpus"), ("notes.txt", "notes.txt is a file")):
        with pytest.raises(ConfigError, match=sentence):
            Corpus(**parts()).save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["interactions.csv", "mine", "notes.txt"]


@pytest.mark.parametrize("name", ["corpus[1]", "cor?us", "*"])
def test_names_that_are_patterns_elsewhere_are_names(name: str, tmp_path: Path):
    Corpus(**parts(user=np.array([2, 1, 1]))).save(tmp_path / "corpus1")
    assert Corpus.load(Corpus(**parts()).save(tmp_path / name)).fingerprint == Corpus(**parts()).fingerprint


def test_saving_over_a_corpus_leaves_no_file_of_it(tmp_path: Path):
    Corpus(**parts()).save(tmp_path / "corpus")
    Corpus(**parts(candidates={})).save(tmp_path / "corpus")
    assert not list((tmp_path / "corpus").glob("candidates-*"))
