from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from data_loaders import with_triples
from data_loaders.pykeen_kg import read_pykeen
from lrdgraph.errors import DataError
from tests.data_loaders.kgs import gzipped, pykeen, shop, told

EXPECTED = [("pen", "needs", "ink"), ("ink", "colour", 'a "deep" blue')]


def test_a_saved_folder(tmp_path: Path):
    assert told(with_triples(shop(), pykeen(tmp_path / "factory"))) == EXPECTED


def test_an_object_with_the_parts_of_a_factory():
    factory = SimpleNamespace(
        mapped_triples=torch.tensor([[1, 0, 0], [0, 1, 2]]),
        entity_to_id={"ink": 0, "pen": 1, 'a "deep" blue': 2},
        relation_to_id={"needs": 0, "colour": 1},
    )
    assert told(with_triples(shop(), factory)) == EXPECTED


def test_a_table_without_a_header(tmp_path: Path):
    (tmp_path / "train.txt").write_text('pen\tneeds\tink\nink\tcolour\ta "deep" blue\n')
    assert told(with_triples(shop(), tmp_path / "train.txt", format="pykeen")) == EXPECTED


def test_a_broken_folder_is_told(tmp_path: Path):
    folder = pykeen(tmp_path / "factory")
    gzipped(folder / "relation_to_id.tsv.gz", "id\tlabel\n0\tneeds\n")
    with pytest.raises(
        DataError, match="factory is not the folder of a whole TriplesFactory .*a relation has no label"
    ):
        read_pykeen(folder)
    (folder / "entity_to_id.tsv.gz").unlink()
    with pytest.raises(DataError, match="is not the folder of a whole TriplesFactory"):
        read_pykeen(folder)
