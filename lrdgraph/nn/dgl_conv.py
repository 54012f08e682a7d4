"""The relational convolution on DGL's graphs; importing this module imports dgl."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.nn.relational_conv import RelationalConv

# dgl asks for its backend by writing to the home folder where nobody has said
os.environ.setdefault("DGLBACKEND", "pytorch")
try:
    import dgl.function as fn
except ImportError:
    raise MissingExtraError("DGLRelationalConv needs dgl; install it with 'pip install lrdgraph[dgl]'.") from None


class DGLRelationalConv(RelationalConv):
    r"""The equation of :class:`lrdgraph.nn.relational_conv.RelationalConv` by DGL's message passing.

    Arguments, parameters and their names are those of the base class, so that ``load_state_dict`` takes weights from
    one to the other; outputs and gradients are equal. Typed edges and mixture edges stand in one graph: each edge has a
    weight on its own type, and beside it, where ``mixture`` is given, K weights on the relations of mixtures.
    """

    def forward(  # type: ignore[override]
        self,
        graph: Any,
        feat: Tensor | tuple[Tensor, Tensor | None],
        etypes: Tensor,
        edge_weight: Tensor | None = None,
        mixture: Tensor | None = None,
        relations: Tensor | None = None,
    ) -> Tensor:
        """One round of messages.

        Args:
            graph: a homogeneous ``DGLGraph``, a block of a sampler, or a graph with one edge type.
            feat: ``(nodes, in_channels)``; of a block the vectors of its sources, of which destinations are the first;
                or a pair of tables for sources and destinations.
            etypes: ``(E,)`` int64 in the order of the graph's edges.
            edge_weight: ``(E,)``; 1 where None. Give 0 to edges that carry a mixture alone.
            mixture: ``(E, K)``; give 0 to edges that carry a type alone.
            relations: ``(R + K, in_channels)``, used instead of the layer's own.

        Returns:
            ``(destinations, out_channels)``.

        Raises:
            DataError: a shape does not agree with the graph or the layer.
        """
        if isinstance(feat, tuple):
            x, x_root = feat
        else:
            x, x_root = feat, feat[: graph.num_dst_nodes()] if graph.is_block else feat
        relations = self.relations if relations is None else relations
        if relations is None:
            raise DataError("This layer has no relation table of its own; pass 'relations' to forward.")
        weight = x.new_ones(len(etypes)) if edge_weight is None else edge_weight.to(x.dtype)
        self._check(graph, x, x_root, etypes, weight, mixture)
        vectors = self.phi.relation(relations.to(x.dtype))
        carried, mass = weight[:, None] * vectors.index_select(0, etypes), weight
        if mixture is not None:
            mixture = mixture.to(x.dtype)
            carried = carried + mixture @ vectors[self.num_relations :]
            mass = mass + mixture.sum(1)
        with graph.local_scope():
            graph.srcdata["h"] = self.phi.node(x)
            graph.edata["z"], graph.edata["w"] = carried, mass[:, None]
            graph.update_all(fn.u_mul_e("h", "z", "m"), fn.sum("m", "total"))
            graph.update_all(fn.copy_e("w", "m"), fn.sum("m", "mass"))
            mean = self.phi.join(graph.dstdata["total"], self.source_channels) / (graph.dstdata["mass"] + self.eps)
        heard = self.neighbour(mean)
        return heard if x_root is None else self.root(x_root) + heard

    def _check(
        self, graph: Any, x: Tensor, x_root: Tensor | None, etypes: Tensor, weight: Tensor, mixture: Tensor | None
    ) -> None:
        edges = graph.num_edges()
        expected = {
            "feat": (x, (graph.num_src_nodes(), self.source_channels)),
            "etypes": (etypes, (edges,)),
            "edge_weight": (weight, (edges,)),
        }
        if x_root is not None:
            expected["feat of destinations"] = (x_root, (graph.num_dst_nodes(), self.root_channels))
        if mixture is not None:
            expected["mixture"] = (mixture, (edges, self.num_mixture))
        for name, (tensor, shape) in expected.items():
            if tensor.shape != torch.Size(shape):
                raise DataError(f"'{name}' must have shape {tuple(shape)}; got {tuple(tensor.shape)}.")
        if edges and not 0 <= int(etypes.min()) <= int(etypes.max()) < max(self.num_relations, 1):
            raise DataError(f"An edge has a type outside 0…{self.num_relations - 1}, the relations of the layer.")
