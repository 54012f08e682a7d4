"""RDF of a stranger's and of our own as predefined relations."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_loaders import rdf, with_triples
from lrdgraph.cli import main
from lrdgraph.errors import DataError
from lrdgraph.export import export
from tests.data_loaders.kgs import shop, told
from tests.export.test_triples import bare
from tests.export.worlds import enriched

TURTLE = """
@prefix s: <http://shop.example/product/> .
@prefix v: <http://shop.example/terms#> .
s:pen v:needs s:ink ; v:colour v:Blue, "sky"@en ; v:price "ink" .
s:ink v:made_by [ v:name "Acme" ] .
v:Blue v:darker_than v:Sky .
"""
BASE = "http://shop.example/product/"
V = "http://shop.example/terms#"


def test_a_strangers_turtle(tmp_path: Path) -> None:
    (tmp_path / "kg.ttl").write_text(TURTLE)
    corpus = with_triples(shop(), tmp_path / "kg.ttl", base=BASE)
    rows = told(corpus)
    assert rows[:2] == [("pen", f"{V}needs", "ink"), ("pen", f"{V}colour", f"{V}Blue")]
    assert rows[2][:2] == ("ink", f"{V}made_by")
    assert rows[2][2].startswith("_:")
    assert corpus.dropped == {"literals": 3, "triples without an item": 1}
    assert corpus.triples.weight is None
    with_literals = with_triples(shop(), tmp_path / "kg.ttl", base=BASE, literals=True)
    # a price that spells an item is not that item
    assert {tail for _, relation, tail in told(with_literals) if relation == f"{V}price"} == {'"ink"'}
    assert ("pen", f"{V}colour", "sky") in told(with_literals)


def test_entities_by_a_table_of_links(tmp_path: Path) -> None:
    freebase = "http://rdf.freebase.com/ns/"
    (tmp_path / "kg.nt.gz").write_bytes(
        gzip.compress(f"<{freebase}m.1> <{freebase}sequel> <{freebase}m.2> .\n".encode())
    )
    (tmp_path / "x.link").write_text("item_id:token\tentity_id:token\npen\tm.1\nink\tm.2\n")
    corpus = with_triples(shop(), tmp_path / "kg.nt.gz", links=tmp_path / "x.link", base=freebase)
    assert told(corpus) == [("pen", "sequel", "ink")]
    (tmp_path / "iris.csv").write_text(f"item,iri\npen,{freebase}m.1\n")
    whole = with_triples(shop(), tmp_path / "kg.nt.gz", links=tmp_path / "iris.csv")
    assert told(whole) == [("pen", f"{freebase}sequel", f"{freebase}m.2")]


@pytest.mark.parametrize("size", [1, 200_000])
@pytest.mark.parametrize(
    ("format", "ending", "confidence"),
    [
        ("ntriples", "nt", "reification"),
        ("ntriples", "nt", "triple-term"),
        ("nquads", "nq", "named-graph"),
        ("turtle", "ttl", "triple-term"),
        ("trig", "trig", "named-graph"),
        ("jsonld", "jsonld", "named-graph"),
    ],
)
def test_an_export_is_read_back(format, ending, confidence, size, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(rdf, "QUADS_AT_ONCE", size)
    graph = enriched(weight=[0.25, 1, 1, 1, 1])
    path = tmp_path / f"found.{ending}"
    export(format, graph, path, provenance={"corpus": "1"}, which="all", threshold=0.0, confidence=confidence)
    corpus = with_triples(bare(["pen", "ink", "pad", "case"]), path)
    assert corpus.triples.names == ("needs", "colour", "latent_0", "latent_1")
    assert corpus.attributes.series.to_list() == ["red", "blue"]
    assert set(corpus.dropped) == {"literals"}
    read = {
        (int(h), int(r), int(t)): float(w)
        for h, r, t, w in zip(
            *(getattr(corpus.triples, k) for k in ("head", "relation", "tail", "weight")), strict=True
        )
    }
    head, tail = graph.latent_index.tolist()
    for p, (h, t) in enumerate(zip(head, tail, strict=True)):
        for k in range(2):  # to the last bit
            assert np.float32(read.pop((h, 2 + k, t))) == graph.mixture[p, k].detach().numpy()
    assert read == {(1, 0, 2): 0.25, (3, 0, 4): 1.0, (1, 1, 5): 1.0, (3, 1, 5): 1.0, (2, 1, 6): 1.0}


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=6, max_size=6, unique=True))
@pytest.mark.parametrize("base", [None, "https://e.org/kg/"])
def test_any_text_comes_back(base, ids, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("ids") / "found.nt"
    graph = enriched(ids[:4], colours=ids[4:], names=[ids[0], "b"])
    export("ntriples", graph, path, provenance={}, which="all", **({} if base is None else {"base": base}))
    corpus = with_triples(bare(ids[:4]), path, base=base)
    assert corpus.attributes.series.to_list() == ids[4:]
    assert corpus.triples.names == ("needs", "colour", ids[0], "b")
    assert len(corpus.triples) == 12


def test_an_item_and_a_value_of_one_name_stay_two(tmp_path: Path) -> None:
    ids = ["pen", "red", "pad", "case"]
    export("ntriples", enriched(ids), tmp_path / "x.nt", provenance={}, which="predefined")
    corpus = with_triples(bare(ids), tmp_path / "x.nt")
    assert corpus.attributes.series.to_list() == ["urn:lrdgraph:attribute/red", "blue"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("kg.nt", "<a:b> <a:c> <a:d> .\n<a:b> <a:c> x .\n", "kg.nt, line 2 is not valid RDF"),
        ("kg.ttl", "s:pen a s:x .", "kg.ttl, line 1 is not valid RDF"),
        ("kg.nt.gz", "no gzip", "kg.nt.gz cannot be read"),
        ("kg.nt", '<a:b> <urn:lrdgraph:posterior> "2" .\n', "the weight of a:b is '2', expected a number from 0 to 1"),
        ("kg.nt", "<a:b> <a:c> <a:d> .\n", "1 triples and none joins an item: its ends are such as 'a:b' and 'a:d'"),
    ],
)
def test_what_is_wrong_is_told(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=sentence):
        with_triples(shop(), tmp_path / name)
    with pytest.raises(DataError, match="gone.nt cannot be read"):
        with_triples(shop(), tmp_path / "gone.nt")


def test_from_the_command_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "interactions.csv").write_text("user,item,time\na,pen,1\na,ink,2\na,pad,3\n")
    (tmp_path / "kg.ttl").write_text(TURTLE)
    words = ["prepare", tmp_path / "interactions.csv", "--out", tmp_path / "corpus"]
    assert main([str(word) for word in (*words, "--triples", tmp_path / "kg.ttl", "--base", BASE)]) == 0
    assert "dropped: 3 literals" in capsys.readouterr().out


def test_rdf_of_items_that_are_called_like_parts_of_an_export(tmp_path: Path) -> None:
    base, ends = "https://s.example/", ("export-cable", "software/office", "relation/x", "corpus/1")
    lines = [f"<{base}{end}> <{base}needs> <{base}pen> ." for end in ends]
    for name in ("kg.nt", "kg.nt.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress("\n".join(lines).encode()) if name.endswith("gz") else "\n".join(lines).encode())
        corpus = with_triples(shop(), path, base=base)
        assert told(corpus) == [(end.removeprefix("relation/"), "needs", "pen") for end in ends]
        assert corpus.dropped == {}
    damaged = bytearray((tmp_path / "kg.nt.gz").read_bytes())
    damaged[12:40] = bytes(28)
    (tmp_path / "kg.nt.gz").write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be read"):
        with_triples(shop(), tmp_path / "kg.nt.gz", base=base)


def test_an_ontology_is_read_as_xml(tmp_path: Path) -> None:
    path = tmp_path / "kg.owl"
    path.write_text(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:s="http://s/">'
        '<rdf:Description rdf:about="http://s/pen"><s:needs rdf:resource="http://s/ink"/></rdf:Description></rdf:RDF>'
    )
    assert told(with_triples(shop(), path, base="http://s/")) == [("pen", "needs", "ink")]
