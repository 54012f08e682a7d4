"""Words that set a group apart, by hand and planted; random groups get none."""

from __future__ import annotations

import numpy as np
import pytest

from lrdgraph.naming import keywords as module
from lrdgraph.naming.keywords import class_tf_idf, keywords


def test_class_tf_idf_by_hand() -> None:
    counts = np.array([[3, 1, 0], [1, 1, 2]])
    # A is 8 words over 2 classes; the words occur 4, 2 and 2 times
    expected = [[3 * np.log(2), np.log(3), 0], [np.log(2), np.log(3), 2 * np.log(3)]]
    np.testing.assert_allclose(class_tf_idf(counts), expected)
    assert class_tf_idf(np.zeros((2, 3))).tolist() == [[0] * 3] * 2


def test_typical_words_come_first_with_their_shares() -> None:
    groups = [["red pen the 7"] * 8 + ["pen"] * 2, ["blue pen the 7"] * 10]
    red, blue = keywords(groups)
    assert red[0] == ("red", 0.8, True)
    assert blue[0] == ("blue", 1.0, True)
    assert ("pen", 1.0, False) in red
    assert {word.word for word in red + blue} == {"red", "blue", "pen"}  # no number, no word as common as "the"


def test_random_groups_have_no_typical_word() -> None:
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)])
    hits = 0
    for _ in range(40):
        texts = [" ".join(rng.choice(vocabulary, 6)) for _ in range(160)]
        hits += sum(word.typical for word in keywords([texts[:40], texts[40:80], texts[80:]])[0])
    assert hits <= 4


def test_rare_words_are_not_tested() -> None:
    groups = [["rare bird"] * 4 + ["x1 bird"] * 20, ["common fish"] * 24]
    assert ("rare", 4 / 24, False) in keywords(groups)[0]
    assert module.FREQUENT == 5


@pytest.mark.parametrize("groups", [[], [[], []], [["the", "12"], ["of"]], [["", ""]]])
def test_no_words_at_all(groups: list[list[str]]) -> None:
    assert keywords(groups) == [[] for _ in groups]


def test_one_group_and_an_empty_one() -> None:
    (alone,) = keywords([["red pen"] * 9])
    assert [(word.word, word.typical) for word in alone] == [("pen", False), ("red", False)]
    full, empty = keywords([["red pen"] * 9, []])
    assert [word.typical for word in full] == [False, False]
    assert empty == []


def test_words_with_marks_and_in_other_scripts() -> None:
    (words,) = keywords([["children's sci-fi Ölkanne москва 東京 a1 b_2 3d"] * 3], at_most=20)
    assert {"children's", "sci-fi", "ölkanne", "москва", "東京", "a1"} <= {word.word for word in words}
    assert "3d" not in {word.word for word in words}
