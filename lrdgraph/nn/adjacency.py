"""Typed edges and mixture edges, checked and sorted once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.nn.sparse_products import Pattern
from lrdgraph.nn.typed_product import TypedPattern


@dataclass(frozen=True, eq=False)
class RelationalAdjacency:
    """Edges sorted once for all steps that use them; build with :meth:`from_edges`.

    Attributes:
        size: rows of the table of sources and of that of destinations; the same table where the graph is not bipartite.
        num_types: one more than the largest type.
        weight: ``(E,)`` weights of the typed edges, in the order they were given.
        typed: the typed edges.
        latent: the mixture edges, a matrix of destinations × sources.
    """

    size: tuple[int, int]
    num_types: int
    weight: Tensor
    typed: TypedPattern
    latent: Pattern

    @classmethod
    def from_edges(
        cls,
        edge_index: Tensor,
        edge_type: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        num_nodes: int | tuple[int, int],
        latent_index: Tensor | None = None,
    ) -> RelationalAdjacency:
        """Sort edges.

        Args:
            edge_index: ``(2, E)`` int64, row 0 the source j, row 1 the destination i.
            edge_type: ``(E,)`` int64; 0 where None.
            edge_weight: ``(E,)``; 1 where None.
            num_nodes: rows of the node table, padding included; of that of sources and that of destinations where they
                are two.
            latent_index: ``(2, P)`` int64, the edges that a mixture will weigh.

        Raises:
            DataError: shapes do not agree, or an edge names a node outside its table or a type below 0.
        """
        size = (num_nodes, num_nodes) if isinstance(num_nodes, int) else num_nodes
        if edge_type is None:
            edge_type = edge_index.new_zeros(edge_index.shape[-1])
        if latent_index is None:
            latent_index = edge_index.new_empty(2, 0)
        _check_index("edge_index", edge_index, size)
        _check_index("latent_index", latent_index, size)
        if edge_type.shape != edge_index.shape[1:]:
            raise DataError(f"There are {edge_index.shape[1]} edges and {tuple(edge_type.shape)} types; give one each.")
        if len(edge_type) and int(edge_type.min()) < 0:
            raise DataError(f"An edge has type {int(edge_type.min())}; types count from 0.")
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.shape[1], device=edge_index.device)
        elif edge_weight.shape != edge_type.shape:
            raise DataError(f"'edge_weight' must have shape {tuple(edge_type.shape)}; got {tuple(edge_weight.shape)}.")
        sources, destinations = size
        return cls(
            size=size,
            num_types=int(edge_type.max()) + 1 if len(edge_type) else 0,
            weight=edge_weight,
            typed=TypedPattern.of(edge_index[1], edge_index[0], edge_type, destinations, sources),
            latent=Pattern.of(latent_index[1], latent_index[0], destinations, sources),
        )

    def to(self, device: torch.device | str) -> RelationalAdjacency:
        return RelationalAdjacency(
            self.size, self.num_types, self.weight.to(device), self.typed.to(device), self.latent.to(device)
        )

    def __repr__(self) -> str:
        sources, destinations = self.size
        nodes = f"{sources:,} nodes" if sources == destinations else f"{sources:,} → {destinations:,} nodes"
        return (
            f"RelationalAdjacency({nodes}, {len(self.weight):,} typed edges over "
            f"{len(self.typed.source):,} messages, {len(self.latent.row):,} mixture edges)"
        )


def _check_index(name: str, index: Tensor, size: tuple[int, int]) -> None:
    if index.dim() != 2 or index.shape[0] != 2:
        raise DataError(f"'{name}' must be (2, edges); got {tuple(index.shape)}.")
    for nodes, rows in zip(index, size, strict=True):
        if len(nodes) and (int(nodes.min()) < 0 or int(nodes.max()) >= rows):
            raise DataError(f"'{name}' names a node outside 0…{rows - 1}; give the node table's row count.")
