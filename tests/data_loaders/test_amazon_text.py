from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders.amazon_text import clean, clean_lists, is_script


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, ""),
        ("  Pen\n\t&amp; ink ", "Pen & ink"),
        ("HP&reg; 12&quot; caf&#233; &#x2603;", 'HP® 12" café ☃'),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("<p class='x'>Soft<br/>and <B>bold</B></p>", "Soft and bold"),
        ("&lt;ul&gt;&lt;li&gt;one", "one"),
        ("Vol <2> <Vol. 2> a < b > c &lt;3", "Vol <2> <Vol. 2> a < b > c <3"),
        ("keep<script type='x'>var a = '<b>';</script>me<style>p {}</style><!-- not me -->", "keep me"),
        ("before<script>never closed", "before"),
        ('<span id="productTitle" class="a-size-large">Pen</span>', "Pen"),
        ("AT&T; R&D &nosuch; &", "AT&T; R&D &nosuch; &"),
        ("\x00a\xa0b", "a b"),
    ],
)
def test_clean_by_hand(raw: str | None, text: str) -> None:
    assert clean(pl.Series([raw], dtype=pl.String)).to_list() == [text]


@given(texts=st.lists(st.text()))
def test_clean_is_text_without_runs_of_space(texts: list[str]) -> None:
    for text in clean(pl.Series(texts, dtype=pl.String)).to_list():
        assert text == text.strip()
        assert "  " not in text
        assert "\n" not in text


def test_scripts_are_told_from_titles() -> None:
    scripts = [
        "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();",
        "if (window.ue) { window.ue.t = new Date().getTime() }",
        "(function(f) { f(); })()",
    ]
    titles = ["Var Stacker 2", "The var table", "Function of pens (new)", "A function (f) explained", "", None]
    found = is_script(pl.Series([*scripts, *titles], dtype=pl.String)).to_list()
    assert found == [True] * len(scripts) + [False] * len(titles)


def test_lists_lose_what_is_empty() -> None:
    lists = pl.Series([["A &amp; B", "</span></span>", ""], [], ["<br>"], ["C"]], dtype=pl.List(pl.String))
    assert clean_lists(lists).to_list() == [["A & B"], [], [], ["C"]]
    assert clean_lists(lists.clear()).to_list() == []
