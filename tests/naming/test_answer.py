"""What is taken of an answer: by cases, and whatever the model writes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.naming.answer import (
    NAME_LIMIT,
    NAME_WORDS,
    SENTENCE_LIMIT,
    clean,
    parse_direction,
    parse_name,
    parse_sentence,
)
from lrdgraph.naming.file import DESCRIPTION_LIMIT, LABEL_LIMIT

NAMES = {
    "camping gear": "camping gear",
    '"Camping gear."': "Camping gear",
    "**Name:** camping gear\nAnd some more of it": "camping gear",
    "\n\n- `camping gear`": "camping gear",
    "1. camping gear": "camping gear",
    "<b>camping</b> gear": "camping gear",
    "<think>tents, they are\nfor camping</think>\ncamping gear<|im_end|>": "camping gear",
    "musical and children's": "musical and children's",
    "зимние шины": "зимние шины",
    "same brand\u202e\u0000": "same brand",
}
NO_NAMES = (
    *("", "…", "!!!", "1995", "<think>and so on for ever", "x" * (NAME_LIMIT + 1), "one two three four five six seven"),
    *("The two items of each pair", '"Birds, The (Horror)" -> "That', "The. 1976. Horror", "The (The) (The)"),
    *(
        "I'm sorry, I can't",
        "As an AI model",
        "comedy and comedy",
        "children and children's",
        "see http://x.y",
        "war, crime, horror",
    ),
)


@pytest.mark.parametrize("answer", NAMES)
def test_names(answer: str) -> None:
    assert parse_name(answer) == NAMES[answer]


@pytest.mark.parametrize("answer", NO_NAMES)
def test_no_names(answer: str) -> None:
    assert parse_name(answer) is None


SENTENCES = {
    "both items are used when camping": "Both items are used when camping.",
    "Both are for camping. Both are also red.": "Both are for camping.",
    "Sentence: Both are for camping!\nPairs:": "Both are for camping.",
    "too short": None,
    "": None,
    "A film about a film about a film about a film.": None,
    'The two items are "Birds, The" and others.': None,
    "word " * 100: None,
    " ".join(f"word{n}" for n in range(30)): None,
    " ".join(f"word{n}" for n in range(30)) + ".": " ".join(f"word{n}" for n in range(30)).capitalize() + ".",
}


@pytest.mark.parametrize("answer", SENTENCES)
def test_sentences(answer: str) -> None:
    assert parse_sentence(answer) == SENTENCES[answer]


DIRECTIONS = {
    "both": True,
    "Both ways.": True,
    "'first to second'": False,
    "From the first to the second item": False,
    "both, or first to second": None,
    "yes": None,
    "": None,
    "second to first": None,
    "bother": None,
}


@pytest.mark.parametrize("answer", DIRECTIONS)
def test_directions(answer: str) -> None:
    assert parse_direction(answer) is DIRECTIONS[answer]


def plain(text: str) -> bool:
    return text == " ".join(text.split()) and not any(unicodedata.category(mark)[0] == "C" for mark in text)


@given(st.text() | st.text(alphabet="ab <>|[]()\"'`*\n\r\t\u2028\u202e.:-#"))
def test_whatever_is_answered(answer: str) -> None:
    assert plain(clean(answer))
    name, sentence = parse_name(answer), parse_sentence(answer)
    if name is not None:
        assert plain(name)
        assert len(name) <= NAME_LIMIT <= LABEL_LIMIT
        assert len(name.split()) <= NAME_WORDS
        assert not set(name) & set('<>[](){}|"\\')
        assert parse_name(name) == name
    if sentence is not None:
        assert plain(sentence)
        assert len(sentence) <= SENTENCE_LIMIT <= DESCRIPTION_LIMIT
        assert sentence.endswith(".")
        assert not set(sentence) & set('<>[](){}|"\\')


@given(st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=1, max_size=5, unique=True))
def test_plain_names_pass(words: list[str]) -> None:
    name = " ".join(words)
    if words[0] not in ("name", "answer", "label", "sentence", "relation", "sorry"):
        assert parse_name(f"Name: {name}.\n") in (name, None if len(name) > NAME_LIMIT else name)
