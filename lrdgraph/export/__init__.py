"""Relations in files, and told in words.

>>> from lrdgraph.export import export, export_triples
>>> export_triples(model, "relations.tsv", provenance={"seed": 0})  # doctest: +SKIP
>>> export("turtle", model, "relations.ttl", provenance={"seed": 0}, which="all")  # doctest: +SKIP
"""

from lrdgraph.export.graphml import export_graphml
from lrdgraph.export.neo4j import export_neo4j
from lrdgraph.export.rdf import export_rdf
from lrdgraph.export.registry import export, exporter_for, exporter_names, register_exporter, takes
from lrdgraph.export.relations import RelationSummary, relation_report
from lrdgraph.export.selection import Rows, Selection, select
from lrdgraph.export.tables import export_json_lines, export_parquet
from lrdgraph.export.triples import export_triples

__all__ = [
    "export",
    "exporter_for",
    "exporter_names",
    "register_exporter",
    "takes",
    "select",
    "Selection",
    "Rows",
    "export_triples",
    "export_parquet",
    "export_json_lines",
    "export_neo4j",
    "export_graphml",
    "export_rdf",
    "relation_report",
    "RelationSummary",
]
