"""Graphs to and from other libraries; nothing is lost on the way round.

Each of these modules says what is kept where. All know two kinds of node, ``item`` and ``attribute``, and keep a latent
edge as one edge with its whole posterior; PyKEEN alone, which knows triples, has one triple for each latent relation.
"""

from lrdgraph.graph.convert_dgl import from_dgl, to_dgl
from lrdgraph.graph.convert_networkx import from_networkx, to_networkx
from lrdgraph.graph.convert_ogb import from_ogb, to_ogb
from lrdgraph.graph.convert_pyg import from_hetero_data, to_hetero_data
from lrdgraph.graph.convert_pykeen import TripleValues, from_pykeen, to_pykeen

__all__ = [
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
