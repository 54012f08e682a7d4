"""Lines of N-Quads for chosen triples, their nodes and relations, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from data_loaders.iris import ATTRIBUTE, ITEM, RELATION, STATEMENT, TERMS, checked_base, encode
from lrdgraph import __version__
from lrdgraph.errors import ConfigError
from lrdgraph.export.selection import Rows, Selection
from lrdgraph.graph.relations import Relation

CONFIDENCES = ("reification", "triple-term", "named-graph", "none")
PREFIXES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "lrd": TERMS,
}
NODES_AT_ONCE = 100_000
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


class Writer:
    """Makes the lines of one file, block by block.

    Args:
        chosen: the triples.
        base: what the IRIs of nodes and relations begin with.
        language: tag of labels, or None.
        confidence: one of ``CONFIDENCES``.
        labels: of all nodes, ``(N + A,)``; empty where there is none.

    Attributes:
        count: triples between nodes so far.

    Raises:
        ConfigError: the base is no absolute IRI, or the language is no tag.
    """

    def __init__(self, chosen: Selection, base: str, language: str | None, confidence: str, labels: pl.Series) -> None:
        if language is not None and not _LANGUAGE.fullmatch(language):
            raise ConfigError(f"The language '{language}' is no tag; give one such as en or pt-BR.")
        self.chosen, self.base, self.confidence, self.labels = chosen, checked_base(base), confidence, labels
        self.tag = "" if language is None else f"@{language}"
        local = [ITEM + encode(chosen.graph.items.series), ATTRIBUTE + encode(chosen.graph.attributes.series)]
        self.local = pl.concat(local)
        self.node = "<" + base + self.local + ">"
        self.count = 0
        self._touched = np.zeros(chosen.graph.num_rows, dtype=bool)

    def lines(self, provenance: Mapping[str, object]) -> Iterator[pl.Series]:
        """All lines, without the last line end; a row may hold several."""
        yield self._origin(self.chosen.provenance(provenance))
        yield from map(self._relation, self.chosen.relations)
        for rows in self.chosen.blocks():
            self._touched[rows.head] = self._touched[rows.tail] = True
            self.count += len(rows)
            yield from self._triples(rows)
        nodes = np.flatnonzero(self._touched)
        for start in range(0, len(nodes), NODES_AT_ONCE):
            yield self._nodes(nodes[start : start + NODES_AT_ONCE])

    def _origin(self, told: Mapping[str, object]) -> pl.Series:
        export, software = f"<{self.base}export>", f"<{TERMS}software/{_encoded(__version__)}>"
        lines = [
            f"{export} {_iri('rdf:type')} {_iri('prov:Entity')} .",
            f"{export} {_iri('prov:wasAttributedTo')} {software} .",
            f"{software} {_iri('rdf:type')} {_iri('prov:SoftwareAgent')} .",
            f"{software} {_iri('rdfs:label')} {_literal(f'lrdgraph {__version__}')} .",
        ]
        if "corpus" in told:
            corpus = f"<{TERMS}corpus/{_encoded(str(told['corpus']))}>"
            lines += [f"{export} {_iri('prov:wasDerivedFrom')} {corpus} ."]
            lines += [f"{corpus} {_iri('rdf:type')} {_iri('prov:Entity')} ."]
        lines += [f"{export} <{TERMS}provenance/{_encoded(k)}> {_literal(str(v))} ." for k, v in told.items()]
        return pl.Series(lines)

    def _relation_iri(self, relation: Relation) -> str:
        return f"<{self.base}{RELATION}{_encoded(relation.name)}>"

    def _relation(self, relation: Relation) -> pl.Series:
        own = {
            "rdf:type": _iri("rdf:Property"),
            "dcterms:identifier": _literal(relation.name),
            "rdfs:label": _literal(relation.label) + self.tag,
            "rdfs:isDefinedBy": f"<{self.base}export>",
            "lrd:kind": _literal(relation.kind),
        }
        if relation.description:
            own["rdfs:comment"] = _literal(relation.description) + self.tag
        if relation.proposed_by:
            own["lrd:proposedBy"] = _literal(relation.proposed_by)
        if relation.symmetric is not None:
            own["lrd:symmetric"] = _boolean(relation.symmetric)
        if relation.kind == "latent":
            own["lrd:calibrated"] = _boolean(relation.name in self.chosen.calibration)
        subject = self._relation_iri(relation)
        return pl.Series([f"{subject} {_iri(key)} {value} ." for key, value in own.items()])

    def _triples(self, rows: Rows) -> Iterator[pl.Series]:
        relation, name = self._relation_iri(rows.relation), _encoded(rows.relation.name)
        locals_ = (self.local.gather(rows.head - 1), self.local.gather(rows.tail - 1))
        opened = pl.lit(f"<{self.base}{STATEMENT}{name}/")
        table = pl.DataFrame(
            {
                "head": self.node.gather(rows.head - 1),
                "tail": self.node.gather(rows.tail - 1),
                "statement": pl.select(
                    pl.concat_str(opened, locals_[0], pl.lit("/"), locals_[1], pl.lit(">"))
                ).to_series(),
                **self._sure(rows),
            }
        )
        measures = table.columns[3:]
        told = pl.any_horizontal(pl.col(measures).is_not_null()) if measures else pl.lit(False)
        graph = pl.when(told & (self.confidence == "named-graph")).then(" " + pl.col("statement")).otherwise(pl.lit(""))
        yield table.select(pl.format(f"{{}} {relation} {{}}{{}} .", "head", "tail", graph)).to_series()
        about: dict[str, dict[str, str | pl.Expr]] = {
            "reification": {"rdf:subject": "head", "rdf:predicate": pl.lit(relation), "rdf:object": "tail"},
            "triple-term": {"rdf:reifies": pl.format(f"<<( {{}} {relation} {{}} )>>", "head", "tail")},
        }
        said = about.get(self.confidence, {})
        lines = [pl.format(f"{{}} {_iri(key)} {{}} .", "statement", value) for key, value in said.items()]
        lines += [
            pl.format(f'{{}} {_iri(f"lrd:{measure}")} "{{}}"^^{_iri("xsd:float")} .', "statement", measure)
            for measure in measures
        ]
        if measures and self.confidence != "none":
            yield table.filter(told).select(pl.concat_str(lines, separator="\n", ignore_nulls=True)).to_series()

    def _sure(self, rows: Rows) -> dict[str, pl.Series]:
        """What is said of each triple; nothing of a recorded one whose weight is 1."""
        if rows.relation.kind == "latent":
            told = {"posterior": pl.Series(rows.value)}
            return told | ({} if rows.probability is None else {"probability": pl.Series(rows.probability)})
        weight = pl.Series(rows.value)
        return {} if (rows.value == 1).all() else {"weight": weight.set(weight == 1, None)}

    def _nodes(self, nodes: np.ndarray) -> pl.Series:
        item = nodes <= self.chosen.graph.num_items
        table = pl.DataFrame(
            {
                "node": self.node.gather(nodes - 1),
                "class": np.where(item, _iri("lrd:Item"), _iri("lrd:Attribute")),
                "id": self.chosen.ids.gather(nodes - 1).str.replace_many(_ESCAPES),
                "label": self.labels.gather(nodes - 1).str.replace_many(_ESCAPES),
                "tag": np.where(item, self.tag, ""),
            }
        )
        label = pl.format(f'{{}} {_iri("rdfs:label")} "{{}}"{{}} .', "node", "label", "tag")
        lines = [
            pl.format(f"{{}} {_iri('rdf:type')} {{}} .", "node", "class"),
            pl.format(f'{{}} {_iri("dcterms:identifier")} "{{}}" .', "node", "id"),
            pl.when(pl.col("label") != "").then(label),
        ]
        return table.select(pl.concat_str(lines, separator="\n", ignore_nulls=True)).to_series()


def _iri(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"<{PREFIXES[prefix]}{local}>"


def _encoded(text: str) -> str:
    return str(encode(pl.Series([text]))[0])


def _literal(text: str) -> str:
    return '"' + str(pl.Series([text]).str.replace_many(_ESCAPES)[0]) + '"'


def _boolean(value: bool) -> str:
    return f'"{str(value).lower()}"^^{_iri("xsd:boolean")}'
