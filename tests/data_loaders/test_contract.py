"""What every registered loader promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_loaders import load, loaders
from lrdgraph.corpus import Corpus
from lrdgraph.splits import split
from tests.data_loaders.folders import WRITERS


def test_every_loader_has_a_folder_here():
    assert set(loaders()) == set(WRITERS), "add a writer to tests/data_loaders/folders.py for each registered loader"


@pytest.fixture(params=sorted(WRITERS))
def format(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(format: str, tmp_path: Path) -> Path:
    return WRITERS[format](tmp_path / "data")


def test_recognised_by_this_loader_alone(format: str, folder: Path, tmp_path: Path):
    assert load(folder).fingerprint == load(folder, format=format).fingerprint
    (tmp_path / "other").mkdir()
    assert not loaders()[format].recognises(tmp_path / "other")
    assert not loaders()[format].recognises(tmp_path / "missing")


def test_fingerprint_is_deterministic(format: str, folder: Path, tmp_path: Path):
    again = WRITERS[format](tmp_path / "again")
    assert load(folder).fingerprint == load(str(again)).fingerprint


def test_saves_and_loads(folder: Path, tmp_path: Path):
    corpus = load(folder)
    twin = load(corpus.save(tmp_path / "saved"))
    assert twin.fingerprint == corpus.fingerprint
    assert (twin.name, twin.dropped, twin.triples.names) == (corpus.name, corpus.dropped, corpus.triples.names)
    assert twin.fields.columns == corpus.fields.columns


def test_ids_at_the_border_and_no_padding_inside(folder: Path):
    corpus = load(folder)
    nodes = corpus.num_items + len(corpus.attributes)
    for array, top in ((corpus.user, corpus.num_users), (corpus.item, corpus.num_items), (corpus.triples.tail, nodes)):
        assert array.dtype == np.int64
        assert array.min() >= 1
        assert array.max() <= top
    assert sorted(set(corpus.user)) == list(range(1, corpus.num_users + 1))
    for vocabulary in (corpus.users, corpus.items):
        assert vocabulary.index(vocabulary.series).tolist() == list(range(1, len(vocabulary) + 1))
    assert corpus.time.dtype == np.int64
    assert corpus.fields.width == 0 or corpus.fields.height == corpus.num_items
    assert corpus.fields.null_count().pipe(lambda counts: sum(counts.row(0)) if counts.width else 0) == 0


def test_immutable_and_worth_printing(folder: Path):
    corpus = load(folder)
    with pytest.raises(ValueError, match="read-only"):
        corpus.item[0] = 2
    assert repr(corpus).startswith(f"Corpus('{corpus.name}': {corpus.num_users} users, {corpus.num_items} items")
    assert corpus.fingerprint[:12] in repr(corpus)


def test_can_be_split(folder: Path):
    corpus = load(folder)
    parts = split(corpus)
    assert len(parts.events.item) == len(corpus)
    assert isinstance(corpus, Corpus)
