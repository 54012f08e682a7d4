"""What the relational layers share: a relation table, and inputs checked against it and against the graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lrdgraph.errors import DataError
from lrdgraph.nn.adjacency import RelationalAdjacency
from lrdgraph.nn.composition import COMPOSITIONS, Composition, check_composition, identity_relation

NodeFeatures = Tensor | tuple[Tensor, Tensor | None]


class LayerInputs(NamedTuple):
    """What a layer computes with.

    Attributes:
        x: ``(sources, in_channels[0])``.
        x_root: ``(destinations, in_channels[1])``, or None where destinations have no vectors of their own.
        adjacency: the edges.
        weight: ``(E,)``.
        mixture: ``(P, K)``.
        relations: ``(R + K, in_channels[0])``.
    """

    x: Tensor
    x_root: Tensor | None
    adjacency: RelationalAdjacency
    weight: Tensor
    mixture: Tensor
    relations: Tensor


class RelationalLayer(nn.Module):
    """A layer over typed edges and edges that carry a mixture of relations.

    Args:
        in_channels: width of the nodes; a pair for sources and destinations of a bipartite graph. Relation vectors are
            as wide as sources.
        num_relations: ``R``, types of typed edges.
        num_mixture: ``K``, relations of mixture edges; their vectors follow the R in the relation table.
        composition: name of φ.
        own_relations: whether the layer has a relation table; if not, it is given at each forward.

    Raises:
        ConfigError: an unknown composition, or one that does not go with the width.
    """

    relations: nn.Parameter | None
    out_channels: int

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        num_relations: int,
        num_mixture: int,
        composition_name: str,
        own_relations: bool,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.source_channels, self.root_channels = (
            (in_channels, in_channels) if isinstance(in_channels, int) else in_channels
        )
        self.num_relations, self.num_mixture = num_relations, num_mixture
        self.composition = composition_name
        check_composition(composition_name, self.source_channels)
        table = torch.empty(num_relations + num_mixture, self.source_channels) if own_relations else None
        self.register_parameter("relations", None if table is None else nn.Parameter(table))

    @property
    def phi(self) -> Composition:
        """The composition φ."""
        return COMPOSITIONS[self.composition]

    def reset_relations(self) -> None:
        """Relation vectors near the one that leaves h as it is, where there is one."""
        if self.relations is not None:
            nn.init.normal_(self.relations, 0.0, self.source_channels**-0.5)
            with torch.no_grad():
                self.relations.add_(identity_relation(self.composition, self.source_channels).to(self.relations))

    def prepare(
        self,
        x: NodeFeatures,
        edge_index: Tensor | RelationalAdjacency,
        edge_type: Tensor | None,
        edge_weight: Tensor | None,
        latent_index: Tensor | None,
        mixture: Tensor | None,
        relations: Tensor | None,
        size: tuple[int, int] | None,
    ) -> LayerInputs:
        """Fill in what was left out, and check that all of it goes together.

        Raises:
            DataError: a shape does not agree with the graph or the layer.
        """
        x_source, x_root = (x, x) if isinstance(x, Tensor) else x
        if isinstance(edge_index, RelationalAdjacency):
            adjacency = edge_index
        else:
            if size is None:
                if x_root is None:
                    raise DataError("Without vectors for destinations their number is unknown; pass 'size'.")
                size = (len(x_source), len(x_root))
            adjacency = RelationalAdjacency.from_edges(
                edge_index, edge_type, edge_weight, num_nodes=size, latent_index=latent_index
            )
        relations = self.relations if relations is None else relations
        if relations is None:
            raise DataError("This layer has no relation table of its own; pass 'relations' to forward.")
        if adjacency.num_types > self.num_relations:
            raise DataError(
                f"An edge has type {adjacency.num_types - 1}, and the layer {self.num_relations} relations."
            )
        weight = (adjacency.weight if edge_weight is None else edge_weight).to(x_source.dtype)
        pairs = len(adjacency.latent.row)
        mixture = x_source.new_zeros(pairs, self.num_mixture) if mixture is None else mixture.to(x_source.dtype)
        expected = {
            "x": (x_source, (adjacency.size[0], self.source_channels)),
            "edge_weight": (weight, adjacency.weight.shape),
            "mixture": (mixture, (pairs, self.num_mixture)),
            "relations": (relations, (self.num_relations + self.num_mixture, self.source_channels)),
        }
        if x_root is not None:
            expected["x of destinations"] = (x_root, (adjacency.size[1], self.root_channels))
        for name, (tensor, shape) in expected.items():
            if tensor.shape != torch.Size(shape):
                raise DataError(f"'{name}' must have shape {tuple(shape)}; got {tuple(tensor.shape)}.")
        return LayerInputs(x_source, x_root, adjacency, weight, mixture, relations.to(x_source.dtype))

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, relations={self.num_relations}, mixture={self.num_mixture}, "
            f"composition={self.composition}"
        )
