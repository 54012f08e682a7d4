from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from data_loaders import read_links, with_triples
from lrdgraph.errors import ConfigError, DataError, MissingExtraError
from lrdgraph.vocabulary import Vocabulary
from tests.data_loaders.kgs import ITEMS, pykeen, shop, told, wikikg


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_table_is_aligned_by_links(tmp_path: Path):
    table = write(tmp_path / "kg.tsv", "head\trelation\ttail\nm.1\tneeds\tm.2\nm.3\tneeds\tm.4\npen\tis\tthing\n")
    links = write(tmp_path / "x.link", "item_id:token\tentity_id:token\npen\tm.1\nink\tm.2\nink\tm.5\ncow\tm.6\n")
    corpus = with_triples(shop(), table, links=links)
    assert told(corpus) == [("pen", "needs", "ink")]
    assert corpus.dropped == {"links to unknown items": 1, "triples without an item": 2}
    assert told(with_triples(corpus, table, links=links)) == told(corpus)


def test_weights_of_mixed_rows(tmp_path: Path):
    rows = "pen,r,ink,,0.5,\npen,r,pad,0.25,,\nink,r,pad,,0.5,0.125\n"
    table = write(tmp_path / "kg.csv", "head,relation,tail,weight,probability,posterior\n" + rows)
    assert with_triples(shop(), table).triples.weight.tolist() == [0.5, 0.25, 0.125]
    table.write_text(table.read_text() + "pad,r,ink,,,\n")
    with pytest.raises(DataError, match="line 5: column 'posterior' holds nothing, expected a number from 0 to 1"):
        with_triples(shop(), table)


def test_links_that_do_not_fit_are_told(tmp_path: Path):
    items = Vocabulary(ITEMS)
    for text, sentence in (
        ("item,entity\npen,m.1\nink,m.1\n", "line 3: column 'entity' holds 'm.1', expected an entity id that no"),
        ("item,entity\npen,\n", "line 2: column 'entity' holds nothing"),
        ("item,thing\npen,x\n", "has no column 'entity'"),
    ):
        with pytest.raises(DataError, match=sentence):
            read_links(write(tmp_path / "links.csv", text), items)
    iris = write(tmp_path / "links.csv", "item,iri\npen,http://e.org/x%20y\nink,z\n")
    assert read_links(iris, items, "http://e.org/").known.rows() == [("x y", 1), ("z", 2)]


def test_a_graph_of_which_nothing_is_an_item_is_told(tmp_path: Path):
    with pytest.raises(DataError, match="holds 2 triples and none joins an item: its ends are such as 'Q1' and 'Q2'"):
        with_triples(shop(), wikikg(tmp_path / "kg"))


def test_formats_and_options_that_do_not_fit_are_told(tmp_path: Path):
    folder, table = pykeen(tmp_path / "kg"), write(tmp_path / "kg.tsv", "head\trelation\ttail\npen\tr\tink\n")
    other = write(tmp_path / "kg.docx", "x")
    for source, options, error, sentence in (
        (table, {"format": "tabel"}, ConfigError, "no format 'tabel' .did you mean 'table'.*table, rdf, ogb, pykeen"),
        (table, {"base": "http://e.org/"}, ConfigError, "Triples of format 'table' take no option 'base'"),
        (table, {"literals": True}, ConfigError, "take no option 'literals'"),
        (folder, {"head": "h"}, ConfigError, "Triples of format 'pykeen' take no option 'head'; leave it out."),
        (tmp_path, {}, DataError, "holds neither raw files of OGB nor numeric_triples.tsv.gz of PyKEEN"),
        (other, {}, DataError, "kg.docx ends in no known way; say its format, one of table, rdf, ogb, pykeen."),
        (tmp_path / "gone.tsv", {}, DataError, "gone.tsv does not exist"),
        (7, {}, DataError, "triples is of type int, expected a path, a data frame or a mapping of columns."),
        (table, {"haed": "h"}, ConfigError, "A table takes no option 'haed' .did you mean 'head'"),
    ):
        with pytest.raises(error, match=sentence):
            with_triples(shop(), source, **options)


def test_without_pyoxigraph_the_extra_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(
        MissingExtraError, match=r"kg.nt needs pyoxigraph; install it with 'pip install lrdgraph\[rdf\]'"
    ):
        with_triples(shop(), write(tmp_path / "kg.nt", ""))


def test_frames_of_triples_and_links():
    triples = {"head": ["Q1"], "relation": ["r"], "tail": ["Q2"]}
    with pytest.raises(DataError, match="triples holds 1 triples and none joins an item|1 triples and none joins"):
        with_triples(shop(), triples)
    name = shop().items.series[0]
    corpus = with_triples(shop(), triples, links=pl.DataFrame({"item": [name], "entity": ["Q1"]}))
    assert corpus.triples.head[-1] == 1
    assert with_triples(shop(), {"head": [name], "relation": ["r"], "tail": ["x"]}).triples.names[-1] == "r"
