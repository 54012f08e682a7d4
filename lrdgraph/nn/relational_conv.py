"""A graph convolution whose edges carry one relation or a mixture of relations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.nn.sparse_products import MixtureProduct, Pattern, SparseProduct


@dataclass(frozen=True, eq=False)
class RelationalAdjacency:
    """Edges sorted once for all steps that use them; build with :meth:`from_edges`.

    A typed edge reads its message from a table with one row for each (source, type) that occurs, so that a message is
    composed once however many edges carry it.

    Attributes:
        num_nodes: rows of the node table.
        num_types: one more than the largest type.
        weight: ``(E,)`` weights of the typed edges, in the order they were given.
    """

    num_nodes: int
    num_types: int
    weight: Tensor
    entry_source: Tensor
    entry_type: Tensor
    typed: Pattern
    latent: Pattern

    @classmethod
    def from_edges(
        cls,
        edge_index: Tensor,
        edge_type: Tensor,
        edge_weight: Tensor | None = None,
        *,
        num_nodes: int,
        latent_index: Tensor | None = None,
    ) -> RelationalAdjacency:
        """Sort edges.

        Args:
            edge_index: ``(2, E)`` int64, row 0 the source j, row 1 the destination i.
            edge_type: ``(E,)`` int64.
            edge_weight: ``(E,)``; 1 where None.
            num_nodes: rows of the node table, padding included.
            latent_index: ``(2, P)`` int64, the edges that a mixture will weigh.

        Raises:
            DataError: shapes do not agree, or an edge names a node outside the table or a type below 0.
        """
        if latent_index is None:
            latent_index = edge_index.new_empty(2, 0)
        for name, index in (("edge_index", edge_index), ("latent_index", latent_index)):
            if index.dim() != 2 or index.shape[0] != 2:
                raise DataError(f"'{name}' must be (2, edges); got {tuple(index.shape)}.")
            if index.numel() and (int(index.min()) < 0 or int(index.max()) >= num_nodes):
                raise DataError(f"'{name}' names a node outside 0…{num_nodes - 1}; give the node table's row count.")
        if edge_type.shape != edge_index.shape[1:]:
            raise DataError(f"There are {edge_index.shape[1]} edges and {tuple(edge_type.shape)} types; give one each.")
        if len(edge_type) and int(edge_type.min()) < 0:
            raise DataError(f"An edge has type {int(edge_type.min())}; types count from 0.")
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.shape[1], device=edge_index.device)
        elif edge_weight.shape != edge_type.shape:
            raise DataError(f"'edge_weight' must have shape {tuple(edge_type.shape)}; got {tuple(edge_weight.shape)}.")
        entries, entry = torch.unique(edge_type * num_nodes + edge_index[0], return_inverse=True)
        return cls(
            num_nodes=num_nodes,
            num_types=int(edge_type.max()) + 1 if len(edge_type) else 0,
            weight=edge_weight,
            entry_source=entries % num_nodes,
            entry_type=entries // num_nodes,
            typed=Pattern.of(edge_index[1], entry, num_nodes, len(entries)),
            latent=Pattern.of(latent_index[1], latent_index[0], num_nodes, num_nodes),
        )

    def to(self, device: torch.device | str) -> RelationalAdjacency:
        return RelationalAdjacency(
            self.num_nodes,
            self.num_types,
            self.weight.to(device),
            self.entry_source.to(device),
            self.entry_type.to(device),
            self.typed.to(device),
            self.latent.to(device),
        )

    def __repr__(self) -> str:
        return (
            f"RelationalAdjacency({self.num_nodes:,} nodes, {len(self.weight):,} typed edges over "
            f"{len(self.entry_type):,} messages, {len(self.latent.row):,} mixture edges)"
        )


class _Composition(NamedTuple):
    """φ(h, z) as ``join(node(h) ⊙ relation(z))``, which the sums over edges and relations pass through."""

    node: Callable[[Tensor], Tensor]
    relation: Callable[[Tensor], Tensor]
    join: Callable[[Tensor, int], Tensor]


def _correlation_node(h: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(h)
    return torch.cat([spectrum.real, spectrum.imag, spectrum.real, spectrum.imag], dim=-1)


def _correlation_relation(z: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(z)
    return torch.cat([spectrum.real, spectrum.imag, spectrum.imag, spectrum.real], dim=-1)


def _correlation_join(product: Tensor, width: int) -> Tensor:
    real, imaginary, cross, crossed = product.chunk(4, dim=-1)
    return torch.fft.irfft(torch.complex(real + imaginary, cross - crossed), n=width)


COMPOSITIONS: dict[str, _Composition] = {
    "multiply": _Composition(lambda h: h, lambda z: z, lambda product, width: product),
    "subtract": _Composition(
        lambda h: torch.cat([h, torch.ones_like(h)], dim=-1),
        lambda z: torch.cat([torch.ones_like(z), -z], dim=-1),
        lambda product, width: product[..., :width] + product[..., width:],
    ),
    "correlation": _Composition(_correlation_node, _correlation_relation, _correlation_join),
}


class RelationalConv(nn.Module):
    r"""Relational convolution over typed edges and edges that carry a mixture of relations.

    .. math::
        h'_i = W_0 h_i + \frac{1}{c_i} \sum_{j \to i} \sum_r w_{ji,r}\, \varphi(h_j, z_r)\, W_1,
        \qquad c_i = \sum_{j \to i} \sum_r w_{ji,r} + \varepsilon

    A typed edge has one non-zero ``w``; a mixture edge has ``K``. The activation is the caller's. With φ a product and
    one relation vector for each type this is R-GCN (arXiv 1703.06103) with diagonal relation matrices; the
    compositions are those of CompGCN (arXiv 1911.03082), all linear in z, so that the sum over relations costs no
    tensor of edges × relations × channels.

    Args:
        in_channels: ``D``, width of nodes and relation vectors.
        out_channels: width of the result.
        num_relations: ``R``, types of typed edges.
        num_mixture: ``K``, relations of mixture edges; their vectors follow the R in the relation table.
        composition: ``"multiply"`` (h ⊙ z), ``"subtract"`` (h − z) or ``"correlation"`` (circular, h ⋆ z).
        own_relations: whether the layer has a relation table; if not, it is given at each forward.
        eps: ε of the equation.

    Raises:
        ConfigError: an unknown composition.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_relations: int,
        num_mixture: int = 0,
        *,
        composition: str = "multiply",
        own_relations: bool = True,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        if composition not in COMPOSITIONS:
            raise ConfigError(
                f"Unknown composition '{composition}'; known are {', '.join(COMPOSITIONS)}"
                f"{nearest(composition, COMPOSITIONS)}."
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.num_relations, self.num_mixture = num_relations, num_mixture
        self.composition, self.eps = composition, eps
        self.root = nn.Linear(in_channels, out_channels, bias=False)
        self.neighbour = nn.Linear(in_channels, out_channels, bias=False)
        self.relations = nn.Parameter(torch.empty(num_relations + num_mixture, in_channels)) if own_relations else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot weights; relation vectors near the one that leaves h as it is, where there is one."""
        nn.init.xavier_uniform_(self.root.weight)
        nn.init.xavier_uniform_(self.neighbour.weight)
        if self.relations is not None:
            nn.init.normal_(self.relations, float(self.composition == "multiply"), self.in_channels**-0.5)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | RelationalAdjacency,
        edge_type: Tensor | None = None,
        edge_weight: Tensor | None = None,
        latent_index: Tensor | None = None,
        mixture: Tensor | None = None,
        relations: Tensor | None = None,
    ) -> Tensor:
        """One round of messages.

        Args:
            x: ``(nodes, in_channels)``.
            edge_index: ``(2, E)`` int64 from row 0 to row 1, or a prepared adjacency, which spares the sorting.
            edge_type: ``(E,)`` int64; part of a prepared adjacency.
            edge_weight: ``(E,)``; that of the adjacency, or 1, where None. May require a gradient.
            latent_index: ``(2, P)`` int64; part of a prepared adjacency.
            mixture: ``(P, K)`` weights of the latent edges. May require a gradient.
            relations: ``(R + K, in_channels)``, used instead of the layer's own.

        Returns:
            ``(nodes, out_channels)``.

        Raises:
            DataError: a shape does not agree with the graph or the layer.
        """
        if isinstance(edge_index, RelationalAdjacency):
            adjacency = edge_index
        else:
            edge_type = edge_type if edge_type is not None else edge_index.new_zeros(edge_index.shape[1])
            adjacency = RelationalAdjacency.from_edges(
                edge_index, edge_type, edge_weight, num_nodes=len(x), latent_index=latent_index
            )
        relations = relations if relations is not None else self.relations
        weight = (adjacency.weight if edge_weight is None else edge_weight).to(x.dtype)
        mixture = x.new_zeros(len(adjacency.latent.row), self.num_mixture) if mixture is None else mixture.to(x.dtype)
        relations = self._checked(x, adjacency, weight, mixture, relations)

        node, relation, join = COMPOSITIONS[self.composition]
        features, vectors = node(x), relation(relations)
        messages = features.index_select(0, adjacency.entry_source) * vectors.index_select(0, adjacency.entry_type)
        total = SparseProduct.apply(weight, messages, adjacency.typed)
        mass = x.new_zeros(len(x)).index_add(0, adjacency.typed.row, weight)
        if self.num_mixture and len(mixture):
            total = total + MixtureProduct.apply(mixture, features, vectors[self.num_relations :], adjacency.latent)
            mass = mass.index_add(0, adjacency.latent.row, mixture.sum(1))
        mean = join(total, self.in_channels) / (mass + self.eps).unsqueeze(1)
        return self.root(x) + self.neighbour(mean)

    def _checked(
        self, x: Tensor, adjacency: RelationalAdjacency, weight: Tensor, mixture: Tensor, relations: Tensor | None
    ) -> Tensor:
        if relations is None:
            raise DataError("This layer has no relation table of its own; pass 'relations' to forward.")
        if adjacency.num_types > self.num_relations:
            raise DataError(
                f"An edge has type {adjacency.num_types - 1}, and the layer {self.num_relations} relations."
            )
        pairs, table = len(adjacency.latent.row), (self.num_relations + self.num_mixture, self.in_channels)
        expected = {
            "x": (x, (adjacency.num_nodes, self.in_channels)),
            "edge_weight": (weight, adjacency.weight.shape),
            "mixture": (mixture, (pairs, self.num_mixture)),
            "relations": (relations, table),
        }
        for name, (tensor, shape) in expected.items():
            if tensor.shape != torch.Size(shape):
                raise DataError(f"'{name}' must have shape {tuple(shape)}; got {tuple(tensor.shape)}.")
        return relations.to(x.dtype)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, relations={self.num_relations}, mixture={self.num_mixture}, "
            f"composition={self.composition}"
        )
