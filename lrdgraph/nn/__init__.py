"""Layers to import into any model: they know nothing else of lrdgraph.

The same convolution for DGL is :class:`lrdgraph.nn.dgl_conv.DGLRelationalConv`, which imports dgl.
"""

from lrdgraph.nn.adjacency import RelationalAdjacency
from lrdgraph.nn.hetero_conv import HeteroRelationalConv
from lrdgraph.nn.relational_attention_conv import RelationalAttentionConv
from lrdgraph.nn.relational_conv import RelationalConv
from lrdgraph.nn.time import DecayKernel, FourierDecay, GapEmbedding

__all__ = [
    "DecayKernel",
    "FourierDecay",
    "GapEmbedding",
    "HeteroRelationalConv",
    "RelationalAdjacency",
    "RelationalAttentionConv",
    "RelationalConv",
]
