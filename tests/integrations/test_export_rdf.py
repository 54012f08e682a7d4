"""RDF that is exported, read by pyoxigraph and by rdflib, which share no code with us or with each other."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyoxigraph
import pytest
import rdflib
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdgraph.export import export
from tests.export.worlds import enriched

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
AWKWARD = ["a pen", '"ink"', "<pad>", "Füller\n墨水", "100%", "\\u0041"]
LRD = "urn:lrdgraph:"


def store(path: Path) -> pyoxigraph.Store:
    held = pyoxigraph.Store()
    held.load(path=str(path))
    return held


def asked(held: pyoxigraph.Store, query: str) -> list[tuple[str, ...]]:
    return sorted(tuple(value.value for value in row) for row in held.query(f"PREFIX lrd: <{LRD}> {query}"))


WAYS = {
    "reification": "?s rdf:subject ?h ; rdf:predicate lrd:relation\\/latent_0 ; rdf:object ?t ; lrd:posterior ?q .",
    "triple-term": "?s rdf:reifies <<( ?h lrd:relation\\/latent_0 ?t )>> ; lrd:posterior ?q .",
    "named-graph": "GRAPH ?s { ?h lrd:relation\\/latent_0 ?t } ?s lrd:posterior ?q .",
}


@pytest.mark.parametrize(
    ("ending", "confidence"),
    [
        *(("nt", way) for way in ("reification", "triple-term")),
        *(("ttl", way) for way in ("reification", "triple-term")),
        *((ending, way) for ending in ("nq", "trig") for way in WAYS),
        *(("jsonld", way) for way in ("reification", "named-graph")),
    ],
)
def test_a_query_finds_what_is_sure(ending: str, confidence: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{ending}"
    format = {"nt": "ntriples", "nq": "nquads", "ttl": "turtle"}.get(ending, ending)
    titles = ["A pen", "Ink", "A pad", "A case"]
    export(format, enriched(), path, provenance={}, titles=titles, language="en", confidence=confidence)
    # every name of a node must be found by its label, in the language that was asked for
    query = f"""PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>
    PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
    SELECT ?head ?tail ?q WHERE {{ {WAYS[confidence]}
      ?h rdfs:label ?head . ?t rdfs:label ?tail . FILTER(?q > 0.65 && langMatches(lang(?head), "en")) }}"""
    expected = [("A case", "A pen", "0.7"), ("A pen", "A case", "0.8"), ("A pen", "Ink", "0.9")]
    assert asked(store(path), query) == expected


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(TEXT, min_size=6, max_size=6, unique=True), titles=st.lists(TEXT, min_size=4, max_size=4))
@pytest.mark.parametrize("format", ["ntriples", "turtle", "jsonld"])
def test_any_text_comes_back(format: str, ids: list[str], titles: list[str], tmp_path_factory) -> None:
    ending = {"ntriples": "nt", "turtle": "ttl"}.get(format, format)
    path = tmp_path_factory.mktemp("ids") / f"found.{ending}"
    graph = enriched(ids[:4], colours=ids[4:])
    export(format, graph, path, provenance={"note": ids[0]}, titles=titles, which="all", base="http://é.org/kg/")
    held = store(path)
    named = dict(asked(held, "SELECT ?n ?id WHERE { ?n a lrd:Item ; <http://purl.org/dc/terms/identifier> ?id }"))
    assert sorted(named.values()) == sorted(ids[:4])
    assert {unquote(iri.removeprefix("http://é.org/kg/item/"), errors="strict"): iri for iri in named} == {
        name: iri for iri, name in named.items()
    }
    labels = asked(held, "SELECT ?label WHERE { ?n a lrd:Item ; <http://www.w3.org/2000/01/rdf-schema#label> ?label }")
    assert labels == sorted((title,) for title in titles)
    notes = asked(held, "SELECT ?note WHERE { <http://é.org/kg/export> <urn:lrdgraph:provenance/note> ?note }")
    assert notes == [(ids[0],)]


@pytest.mark.parametrize("confidence", ["reification", "triple-term", "none"])
def test_every_line_of_ntriples_parses_by_itself(confidence: str, tmp_path: Path) -> None:
    path = tmp_path / "found.nt"
    options = {"titles": AWKWARD[:4], "which": "all", "threshold": 0.0, "confidence": confidence, "language": "zh-Hant"}
    export("ntriples", enriched(AWKWARD[:4], colours=AWKWARD[4:]), path, provenance={"a\nb": '"'}, **options)
    lines = path.read_bytes().splitlines()
    parsed = [list(pyoxigraph.parse(line, pyoxigraph.RdfFormat.N_TRIPLES)) for line in lines]
    assert all(len(found) == 1 for found in parsed)
    assert len(lines) > {"none": 17, "triple-term": 17 + 2 * 12, "reification": 17 + 4 * 12}[confidence]


@pytest.mark.parametrize(("format", "named"), [("ntriples", "nt"), ("turtle", "turtle"), ("jsonld", "json-ld")])
def test_rdflib_reads_the_same(format: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "found"
    options = {"titles": AWKWARD[:4], "which": "all", "confidence": "reification"}
    export(format, enriched(AWKWARD[:4], colours=AWKWARD[4:]), path, provenance={"seed": 1}, **options)
    graph = rdflib.Graph().parse(path, format=named)
    lrd = rdflib.Namespace(LRD)
    posterior = {
        (str(graph.value(s, rdflib.RDF.subject)), str(graph.value(s, rdflib.RDF.object))): float(q)
        for s, q in graph.subject_objects(lrd.posterior)
        if graph.value(s, rdflib.RDF.predicate) == lrd["relation/latent_0"]
    }
    node = {str(graph.value(n, rdflib.DCTERMS.identifier)): str(n) for n in graph.subjects(rdflib.RDF.type, lrd.Item)}
    assert set(node) == set(AWKWARD[:4])
    pen, ink, pad, case = (node[name] for name in AWKWARD[:4])
    expected = {(pen, ink): 0.9, (ink, pen): 0.6, (pen, pad): 0.5, (case, pen): 0.7, (pen, case): 0.8}
    assert posterior == {ends: pytest.approx(q) for ends, q in expected.items()}
    assert len(list(graph.triples((None, lrd["relation/colour"], None)))) == 3
    export_node = rdflib.URIRef(f"{LRD}export")
    assert str(graph.value(export_node, lrd["provenance/seed"])) == "1"
    assert graph.value(export_node, rdflib.RDF.type) == rdflib.PROV.Entity


def test_rdflib_reads_named_graphs(tmp_path: Path) -> None:
    export("nquads", enriched(), tmp_path / "found.nq", provenance={})
    held = rdflib.Dataset()
    held.parse(tmp_path / "found.nq", format="nquads")
    graph = held.graph(rdflib.URIRef(f"{LRD}statement/latent_1/item/pad/item/case"))
    assert [tuple(map(str, triple)) for triple in graph] == [
        (f"{LRD}item/pad", f"{LRD}relation/latent_1", f"{LRD}item/case")
    ]
