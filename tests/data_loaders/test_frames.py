from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_loaders import load
from lrdgraph.errors import ConfigError, DataError
from tests.data_loaders import folders

INTERACTIONS = {"user": ["ann", "bob", "ann"], "item": ["pen", "ink", "ink"], "time": [1, 2, 3]}
ITEMS = {"item": ["ink", "pen"], "title": ["Ink", "A pen"]}
TRIPLES = {"head": ["pen"], "relation": ["needs"], "tail": ["ink"]}


class Stream:
    """Not a frame of any library, but something that hands out an Arrow stream."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.frame = pl.DataFrame(columns)

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(schema)


@pytest.mark.parametrize(
    "make", [dict, pl.DataFrame, pl.LazyFrame, Stream], ids=["mapping", "eager", "lazy", "arrow stream"]
)
def test_frames_are_the_corpus_of_their_files(tmp_path: Path, make: Any):
    for name, columns in (("interactions", INTERACTIONS), ("items", ITEMS), ("triples", TRIPLES)):
        pl.DataFrame(columns).write_csv(tmp_path / f"{name}.csv")
    corpus = load(make(INTERACTIONS), items=make(ITEMS), triples=make(TRIPLES), name="shop")
    assert corpus.fingerprint == load(tmp_path, name="shop").fingerprint
    assert corpus.items.series.to_list() == ["ink", "pen"]
    assert corpus.triples.head.tolist() == [2]


def test_frames_and_files_may_be_mixed(tmp_path: Path):
    folder = folders.tables(tmp_path / "shop")
    expected = load(folder)
    frame = pl.read_csv(folder / "interactions.csv")
    corpus = load(frame, items=folder / "items.csv", triples=str(folder / "triples.tsv"), name="shop")
    assert corpus.fingerprint == expected.fingerprint
    assert load(folder, items=ITEMS).items.series.to_list() == ["ink", "pen", "cup"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"user": ["ann", None, "ann"]}, "interactions, row 2: column 'user' holds nothing"),
        ({"time": ["soon", "1", "2"]}, "interactions, row 1: column 'time' holds 'soon'"),
        ({"time": [1, 2]}, "interactions is no table"),
        ({"user": [], "item": [], "time": []}, "interactions has no rows"),
        ({"user": [1.0, 2.5, float("nan")]}, "column 'user' is of type Float64"),
    ],
)
def test_one_sentence(change: dict[str, list[Any]], says: str):
    with pytest.raises(DataError, match=says):
        load(INTERACTIONS | change)


def test_what_is_no_frame():
    with pytest.raises(DataError, match="interactions is of type int, expected a path, a data frame or a mapping"):
        load(5)
    with pytest.raises(DataError, match="items is of type list"):
        load(INTERACTIONS, items=[1])
    with pytest.raises(ConfigError, match="'recbole' reads files, got dict"):
        load(INTERACTIONS, format="recbole")
    with pytest.raises(ConfigError, match="has no option 'usr'"):
        load(INTERACTIONS, usr="user")
