"""Triples as RDF files: N-Triples, N-Quads, Turtle, TriG and JSON-LD."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple, Unpack

import polars as pl

from data_loaders.iris import ATTRIBUTE, ITEM, RELATION, STATEMENT, TERMS
from lrdgraph.errors import ConfigError, MissingExtraError, nearest
from lrdgraph.export.rdf_lines import CONFIDENCES, PREFIXES, Writer
from lrdgraph.export.registry import register_exporter
from lrdgraph.export.selection import Choice, select, titled
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.storage import atomic_file


class Format(NamedTuple):
    """How a format's files end, how it can tell confidences (the first unless asked), and pyoxigraph's name of it."""

    ending: str
    confidences: tuple[str, ...]
    oxigraph: str | None = None


KINDS = (ITEM, ATTRIBUTE, RELATION, STATEMENT)
FORMATS = {
    "ntriples": Format(".nt", ("reification", "triple-term", "none")),
    "nquads": Format(".nq", ("named-graph", "reification", "triple-term", "none")),
    "turtle": Format(".ttl", ("reification", "triple-term", "none"), "TURTLE"),
    "trig": Format(".trig", ("named-graph", "reification", "triple-term", "none"), "TRIG"),
    "jsonld": Format(".jsonld", ("named-graph", "reification", "none"), "JSON_LD"),
}


def export_rdf(
    source: EnrichedGraph | object,
    path: Path | str,
    *,
    provenance: Mapping[str, object],
    format: str,
    base: str = TERMS,
    language: str | None = None,
    confidence: str | None = None,
    titles: Sequence[str] | None = None,
    **choice: Unpack[Choice],
) -> int:
    """Write triples as RDF.

    A triple is stated as it is, by IRIs made of the base, ``item/``, ``attribute/`` or ``relation/``, and the
    percent-encoded id. How sure it is stands beside it as ``urn:lrdgraph:posterior``, ``probability`` or ``weight``
    (left out where 1), said of a node that the triple gives its name:

    ================  =====================================================================================
    ``reification``   ``rdf:subject``, ``rdf:predicate`` and ``rdf:object`` of that node; every tool reads it
    ``triple-term``   the node ``rdf:reifies`` the triple (RDF 1.2, the heir of RDF-star); three lines a triple
    ``named-graph``   the node is the named graph that holds the triple; not in N-Triples and Turtle
    ``none``          nothing is said: the triples alone
    ================  =====================================================================================

    Nodes have ``rdf:type``, ``dcterms:identifier`` (the external id) and ``rdfs:label``; relations have a label, a
    comment, their kind, who proposed their names, and whether they are calibrated and symmetric. The provenance is
    stated of BASE``export`` in terms of PROV-O. Turtle, TriG and JSON-LD are written by pyoxigraph.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        path: the file; replaced as a whole when all is written.
        provenance: model name, seed, corpus fingerprint and the like.
        format: ``"ntriples"``, ``"nquads"``, ``"turtle"``, ``"trig"`` or ``"jsonld"``.
        base: an absolute IRI that all IRIs of nodes and relations begin with.
        language: tag of the labels of items and relations, as ``"en"``; none by default.
        confidence: one of the above; ``reification`` by default, ``named-graph`` in N-Quads, TriG and JSON-LD.
        titles: one for each item, in their order.
        choice: what to export, as :func:`lrdgraph.export.selection.select` takes it.

    Returns:
        The number of triples between nodes.

    Raises:
        ConfigError: the base is no IRI, the language no tag, or the format cannot tell confidences that way.
        MissingExtraError: the format needs pyoxigraph and it is not installed.
        UnknownIdError, DataError: as :func:`lrdgraph.export.selection.select`; titles do not fit.
    """
    form = FORMATS[format]
    told = form.confidences[0] if confidence is None else confidence
    if told not in form.confidences:
        hint = nearest(told, CONFIDENCES) if told not in CONFIDENCES else ""
        can = ", ".join(form.confidences)
        raise ConfigError(f"Format '{format}' does not tell confidences as '{told}'{hint}; it takes {can}.")
    oxigraph = _oxigraph(format) if form.oxigraph else None
    chosen = select(source, **choice)
    writer = Writer(chosen, base, language, told, titled(chosen.graph, titles))
    with atomic_file(Path(path)) as temporary:
        if oxigraph is None:
            with temporary.open("wb") as file:
                for lines in writer.lines(provenance):
                    _write(lines, file)
        else:
            kinds = oxigraph.RdfFormat
            parsed = (oxigraph.parse(_bytes(lines), format=kinds.N_QUADS) for lines in writer.lines(provenance))
            prefixes = PREFIXES | {kind.rstrip("/"): base + kind for kind in KINDS}
            quads: Iterable[Any] = chain.from_iterable(parsed)
            if form.oxigraph == "TURTLE":
                quads = (quad.triple for quad in quads)
            oxigraph.serialize(quads, str(temporary), getattr(kinds, str(form.oxigraph)), prefixes=prefixes)
    return writer.count


for _name, _format in FORMATS.items():
    register_exporter(_name, _format.ending)(partial(export_rdf, format=_name))


def _oxigraph(format: str) -> Any:
    try:
        import pyoxigraph
    except ImportError:
        raise MissingExtraError(
            f"Format '{format}' needs pyoxigraph; install it with 'pip install lrdgraph[rdf]', or write ntriples."
        ) from None
    return pyoxigraph


def _write(lines: pl.Series, file: IO[bytes]) -> None:
    lines.to_frame().write_csv(file, include_header=False, quote_style="never")


def _bytes(lines: pl.Series) -> bytes:
    buffer = io.BytesIO()
    _write(lines, buffer)
    return buffer.getvalue()
