"""Discovered relations in files, and told in words.

>>> from lrdgraph.export import export_triples
>>> export_triples(model, "relations.tsv", provenance={"seed": 0})  # doctest: +SKIP
"""

from lrdgraph.export.registry import export, exporter_names, register_exporter
from lrdgraph.export.relations import RelationSummary, relation_report
from lrdgraph.export.triples import export_triples

__all__ = [
    "RelationSummary",
    "export",
    "export_triples",
    "exporter_names",
    "register_exporter",
    "relation_report",
]
