"""Convolution over a few nodes and edges drawn around them, and over all nodes a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.sampling import NeighborSampler, Subgraph
from lrdgraph.nn.relational_conv import RelationalConv

BLOCK = 16_384
"""Nodes whose incoming edges stand at once where all nodes are computed."""
PAIRS = 1_000_000
"""Pairs whose posteriors are computed at once."""


class SampledGraph:
    """The edges that lead into some nodes, predefined and latent ones, drawn from a graph too large to be walked whole.

    Args:
        graph: predefined relations.
        pairs: ``(2, E)`` latent edges.
        kept: ``(P,)`` positions of those latent edges that the convolution hears; all where None.
        fanout: edges into a node at most, drawn without replacement; −1 for all.
        layers: of the convolution, each one hop.
    """

    def __init__(self, graph: ItemGraph, pairs: Tensor, kept: Tensor | None, fanout: int, layers: int) -> None:
        self.kept = kept
        self.num_items, self.num_nodes = graph.num_items, graph.num_rows
        heard = pairs if kept is None else pairs[:, kept]
        self.fanouts = (fanout,) * layers
        self.sampler = NeighborSampler(
            graph.edge_index,
            (-1,),
            edge_type=graph.edge_type,
            edge_weight=graph.edge_weight,
            latent_index=heard,
            num_nodes=graph.num_rows,
        )

    def around(self, seeds: Tensor) -> Subgraph:
        """What the layers need to tell the vectors of distinct ``seeds``; ``latent_id`` are positions in ``pairs``.

        Chance, where there is any, follows from torch's own generator.
        """
        seed = 0 if -1 in self.fanouts else int(torch.randint(2**62, ()))
        return self._placed(self.sampler.sample(seeds, seed, self.fanouts), seeds.device)

    def _placed(self, found: Subgraph, device: torch.device) -> Subgraph:
        latent = found.latent_id if self.kept is None else self.kept.cpu()[found.latent_id]
        names = ("n_id", "edge_index", "edge_type", "edge_weight", "e_id", "latent_index")
        moved = {name: getattr(found, name).to(device) for name in names}
        return replace(found, latent_id=latent.to(device), **moved)

    def everywhere(self, layer: Layer, nodes: Tensor, mixture: Tensor, *, items_alone: bool) -> Tensor:
        """One layer for all nodes, or for items alone, with all edges.

        Args:
            layer: gives rows of the result, from vectors of some nodes, their edges and the weights of latent ones.
            nodes: ``(nodes, D)`` with row 0 for padding.
            mixture: ``(E, K)``.
            items_alone: leave out attribute values.

        Returns:
            ``(nodes, D)`` or ``(N + 1, D)``, row 0 zero.
        """
        last = self.num_items + 1 if items_alone else self.num_nodes
        parts = [torch.zeros_like(nodes[:1])]
        for block in torch.arange(1, last, device=nodes.device).split(BLOCK):
            sub = self._placed(self.sampler.sample(block), nodes.device)
            parts.append(layer(nodes.index_select(0, sub.n_id), sub, mixture.index_select(0, sub.latent_id)))
        return torch.cat(parts)


Layer = Callable[[Tensor, Subgraph, Tensor], Tensor]


def convolve(
    layers: Sequence[RelationalConv],
    x: Tensor,
    sub: Subgraph,
    mixture: Tensor,
    relations: Tensor,
    *,
    dropout: float,
    last: bool = True,
) -> Tensor:
    """Vectors of the seeds of a subgraph: at each layer ``x + conv(x)``, with a ReLU between layers.

    A layer computes the nodes that the layers after it read, and no others.

    Args:
        layers: one for each hop of ``sub``.
        x: ``(n, D)`` of ``sub.n_id``.
        sub: the edges.
        mixture: ``(p, K)`` of its latent edges.
        relations: ``(R + K, D)``.
        dropout: on what a layer adds; 0 outside training.
        last: whether no layer follows these.

    Returns:
        ``(seeds, D)``.
    """
    for number, layer in enumerate(layers, start=1):
        outer, inner = sub.hops[len(layers) - number + 1], sub.hops[len(layers) - number]
        typed, latent = sub.edge_index[1] < inner, sub.latent_index[1] < inner
        out = layer(
            (x, x[:inner]),
            sub.edge_index[:, typed],
            sub.edge_type[typed],
            sub.edge_weight[typed],
            sub.latent_index[:, latent],
            mixture[latent],
            relations,
            size=(outer, inner),
        )
        out = F.dropout(out, dropout, dropout > 0)
        x = x[:inner] + (out if last and number == len(layers) else torch.relu(out))
    return x


def posterior_of_pairs(discovery: RelationDVAE, pairs: Tensor) -> Tensor:
    """``q(r | i, j)`` ``(E, K)`` of many pairs ``(2, E)``; items' own terms are computed once for all of them."""
    text, encoder, first = discovery.text, discovery.encoder, int(discovery.none_state)
    blocks: Iterable[tuple[Tensor, ...]] = (encoder.items(discovery.standard(part)) for part in text.split(BLOCK))
    terms = tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))
    parts = (encoder.pairs(terms, i, j).softmax(-1)[:, first:] for i, j in (p for p in pairs.split(PAIRS, dim=1)))
    return torch.cat([pairs.new_empty(0, discovery.num_latent, dtype=terms[0].dtype), *parts])
