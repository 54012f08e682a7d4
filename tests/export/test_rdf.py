"""RDF without a library that reads it; tests/integrations reads it with pyoxigraph and rdflib."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrdgraph import __version__
from lrdgraph.errors import ConfigError, MissingExtraError
from lrdgraph.export import export, export_rdf
from lrdgraph.graph.relations import Relation
from tests.export.worlds import enriched

RDF, RDFS = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://www.w3.org/2000/01/rdf-schema#"
FLOAT = "http://www.w3.org/2001/XMLSchema#float"
# https://www.w3.org/TR/n-triples/#n-triples-grammar, of IRIs and literals, and the triple terms of RDF 1.2
IRI = r"<[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]*>"
LITERAL = rf'"(?:[^"\\\n\r]|\\[tbnrf"\'\\])*"(?:@[A-Za-z]+(?:-[A-Za-z0-9]+)*|\^\^{IRI})?'
LINE = re.compile(rf"{IRI} {IRI} (?:{IRI}|{LITERAL}|<<\( {IRI} {IRI} {IRI} \)>>)(?: {IRI})? \.")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def lines(tmp_path: Path, *, format: str = "ntriples", source=None, **options) -> list[str]:
    path = tmp_path / "found.nt"
    export_rdf(source or enriched(), path, provenance=options.pop("provenance", {}), format=format, **options)
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def about(found: list[str], subject: str) -> list[str]:
    return [line.removeprefix(f"<{subject}> ").removesuffix(" .") for line in found if line.startswith(f"<{subject}> ")]


def test_triples_alone_by_hand(tmp_path: Path):
    found = lines(
        tmp_path, confidence="none", base="https://e.org/", threshold=0.9, which="all", titles=["A", "", "", ""]
    )
    stated = [line for line in found if line.startswith("<https://e.org/item/") and "<https://e.org/relation/" in line]
    assert stated == [
        "<https://e.org/item/pen> <https://e.org/relation/needs> <https://e.org/item/ink> .",
        "<https://e.org/item/pad> <https://e.org/relation/needs> <https://e.org/item/case> .",
        "<https://e.org/item/pen> <https://e.org/relation/colour> <https://e.org/attribute/red> .",
        "<https://e.org/item/ink> <https://e.org/relation/colour> <https://e.org/attribute/blue> .",
        "<https://e.org/item/pad> <https://e.org/relation/colour> <https://e.org/attribute/red> .",
        "<https://e.org/item/pen> <https://e.org/relation/latent_0> <https://e.org/item/ink> .",
        "<https://e.org/item/pad> <https://e.org/relation/latent_1> <https://e.org/item/case> .",
    ]
    assert not any("posterior" in line for line in found)


def test_nodes_by_hand(tmp_path: Path):
    found = lines(tmp_path, titles=['A "pen"', "", "", ""], language="pt-BR", which="all", threshold=0.9)
    assert about(found, "urn:lrdgraph:item/pen")[-3:] == [
        f"<{RDF}type> <urn:lrdgraph:Item>",
        '<http://purl.org/dc/terms/identifier> "pen"',
        f'<{RDFS}label> "A \\"pen\\""@pt-BR',
    ]
    assert about(found, "urn:lrdgraph:item/case") == [
        f"<{RDF}type> <urn:lrdgraph:Item>",
        '<http://purl.org/dc/terms/identifier> "case"',
    ]
    assert about(found, "urn:lrdgraph:attribute/red")[-1] == f'<{RDFS}label> "red"'


STATEMENT = "urn:lrdgraph:statement/latent_1/item/pad/item/case"
POSTERIOR = f'<urn:lrdgraph:posterior> "1.0"^^<{FLOAT}>'
ENDS = ("<urn:lrdgraph:item/pad>", "<urn:lrdgraph:relation/latent_1>", "<urn:lrdgraph:item/case>")


@pytest.mark.parametrize(
    ("format", "confidence", "said"),
    [
        (
            *("ntriples", "reification"),
            [f"<{RDF}{part}> {end}" for part, end in zip(("subject", "predicate", "object"), ENDS, strict=True)],
        ),
        ("ntriples", "triple-term", [f"<{RDF}reifies> <<( {' '.join(ENDS)} )>>"]),
        ("nquads", "named-graph", []),
    ],
)
def test_how_sure_is_said_of_each(format, confidence, said, tmp_path: Path):
    found = lines(tmp_path, format=format, confidence=confidence, threshold=1.0)
    graph = f" <{STATEMENT}>" if confidence == "named-graph" else ""
    assert f"{' '.join(ENDS)}{graph} ." in found
    assert about(found, STATEMENT) == [*said, POSTERIOR]
    default = lines(tmp_path, format=format, threshold=1.0)
    assert (default == found) == (confidence in ("reification", "named-graph"))


def test_weights_of_one_are_not_told_and_probabilities_are(tmp_path: Path):
    source = enriched(weight=[0.25, 1, 1, 1, 1])
    found = lines(tmp_path, source=source, which="all", threshold=0.8, calibration={"latent_0": np.square})
    told = [line for line in found if "<urn:lrdgraph:weight>" in line]
    assert told == [f'<urn:lrdgraph:statement/needs/item/pen/item/ink> <urn:lrdgraph:weight> "0.25"^^<{FLOAT}> .']
    assert about(found, "urn:lrdgraph:statement/latent_0/item/pen/item/ink")[3:] == [
        f'<urn:lrdgraph:posterior> "0.9"^^<{FLOAT}>',
        f'<urn:lrdgraph:probability> "0.80999994"^^<{FLOAT}>',
    ]


def test_relations_are_described(tmp_path: Path):
    source = enriched()
    named = Relation("latent_0", "latent", "goes with", "Both are\nbought.", True, "a model")
    found = lines(tmp_path, source=replace(source, latent=(named, source.latent[1])), language="en")
    assert about(found, "urn:lrdgraph:relation/latent_0") == [
        f"<{RDF}type> <{RDF}Property>",
        '<http://purl.org/dc/terms/identifier> "latent_0"',
        f'<{RDFS}label> "goes with"@en',
        f"<{RDFS}isDefinedBy> <urn:lrdgraph:export>",
        '<urn:lrdgraph:kind> "latent"',
        f'<{RDFS}comment> "Both are\\nbought."@en',
        '<urn:lrdgraph:proposedBy> "a model"',
        '<urn:lrdgraph:symmetric> "true"^^<http://www.w3.org/2001/XMLSchema#boolean>',
        '<urn:lrdgraph:calibrated> "false"^^<http://www.w3.org/2001/XMLSchema#boolean>',
    ]
    assert set(about(found, "urn:lrdgraph:relation/latent_1")) == {
        f"<{RDF}type> <{RDF}Property>",
        '<http://purl.org/dc/terms/identifier> "latent_1"',
        f'<{RDFS}label> "latent_1"@en',
        f"<{RDFS}isDefinedBy> <urn:lrdgraph:export>",
        '<urn:lrdgraph:kind> "latent"',
        '<urn:lrdgraph:calibrated> "false"^^<http://www.w3.org/2001/XMLSchema#boolean>',
    }


def test_where_it_comes_from(tmp_path: Path):
    found = lines(tmp_path, provenance={"model": 'a "b"', "seed": 1, "corpus": "12 34"}, base="http://e.org/")
    told = about(found, "http://e.org/export")
    assert f"<{RDF}type> <http://www.w3.org/ns/prov#Entity>" in told
    assert "<http://www.w3.org/ns/prov#wasDerivedFrom> <urn:lrdgraph:corpus/12%2034>" in told
    assert f"<http://www.w3.org/ns/prov#wasAttributedTo> <urn:lrdgraph:software/{__version__}>" in told
    assert '<urn:lrdgraph:provenance/model> "a \\"b\\""' in told
    assert '<urn:lrdgraph:provenance/seed> "1"' in told


@given(
    ids=st.lists(TEXT, min_size=6, max_size=6, unique=True),
    confidence=st.sampled_from(["reification", "triple-term", "named-graph", "none"]),
)
@example(ids=["a\r", 'b"', "c\\", "<d>\n", "é %41", "墨"], confidence="triple-term")
def test_every_line_is_valid_and_every_text_is_there(ids, confidence, tmp_path_factory):
    source = enriched(ids[:4], colours=ids[4:], names=[ids[0] + "r", "b"])
    found = lines(
        tmp_path_factory.mktemp("ids"),
        **{"format": "nquads", "source": source, "which": "all", "confidence": confidence},
        **{"provenance": {ids[1]: ids[2]}, "titles": ids[:4], "language": "en"},
    )
    assert [line for line in found if not LINE.fullmatch(line)] == []
    nodes = re.findall(rf"^<urn:lrdgraph:(item|attribute)/(\S+)> <{RDF}type>", "\n".join(found), re.MULTILINE)
    assert [unquote(part, errors="strict") for _, part in nodes] == ids
    assert [kind for kind, _ in nodes] == ["item"] * 4 + ["attribute"] * 2


def test_the_line_rule_sees():
    for wrong in ("<a> <b:c> <d:e> .", "<a:b c> <b:c> <d:e> .", '<a:b> <b:c> "x"y" .', '<a:b> <b:c> "x\ny" .'):
        assert not LINE.fullmatch(wrong)


def test_bad_options_are_told(tmp_path: Path):
    path = tmp_path / "x"
    for options, sentence in (
        ({"base": "no iri"}, "The base 'no iri' is no absolute IRI; give one such as"),
        ({"base": "http://e.org/<"}, "no absolute IRI"),
        ({"language": "en_GB"}, "The language 'en_GB' is no tag; give one such as en or pt-BR."),
        ({"confidence": "named-graph"}, "'ntriples' does not tell confidences as 'named-graph'; it takes reification,"),
        ({"confidence": "reify"}, "as 'reify' .did you mean 'reification'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            export("ntriples", enriched(), path, provenance={}, **options)
    with pytest.raises(ConfigError, match="'jsonld' does not tell confidences as 'triple-term'; it takes named-graph"):
        export("jsonld", enriched(), path, provenance={}, confidence="triple-term")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["turtle", "trig", "jsonld"])
def test_without_pyoxigraph_the_extra_is_named(format, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(
        MissingExtraError, match=rf"'{format}' needs pyoxigraph; install it with 'pip install lrdgraph.rdf"
    ):
        export(format, enriched(), tmp_path / "x", provenance={})
    assert export("ntriples", enriched(), tmp_path / "x.nt", provenance={}) == 7
