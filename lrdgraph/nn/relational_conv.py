"""A graph convolution whose edges carry one relation or a mixture of relations."""

from __future__ import annotations

from torch import Tensor, nn

from lrdgraph.nn.adjacency import RelationalAdjacency
from lrdgraph.nn.relational_layer import NodeFeatures, RelationalLayer
from lrdgraph.nn.sparse_products import mixture_product
from lrdgraph.nn.typed_product import typed_product


class RelationalConv(RelationalLayer):
    r"""Relational convolution over typed edges and edges that carry a mixture of relations.

    .. math::
        h'_i = W_0 h_i + \frac{1}{c_i} \sum_{j \to i} \sum_r w_{ji,r}\, \varphi(h_j, z_r)\, W_1,
        \qquad c_i = \sum_{j \to i} \sum_r w_{ji,r} + \varepsilon

    A typed edge has one non-zero ``w``; a mixture edge has ``K``. The activation is the caller's. With φ a product and
    one relation vector for each type this is R-GCN (arXiv 1703.06103) with diagonal relation matrices; the
    compositions are those of CompGCN (arXiv 1911.03082) and RotatE (arXiv 1902.10197), all linear in z or in a
    transform of it, so that the sum over relations costs no tensor of edges × relations × channels.

    Args:
        in_channels: ``D``, width of nodes and relation vectors; a pair for sources and destinations of a bipartite
            graph, where relation vectors are as wide as sources.
        out_channels: width of the result.
        num_relations: ``R``, types of typed edges.
        num_mixture: ``K``, relations of mixture edges; their vectors follow the R in the relation table.
        composition: ``"multiply"`` (h ⊙ z), ``"subtract"`` (h − z), ``"correlation"`` (circular, h ⋆ z) or
            ``"rotate"`` (a rotation of complex numbers, for an even width).
        own_relations: whether the layer has a relation table; if not, it is given at each forward.
        eps: ε of the equation.

    Raises:
        ConfigError: an unknown composition, or ``"rotate"`` with an odd width.
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        num_relations: int,
        num_mixture: int = 0,
        *,
        composition: str = "multiply",
        own_relations: bool = True,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(in_channels, num_relations, num_mixture, composition, own_relations)
        self.out_channels, self.eps = out_channels, eps
        self.root = nn.Linear(self.root_channels, out_channels, bias=False)
        self.neighbour = nn.Linear(self.source_channels, out_channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot weights; relation vectors near the one that leaves h as it is, where there is one."""
        nn.init.xavier_uniform_(self.root.weight)
        nn.init.xavier_uniform_(self.neighbour.weight)
        self.reset_relations()

    def forward(
        self,
        x: NodeFeatures,
        edge_index: Tensor | RelationalAdjacency,
        edge_type: Tensor | None = None,
        edge_weight: Tensor | None = None,
        latent_index: Tensor | None = None,
        mixture: Tensor | None = None,
        relations: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """One round of messages.

        Args:
            x: ``(nodes, in_channels)``; of a bipartite graph a pair of tables, that of sources and that of
                destinations. None in place of the second leaves ``W_0 h_i`` out.
            edge_index: ``(2, E)`` int64 from row 0 to row 1, or a prepared adjacency, which spares the sorting.
            edge_type: ``(E,)`` int64, 0 where None; part of a prepared adjacency.
            edge_weight: ``(E,)``; that of the adjacency, or 1, where None. May require a gradient.
            latent_index: ``(2, P)`` int64; part of a prepared adjacency.
            mixture: ``(P, K)`` weights of the latent edges; 0 where None. May require a gradient.
            relations: ``(R + K, in_channels)``, used instead of the layer's own.
            size: numbers of sources and destinations, where ``x`` does not tell them.

        Returns:
            ``(destinations, out_channels)``.

        Raises:
            DataError: a shape does not agree with the graph or the layer.
        """
        x, x_root, adjacency, weight, mixture, relations = self.prepare(
            x, edge_index, edge_type, edge_weight, latent_index, mixture, relations, size
        )
        features, vectors = self.phi.node(x), self.phi.relation(relations)
        total = typed_product(features, vectors, weight, adjacency.typed)
        mass = x.new_zeros(adjacency.size[1]).index_add(0, adjacency.typed.edges.row, weight)
        if self.num_mixture and len(mixture):
            total = total + mixture_product(mixture, features, vectors[self.num_relations :], adjacency.latent)
            mass = mass.index_add(0, adjacency.latent.row, mixture.sum(1))
        mean = self.phi.join(total, self.source_channels) / (mass + self.eps).unsqueeze(1)
        heard = self.neighbour(mean)
        return heard if x_root is None else self.root(x_root) + heard
