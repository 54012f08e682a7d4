"""The item graph: predefined relations, candidate pairs, latent edges, and its way to other libraries."""

from lrdgraph.graph.build import build_graph
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary

__all__ = ["EnrichedGraph", "ItemGraph", "Relation", "RelationVocabulary", "build_graph", "enrich"]
