from __future__ import annotations

from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders.iris import checked_base, decode, encode
from lrdgraph.errors import ConfigError

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


@given(TEXTS)
def test_texts_are_encoded_as_the_standard_library_does_and_come_back(texts):
    parts = encode(pl.Series(texts, dtype=pl.String))
    assert parts.to_list() == [quote(text, safe="") for text in texts]
    assert decode(parts).to_list() == texts


def test_what_no_encoder_made():
    assert decode(pl.Series(["%c3%a9", "a+b", "100%", "%e9", "é"])).to_list() == ["é", "a+b", "100%", "%e9", "é"]


@pytest.mark.parametrize("base", ["urn:x:", "https://e.org/kg/", "http://é.org/#"])
def test_a_base_is_an_absolute_iri(base):
    assert checked_base(base) == base


@pytest.mark.parametrize("base", ["", "kg/", "//e.org/", "http://e.org/ ", "http://e.org/<", "1a:b"])
def test_what_is_no_iri_is_told(base):
    with pytest.raises(ConfigError, match="is no absolute IRI; give one such as https://example.org/kg/."):
        checked_base(base)
