"""Histories that RecBole's splits hold row by row come out as the events they were made of."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_loaders import load
from lrdgraph.corpus import ROLES, Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.splits import split

HEADER = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
PARTS = ("train", "valid", "test")


def write(folder: Path, **rows: str) -> Path:
    for part in PARTS:
        (folder / f"toy.{part}.inter").write_text(HEADER + rows[part])
    return folder


def told(corpus: Corpus) -> list[tuple[str, str, int, str]]:
    assert corpus.split is not None
    roles = {number: role for role, number in ROLES.items()}
    columns = (corpus.users.ids(corpus.user), corpus.items.ids(corpus.item), corpus.time.tolist())
    return list(zip(*columns, (roles[number] for number in corpus.split.tolist()), strict=True))


BY_HAND = {
    # u1 runs backwards, and its lists hold two items at most; u2 is not in training
    "train": "u1\tb c\td\nu1\ta b\tc\nu1\ta\tb\nu3\ta\tb\n",
    "valid": "u1\tc d\te\nu2\ta c\tb\nu3\tb\tc\n",
    "test": "u1\td e\ta\nu2\tb\td\nu3\tc\td\n",
}


def test_by_hand(tmp_path: Path) -> None:
    corpus = load(write(tmp_path, **BY_HAND))
    assert corpus.name == "toy"
    assert told(corpus) == [
        *(("u1", item, time, "train") for time, item in enumerate("abcd")),
        ("u1", "e", 4, "validation"),
        ("u1", "a", 5, "test"),
        ("u3", "a", 0, "train"),
        ("u3", "b", 1, "train"),
        ("u3", "c", 2, "validation"),
        ("u3", "d", 3, "test"),
        ("u2", "a", 0, "train"),
        ("u2", "c", 1, "train"),
        ("u2", "b", 2, "validation"),
        ("u2", "d", 3, "test"),
    ]
    assert corpus.items.ids(split(corpus).targets("test").item) == ["a", "d", "d"]


SEQUENCES = st.lists(st.lists(st.sampled_from("abcde"), min_size=4, max_size=9), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(sequences=SEQUENCES, most=st.integers(2, 9), backwards=st.booleans(), empty=st.booleans())
def test_rows_come_out_as_what_they_were_made_of(
    sequences: list[list[str]], most: int, backwards: bool, empty: bool
) -> None:
    rows: dict[str, list[str]] = {part: [] for part in PARTS}
    for person, items in enumerate(sequences):
        cuts = range(0 if empty else 1, len(items))
        made = [f"u{person}\t{' '.join(items[max(0, cut - most) : cut])}\t{items[cut]}\n" for cut in cuts]
        train = made[:-2]
        rows["train"] += train[::-1] if backwards else train
        rows["valid"].append(made[-2])
        rows["test"].append(made[-1])
    with tempfile.TemporaryDirectory() as folder:
        corpus = load(write(Path(folder), **{part: "".join(of) for part, of in rows.items()}))
    expected = []
    for person, items in enumerate(sequences):
        roles = ["train"] * (len(items) - 2) + ["validation", "test"]
        expected += [
            (f"u{person}", item, time, role) for time, (item, role) in enumerate(zip(items, roles, strict=True))
        ]
    assert told(corpus) == expected


@pytest.mark.parametrize(
    ("part", "row", "message"),
    [
        ("train", "u3\tc\td\n", r"toy\.train\.inter, line 6: the history of 'u3' ends in 'c', expected 'b'"),
        ("valid", "u3\tb\te\n", r"toy\.valid\.inter, line 5: the history of 'u3' ends in 'b', expected 'c'"),
        ("test", "u3\t\te\n", r"toy\.test\.inter, line 5: the history of 'u3' is empty, expected 'd'"),
        ("test", "\td\te\n", r"toy\.test\.inter, line 5: column 'user_id' holds nothing"),
    ],
)
def test_rows_that_are_not_one_history(part: str, row: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, **BY_HAND | {part: BY_HAND[part] + row})
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_histories_have_no_ratings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"min_rating is 4, but .* holds histories without ratings; leave it out"):
        load(write(tmp_path, **BY_HAND), min_rating=4)


def test_sessions(tmp_path: Path) -> None:
    write(tmp_path, **BY_HAND)
    for file in tmp_path.iterdir():
        file.write_text(file.read_text().replace("user_id", "session_id"))
    assert load(tmp_path).num_users == 3
