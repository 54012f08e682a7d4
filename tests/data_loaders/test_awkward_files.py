"""Files that are legal and awkward: names that are patterns elsewhere, marks of byte order, columns of one name."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_loaders import load, read_links, with_triples
from data_loaders.archive import unpack
from data_loaders.ogb_kg import read_ogb
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.vocabulary import Vocabulary
from tests.data_loaders import amazon_folders as raw
from tests.data_loaders import folders
from tests.data_loaders.kgs import ITEMS, gzipped, pykeen, shop, told, wikikg

TABLE = "user,item,timestamp\nann,pen,1\n"
OTHER = "user,item,timestamp\nbob,ink,2\n"


@pytest.mark.parametrize("name", ["log[1]", "l?g1", "*"])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_names_that_are_patterns_elsewhere_are_names(name: str, ending: str, tmp_path: Path) -> None:
    write = {
        ".csv": pl.DataFrame.write_csv,
        ".parquet": pl.DataFrame.write_parquet,
        ".jsonl": pl.DataFrame.write_ndjson,
    }
    for stem, text in ((name, TABLE), ("log1", OTHER)):
        frame, path = pl.read_csv(text.encode()), tmp_path / f"{stem}{ending}"
        write.get(ending, pl.DataFrame.write_parquet)(frame, path)
    assert load(tmp_path / f"{name}{ending}").items.series.to_list() == ["pen"]


def test_knowledge_graphs_in_such_folders(tmp_path: Path) -> None:
    links = pl.DataFrame({"item": ["pen", "ink"], "entity": ["Q1", "Q2"]})
    assert told(with_triples(shop(), wikikg(tmp_path / "set[1]"), links=links))[0] == ("pen", "P1", "ink")
    assert told(with_triples(shop(), pykeen(tmp_path / "kg[1]")))[0] == ("pen", "needs", "ink")


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_mark_of_byte_order_is_no_text(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"log{ending}"
    frame = pl.read_csv(TABLE.encode())
    path.write_bytes(codecs.BOM_UTF8 + (TABLE.encode() if ending == ".csv" else frame.write_ndjson().encode()))
    assert load(path).items.series.to_list() == ["pen"]


@pytest.mark.parametrize("file", ["reviews_Pens_5.json", "meta_Pens.json"])
def test_a_mark_of_byte_order_in_raw_files(file: str, tmp_path: Path) -> None:
    folder = raw.amazon_2014(tmp_path, zipped="")
    before = load(folder)
    (folder / file).write_bytes(codecs.BOM_UTF8 + (folder / file).read_bytes())
    assert load(folder).fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("toy.item", "\n", "\n", None),
        ("toy.item", "name:token_seq", "id:token", "column 'id' beside 'item_id'; rename it"),
        ("toy.inter", "rating:float", "user_id:float", "toy.inter, line 1 names column 'user_id' twice; rename one."),
    ],
)
def test_columns_of_atomic_files(file: str, old: str, new: str, sentence: str | None, tmp_path: Path) -> None:
    folder = folders.recbole(tmp_path / "toy")
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    if sentence is None:
        load(folder)
        return
    with pytest.raises(DataError, match=sentence):
        load(folder)


def test_a_core_of_a_published_split_is_refused(tmp_path: Path) -> None:
    folder = raw.amazon_2023(tmp_path)
    with pytest.raises(ConfigError, match="core is 2, but .* holds a split, which a k-core would break"):
        load(folder, core=2)


def test_a_span_of_time_has_no_text() -> None:
    items = pl.DataFrame({"item": ["pen"], "lasts": [1]}).with_columns(pl.duration(days="lasts").alias("lasts"))
    corpus = load(pl.read_csv(TABLE.encode()), items=items)
    assert corpus.dropped["columns that are not text"] == 1


def test_an_archive_with_an_entry_for_its_own_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("./", "")
        archive.writestr("x.txt", "1")
    assert [path.name for path in unpack(tmp_path / "a.zip", tmp_path, lambda _: True)] == ["x.txt"]


def test_numbers_of_ogb_that_begin_whole(tmp_path: Path) -> None:
    folder = wikikg(tmp_path / "ogbl_wikikg2")
    edges = "".join(f"{n % 2},{1 - n % 2}\n" for n in range(121))
    gzipped(folder / "raw/edge.csv.gz", edges)
    gzipped(folder / "raw/edge_reltype.csv.gz", "0\n" * 121)
    gzipped(folder / "raw/edge_weight.csv.gz", "1\n" * 120 + "0.5\n")
    assert read_ogb(folder).rows["weight"].to_list()[-2:] == [1.0, 0.5]
    links = pl.DataFrame({"item": ["pen", "ink"], "entity": ["Q1", "Q2"]})
    gzipped(folder / "raw/edge_weight.csv.gz", "7\n" * 121)
    with pytest.raises(DataError, match=r"weight outside \[0, 1\]"):
        with_triples(shop(), folder, links=links)
    np.savez_compressed(folder / "raw/data.npz")
    (folder / "raw/data.npz").write_bytes(b"")
    with pytest.raises(DataError, match="does not hold a whole graph of OGB"):
        read_ogb(folder)


@pytest.mark.parametrize("form", ["rdf", "ogb", "pykeen"])
def test_a_frame_where_files_are_read_is_refused(form: str) -> None:
    with pytest.raises(ConfigError, match="files, not DataFrame; name a path"):
        with_triples(shop(), pl.DataFrame({"head": ["pen"]}), format=form)


def test_one_entity_under_two_names_is_of_one_item() -> None:
    links = pl.DataFrame({"item": ["pen", "ink"], "entity": ["Q1", "http://w/Q1"]})
    with pytest.raises(DataError, match="row 2: column 'entity' holds 'http://w/Q1', expected an entity id that no"):
        read_links(links, Vocabulary(ITEMS), "http://w/")
