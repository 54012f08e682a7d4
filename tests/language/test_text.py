import html

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.language.text import clean_text, item_texts
from tests.language.conftest import make_corpus


def test_default_joins_text_fields_title_first_and_skips_what_is_empty() -> None:
    corpus = make_corpus(
        genres=["Comedy", None],
        shelf=["A", "B"],
        title=["Toy Story", "GoldenEye"],
        year=["1995", ""],
        price=pl.Series([1.0, 2.0]),
    )
    assert item_texts(corpus).to_list() == ["Toy Story. 1995. Comedy. A", "GoldenEye. B"]


def test_fields_choose_and_order() -> None:
    corpus = make_corpus(title=["Pen"], brand=["Acme"], text=["long"], tags=pl.Series([["a", "b"]]))
    assert item_texts(corpus, fields=["brand", "title", "tags"]).to_list() == ["Acme. Pen. a b"]


def test_template_fills_fields_and_keeps_escaped_braces() -> None:
    corpus = make_corpus(title=["Pen", "Desk"], year=["2001", None])
    assert item_texts(corpus, "{{{title}}} in {year} {title}").to_list() == ["{Pen} in 2001 Pen", "{Desk} in Desk"]


def test_braces_in_a_field_are_text_not_template() -> None:
    corpus = make_corpus(title=["{year} {0.__class__}"], year=["1999"])
    assert item_texts(corpus, "{title}").to_list() == ["{year} {0.__class__}"]


def test_entities_tags_and_white_space_are_cleaned_and_comparisons_kept() -> None:
    dirty = [
        "A&amp;B\u00a0 &lt;br/&gt;C\x00\n D&reg;&#39;",
        "<= 30 in, <Vol. 2>, <b>x</b>",
        None,
        "&amp;lt; &bogus; AT&T;",
    ]
    clean = ["A&B C D®'", "<= 30 in, <Vol. 2>, x", "", "&lt; &bogus; AT&T;"]
    assert clean_text(pl.Series(dirty)).to_list() == clean


def test_allowed_empty_text_is_empty_whatever_the_template_says() -> None:
    corpus = make_corpus(title=["Pen", " "])
    assert item_texts(corpus, "Title: {title}", allow_empty=True).to_list() == ["Title: Pen", ""]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_cleaning_resolves_what_html_escapes(texts: list[str]) -> None:
    plain = clean_text(pl.Series(texts, dtype=pl.String).str.replace_all(r"[<&]", ""))
    escaped = pl.Series([html.escape(t) for t in plain], dtype=pl.String)
    assert clean_text(escaped).to_list() == plain.to_list()
