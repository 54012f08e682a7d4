from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import DataError, UnknownIdError
from lrdgraph.vocabulary import FEW, Vocabulary


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=20))
def test_ids_and_indices_are_each_others_inverse(ids: list[str]):
    vocabulary = Vocabulary(ids)
    assert vocabulary.index(ids).tolist() == list(range(1, len(ids) + 1))
    assert vocabulary.ids(vocabulary.index(ids[::-1])) == ids[::-1]
    assert [vocabulary.id(i) for i in range(1, len(vocabulary) + 1)] == ids
    assert all(name in vocabulary for name in ids)


def test_by_hand():
    vocabulary = Vocabulary(["b", "a"], "user")
    assert (len(vocabulary), repr(vocabulary)) == (2, "Vocabulary(2 users)")
    assert vocabulary.ids([0, 2, 1]) == ["", "a", "b"]
    found = vocabulary.index(["a", "a", "?"], missing=0)
    assert (found.tolist(), found.dtype) == ([2, 2, 0], np.int64)
    assert "?" not in vocabulary
    assert vocabulary.index([]).shape == (0,)


def test_whole_numbers_become_text():
    assert Vocabulary(pl.Series([7, 8])).index(pl.Series([8])).tolist() == [2]


@pytest.mark.parametrize("ids", [["a", ""], ["a", None]])
def test_an_empty_id_is_an_error(ids: list[str]):
    with pytest.raises(DataError, match="item id at position 2 is empty"):
        Vocabulary(ids)


def test_a_repeated_id_is_an_error():
    with pytest.raises(DataError, match="The user id 'a' occurs more than once"):
        Vocabulary(["a", "b", "a"], "user")


def test_an_unknown_id_names_the_nearest():
    with pytest.raises(UnknownIdError, match=r"item id 'ASIN9' is not in the corpus \(did you mean 'ASIN1'\?\)\.$"):
        Vocabulary(["ASIN1", "other"]).index(["other", "ASIN9"])


@pytest.mark.parametrize("index", [0, 3, -1])
def test_an_index_outside_is_an_error(index: int):
    with pytest.raises(UnknownIdError, match="indices run from 1 to 2"):
        Vocabulary(["a", "b"]).id(index)


@given(st.lists(st.sampled_from(["a", "b", "c", "?"]), max_size=20))
def test_few_and_many_ids_are_looked_up_alike(ids: list[str]):
    vocabulary = Vocabulary(["c", "a", "b"])
    expected = [["c", "a", "b"].index(name) + 1 if name != "?" else 0 for name in ids]
    many = ids * (FEW + 1)
    assert vocabulary.index(ids, missing=0).tolist() == expected
    assert vocabulary.index(many, missing=0).tolist() == expected * (FEW + 1)


def test_what_is_no_list_of_ids():
    vocabulary = Vocabulary(["1", "7", "17"], "user")
    with pytest.raises(DataError, match="A list of user ids is expected; got the string '17': put it into a list"):
        vocabulary.index("17")
    with pytest.raises(DataError, match="The user id 17 is of type int; give ids as strings"):
        vocabulary.index(["7", 17])
    with pytest.raises(DataError, match="The item id 101 is of type int"):
        Vocabulary([101])
