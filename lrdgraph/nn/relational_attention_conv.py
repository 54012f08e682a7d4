"""Attention over incoming edges that carry one relation or a mixture of relations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import DataError
from lrdgraph.nn.adjacency import RelationalAdjacency
from lrdgraph.nn.relational_layer import LayerInputs, NodeFeatures, RelationalLayer


class RelationalAttentionConv(RelationalLayer):
    r"""A relational convolution whose weights are learnt from both ends of an edge and its relation.

    .. math::
        \omega_{ji} = \sum_r w_{ji,r}, \qquad
        m_{ji} = \frac{1}{\omega_{ji}} \sum_r w_{ji,r}\, \varphi(h_j, z_r)

        s_{ji} = a^\top \mathrm{LeakyReLU}(W_q h_i + W_k m_{ji}), \qquad
        \alpha_{ji} = \frac{\omega_{ji} \exp s_{ji}}{\sum_{j' \to i} \omega_{j'i} \exp s_{j'i}}

        h'_i = W_0 h_i + \big\Vert_{\text{heads}} \sum_{j \to i} \alpha_{ji} W_k m_{ji}

    The score is that of GATv2 (arXiv 2105.14491), per head; the weights of an edge are the mass that it brings to the
    softmax, so that two like edges of weight ½ are one of weight 1. Between two parallel edges the sum runs as between
    any two. An edge that carries a mixture has one score, that of its mean message, and is K parallel typed edges that
    share it: K scores of its own would need edges × K × channels. An edge of weight 0 takes no part.

    Memory grows with edges × (channels + K).

    Args:
        in_channels: width of nodes and relation vectors; a pair for sources and destinations of a bipartite graph,
            where relation vectors are as wide as sources.
        out_channels: width of each head.
        num_relations: ``R``, types of typed edges.
        num_mixture: ``K``, relations of mixture edges; their vectors follow the R in the relation table.
        heads: ``H`` attentions side by side.
        concat: the result is ``H · out_channels`` wide; else it is the mean of the heads.
        negative_slope: of the LeakyReLU.
        dropout: on the attention.
        composition: as in :class:`lrdgraph.nn.relational_conv.RelationalConv`.
        own_relations: whether the layer has a relation table; if not, it is given at each forward.

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
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        composition: str = "multiply",
        own_relations: bool = True,
    ) -> None:
        super().__init__(in_channels, num_relations, num_mixture, composition, own_relations)
        self.out_channels, self.heads, self.concat = out_channels, heads, concat
        self.negative_slope, self.dropout = negative_slope, dropout
        self.root = nn.Linear(self.root_channels, out_channels * (heads if concat else 1), bias=False)
        self.query = nn.Linear(self.root_channels, heads * out_channels, bias=False)
        self.key = nn.Linear(self.source_channels, heads * out_channels, bias=False)
        self.attention = nn.Parameter(torch.empty(heads, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot weights; relation vectors near the one that leaves h as it is, where there is one."""
        for weight in (self.root.weight, self.query.weight, self.key.weight, self.attention):
            nn.init.xavier_uniform_(weight)
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
        *,
        return_attention_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One round of messages; arguments as in :class:`lrdgraph.nn.relational_conv.RelationalConv`.

        Args:
            x: as there. None in place of destinations also leaves ``W_q h_i`` out.
            edge_index, edge_type, edge_weight, latent_index, mixture, relations, size: as there; no weight may be
                negative.
            return_attention_weights: give the attention as well.

        Returns:
            ``(destinations, H · out_channels)``, or ``(destinations, out_channels)`` without ``concat``; with
            attention also ``α`` ``(E + P, H)``, typed edges first, in the order they were given.

        Raises:
            DataError: a shape does not agree with the graph or the layer, or a weight is negative.
        """
        given = self.prepare(x, edge_index, edge_type, edge_weight, latent_index, mixture, relations, size)
        keys, mass, destination = self._edges(given)
        number = given.adjacency.size[1]
        seen = keys
        if given.x_root is not None:
            query = self.query(given.x_root).view(-1, self.heads, self.out_channels)
            seen = keys + query.index_select(0, destination)
        score = (F.leaky_relu(seen, self.negative_slope) * self.attention).sum(2)
        alpha = segment_softmax(score, mass, destination, number)
        kept = F.dropout(alpha, self.dropout, self.training)
        out = keys.new_zeros(number, self.heads * self.out_channels)
        # under autocast the attention is float32 and the keys are not
        out = out.index_add(0, destination, (kept[:, :, None] * keys).flatten(1).to(out.dtype))
        if not self.concat:
            out = out.view(number, self.heads, self.out_channels).mean(1)
        if given.x_root is not None:
            out = self.root(given.x_root) + out
        return (out, alpha) if return_attention_weights else out

    def _edges(self, given: LayerInputs) -> tuple[Tensor, Tensor, Tensor]:
        """``W_k m (E + P, H, out_channels)``, ``ω (E + P,)`` and destinations of typed and mixture edges."""
        if bool((given.weight < 0).any()) or bool((given.mixture < 0).any()):
            raise DataError("An edge has a negative weight; attention needs weights of 0 or more.")
        (edges, source, kind, _), latent = given.adjacency.typed, given.adjacency.latent
        features, vectors = self.phi.node(given.x), self.phi.relation(given.relations)
        messages = features.index_select(0, source) * vectors.index_select(0, kind)
        keys = self.key(self.phi.join(messages, self.source_channels)).index_select(0, edges.column)
        mass, destination = given.weight, edges.row
        if self.num_mixture and len(given.mixture):
            share = given.mixture.sum(1)
            mean = given.mixture / share.clamp(min=torch.finfo(share.dtype).tiny)[:, None]
            mixed = features.index_select(0, latent.column) * (mean @ vectors[self.num_relations :])
            keys = torch.cat([keys, self.key(self.phi.join(mixed, self.source_channels))])
            mass, destination = torch.cat([mass, share]), torch.cat([destination, latent.row])
        return keys.view(-1, self.heads, self.out_channels), mass, destination

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, heads={self.heads}"


def segment_softmax(score: Tensor, mass: Tensor, segment: Tensor, number: int) -> Tensor:
    """``mass_e exp(score_e)`` over its sum in each segment; 0 where the mass is, and in a segment without any.

    Args:
        score: ``(E, H)``.
        mass: ``(E,)``, 0 or more.
        segment: ``(E,)`` int64, below ``number``.
        number: of segments.

    Returns:
        ``(E, H)``.
    """
    score = score.masked_fill((mass == 0)[:, None], -torch.inf)
    index = segment[:, None].expand_as(score)
    top = score.new_full((number, score.size(1)), -torch.inf).scatter_reduce(0, index, score.detach(), "amax")
    top = top.masked_fill(top.isinf(), 0)
    share = mass[:, None] * (score - top.index_select(0, segment)).exp()
    total = share.new_zeros(number, share.size(1)).index_add(0, segment, share)
    return share / total.masked_fill(total == 0, 1).index_select(0, segment)
