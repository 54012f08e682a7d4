"""The item graph: predefined relations, candidate pairs, latent edges, and its way to other libraries."""

from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import (
    TripleValues,
    from_dgl,
    from_hetero_data,
    from_networkx,
    from_ogb,
    from_pykeen,
    to_dgl,
    to_hetero_data,
    to_networkx,
    to_ogb,
    to_pykeen,
)
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary

__all__ = [
    "EnrichedGraph",
    "ItemGraph",
    "Relation",
    "RelationVocabulary",
    "build_graph",
    "enrich",
    "to_hetero_data",
    "from_hetero_data",
    "to_networkx",
    "from_networkx",
    "to_dgl",
    "from_dgl",
    "to_ogb",
    "from_ogb",
    "to_pykeen",
    "from_pykeen",
    "TripleValues",
]
