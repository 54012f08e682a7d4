"""Fields of items as attribute relations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import load, with_attributes
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError

ITEMS = {
    "item": ["pen", "pad", "ink", "cup"],
    "title": ["Blue pen", "Pad", "Ink", "Cup"],
    "brand": ["Acme", " Glow ", "", "Acme"],
    "kind": ["Pens|Blue", "Paper", "Pens| |Blue|Pens", ""],
}


def shop(items: dict[str, list[str]] | None = None) -> Corpus:
    return load({"user": ["ann", "bob"], "item": ["pen", "ink"], "time": [1, 2]}, items=items or ITEMS, name="shop")


def told(corpus: Corpus) -> list[tuple[str, str, str]]:
    values = corpus.attributes.series.to_list()
    items = corpus.items.series.to_list()
    nodes = ["", *items, *values]
    triples = corpus.triples
    ends = zip(triples.head, triples.relation, triples.tail, strict=True)
    return [(nodes[head], triples.names[relation], nodes[tail]) for head, relation, tail in ends]


def test_numbers_are_values_and_lists_are_not() -> None:
    fields = pl.DataFrame({"year": [1990, None, 1991, 1990], "tags": [["a"], [], [], []]})
    made = replace(shop(), fields=fields)
    assert [tail for _, _, tail in told(with_attributes(made, "year"))] == ["year:1990", "year:1991", "year:1990"]
    with pytest.raises(ConfigError, match=r"The field 'tags' is List\(String\), expected text or numbers"):
        with_attributes(made, "tags")


def test_by_hand() -> None:
    before = shop()
    corpus = with_attributes(before, "brand")
    assert told(corpus) == [
        ("pen", "brand", "brand:Acme"),
        ("pad", "brand", "brand:Glow"),
        ("cup", "brand", "brand:Acme"),
    ]
    assert corpus.dropped == {"items without brand": 1}
    assert corpus.fields.equals(before.fields)
    assert not len(before.triples)
    assert told(with_attributes(corpus, ["brand"])) == told(corpus), "once more says nothing new"


def test_several_values_of_a_cell() -> None:
    corpus = with_attributes(shop(), ["kind"], separator="|")
    assert told(corpus) == [
        ("pen", "kind", "kind:Pens"),
        ("pen", "kind", "kind:Blue"),
        ("pad", "kind", "kind:Paper"),
        ("ink", "kind", "kind:Pens"),
        ("ink", "kind", "kind:Blue"),
    ]
    assert corpus.dropped == {"items without kind": 1}
    whole = with_attributes(shop(), ["brand", "kind"])
    assert ("pen", "kind", "kind:Pens|Blue") in told(whole)
    assert whole.triples.names == ("brand", "kind")


def test_predefined_relations_stay(tmp_path: Path) -> None:
    (tmp_path / "triples.csv").write_text("head,relation,tail\npen,needs,ink\npen,brand,brand:Acme\n")
    log = {"user": ["ann", "bob"], "item": ["pen", "ink"], "time": [1, 2]}
    corpus = with_attributes(load(log, items=ITEMS, triples=tmp_path / "triples.csv"), "brand")
    assert told(corpus)[:2] == [("pen", "needs", "ink"), ("pen", "brand", "brand:Acme")]
    assert len(told(corpus)) == 4


def test_what_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"no field 'brant' \(did you mean 'brand'\?\); their fields are title, brand, kind"
    ):
        with_attributes(shop(), "brant")
    with pytest.raises(ConfigError, match="separator of attribute values is empty"):
        with_attributes(shop(), "kind", separator="")
    assert with_attributes(shop(), []).triples.names == ()


@given(st.lists(st.lists(st.text("ab:| \u00e9", max_size=3), max_size=4), min_size=4, max_size=4))
def test_every_value_of_every_item_is_there_once(cells: list[list[str]]) -> None:
    values = [[value.replace("|", "") for value in cell] for cell in cells]
    corpus = with_attributes(shop(ITEMS | {"kind": ["|".join(cell) for cell in values]}), "kind", separator="|")
    expected = {
        (item, f"kind:{v.strip()}") for item, cell in zip(ITEMS["item"], values, strict=True) for v in cell if v.strip()
    }
    found = [(head, tail) for head, _, tail in told(corpus)]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_saved_and_read_again(tmp_path: Path) -> None:
    corpus = with_attributes(shop(), "brand")
    corpus.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert told(again) == told(corpus)
    assert again.fingerprint == corpus.fingerprint != shop().fingerprint
    assert isinstance(again.fields, pl.DataFrame)
