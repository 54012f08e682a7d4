"""Neighbourhoods of a few nodes, drawn from a large graph for one minibatch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph


@dataclass(frozen=True, eq=False)
class Subgraph:
    """What ``L`` layers need to know of a graph to tell the vectors of a few seed nodes.

    Attributes:
        n_id: ``(n,)`` int64 nodes in the whole graph, the seeds first; ``x[n_id]`` are the rows to compute with.
        batch_size: how many seeds there are: the first rows of the result are theirs, in their order.
        edge_index: ``(2, e)`` int64 places in ``n_id``.
        edge_type, edge_weight: ``(e,)``.
        e_id: ``(e,)`` int64 places of these edges in the whole graph.
        latent_index: ``(2, p)`` int64 places in ``n_id``.
        latent_id: ``(p,)`` int64 places of these latent edges in the whole graph, for ``mixture[latent_id]``.
        hops: how many nodes are met within 0, 1, … L hops; they are the first ``hops[h]`` of ``n_id``. The last layer
            has to tell the first ``hops[0]`` of them, the layer before the first ``hops[1]``, and so on.
    """

    n_id: Tensor
    batch_size: int
    edge_index: Tensor
    edge_type: Tensor
    edge_weight: Tensor
    e_id: Tensor
    latent_index: Tensor
    latent_id: Tensor
    hops: tuple[int, ...]

    @property
    def edges(self) -> dict[str, Tensor]:
        """The keyword arguments of a relational layer."""
        names = ("edge_index", "edge_type", "edge_weight", "latent_index")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return (
            f"Subgraph({self.batch_size:,} seeds, {len(self.n_id):,} nodes, {len(self.e_id):,} edges, "
            f"{len(self.latent_id):,} latent edges)"
        )


class NeighborSampler:
    """Draws incoming edges of seeds, of the nodes these come from, and so on, one hop for each layer.

    A node is expanded once, at the hop that first meets it. With fan-out −1 everywhere, ``L`` hops hold all that the
    seeds hear through ``L`` layers. Drawing is without replacement, by Robert Floyd's method, and its cost does not
    grow with the degree of a node. Typed and latent edges are drawn alike.

    Args:
        graph: an ``ItemGraph``, an ``EnrichedGraph``, or ``(2, E)`` int64 edges from row 0 to row 1.
        fanouts: most edges into a node, hop by hop from the seeds; −1 for all.
        edge_type, edge_weight: ``(E,)`` of plain edges; 0 and 1 where None.
        latent_index: ``(2, P)`` of plain edges.
        num_nodes: rows of the node table, for plain edges; one more than the largest node where None.

    Raises:
        ConfigError: there is no fan-out, or one is neither −1 nor above 0.
        DataError: an edge names a node outside the table, or shapes do not agree.
    """

    def __init__(
        self,
        graph: ItemGraph | EnrichedGraph | Tensor,
        fanouts: Sequence[int],
        *,
        edge_type: Tensor | None = None,
        edge_weight: Tensor | None = None,
        latent_index: Tensor | None = None,
        num_nodes: int | None = None,
    ) -> None:
        if not fanouts or any(fanout != -1 and fanout < 1 for fanout in fanouts):
            raise ConfigError(f"'fanouts' are {list(fanouts)}; give one for each layer, above 0 or −1 for all.")
        if isinstance(graph, EnrichedGraph):
            latent_index, graph = graph.latent_index, graph.graph
        if isinstance(graph, ItemGraph):
            edge_type, edge_weight, num_nodes, graph = (
                graph.edge_type,
                graph.edge_weight,
                graph.num_rows,
                graph.edge_index,
            )
        latent_index = graph.new_empty(2, 0) if latent_index is None else latent_index
        both = torch.cat([graph, latent_index], 1).cpu()
        if num_nodes is None:
            num_nodes = int(both.max()) + 1 if both.numel() else 0
        if both.numel() and (int(both.min()) < 0 or int(both.max()) >= num_nodes):
            raise DataError(f"An edge names a node outside 0…{num_nodes - 1}; give the node table's row count.")
        number = graph.shape[1]
        self.edge_type = torch.zeros(number, dtype=torch.int64) if edge_type is None else edge_type.cpu()
        self.edge_weight = torch.ones(number) if edge_weight is None else edge_weight.cpu()
        if self.edge_type.shape != (number,) or self.edge_weight.shape != (number,):
            raise DataError(f"There are {number} edges; 'edge_type' and 'edge_weight' must have one entry for each.")
        self.fanouts, self.num_nodes, self.num_edges = tuple(fanouts), num_nodes, number
        self._source = both[0].numpy()
        self._by_destination = torch.argsort(both[1], stable=True).numpy()
        self._end = torch.bincount(both[1], minlength=num_nodes).cumsum(0).numpy()
        self._begin = np.concatenate([np.zeros(1, dtype=np.int64), self._end])[:num_nodes]
        self._place = np.full(num_nodes, -1, dtype=np.int64)

    def sample(
        self, seeds: Tensor, seed: int | np.random.Generator = 0, fanouts: Sequence[int] | None = None
    ) -> Subgraph:
        """The neighbourhood of ``seeds``.

        Args:
            seeds: ``(S,)`` distinct nodes.
            seed: of the drawing; the same gives the same subgraph.
            fanouts: instead of the sampler's own.

        Raises:
            DataError: a seed occurs twice or is no node.
        """
        rng = np.random.default_rng(seed)
        frontier = np.asarray(seeds.cpu(), dtype=np.int64)
        if len(frontier) and (frontier.min() < 0 or frontier.max() >= self.num_nodes):
            raise DataError(f"A seed is outside the nodes 0…{self.num_nodes - 1}.")
        if len(np.unique(frontier)) < len(frontier):
            raise DataError("A seed occurs twice; give each node once, for instance by 'unique'.")
        place, nodes, chosen, ends, count = self._place, [frontier], [], [], len(frontier)
        place[frontier] = np.arange(count)
        hops = [count]
        for fanout in self.fanouts if fanouts is None else fanouts:
            begin, degree = self._begin[frontier], self._end[frontier] - self._begin[frontier]
            owner, at = everything(degree) if fanout == -1 else draw(degree, fanout, rng)
            edges = self._by_destination[begin[owner] + at]
            chosen.append(edges)
            ends.append(place[frontier[owner]])
            sources = np.unique(self._source[edges])
            frontier = sources[place[sources] < 0]
            place[frontier] = np.arange(count, count + len(frontier))
            nodes.append(frontier)
            count += len(frontier)
            hops.append(count)
        none = np.empty(0, dtype=np.int64)
        edge = np.concatenate([none, *chosen])
        index = torch.from_numpy(np.stack([place[self._source[edge]], np.concatenate([none, *ends])]))
        n_id = np.concatenate(nodes)
        place[n_id] = -1
        typed = torch.from_numpy(edge < self.num_edges)
        e_id, latent_id = torch.from_numpy(edge)[typed], torch.from_numpy(edge)[~typed] - self.num_edges
        return Subgraph(
            n_id=torch.from_numpy(n_id),
            batch_size=len(seeds),
            edge_index=index[:, typed],
            edge_type=self.edge_type[e_id],
            edge_weight=self.edge_weight[e_id],
            e_id=e_id,
            latent_index=index[:, ~typed],
            latent_id=latent_id,
            hops=tuple(hops),
        )

    def batches(self, seeds: Tensor, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> Iterator[Subgraph]:
        """Subgraphs of ``batch_size`` seeds at a time; order and drawing follow from ``seed`` alone."""
        rng = np.random.default_rng(seed)
        if shuffle:
            seeds = seeds[torch.from_numpy(rng.permutation(len(seeds)))]
        for part in seeds.split(batch_size):
            yield self.sample(part, rng)

    def __repr__(self) -> str:
        latent = len(self._source) - self.num_edges
        return (
            f"NeighborSampler({self.num_nodes:,} nodes, {self.num_edges:,} edges, {latent:,} latent edges, "
            f"fan-outs {', '.join(map(str, self.fanouts))})"
        )


def everything(degree: np.ndarray) -> tuple[Any, Any]:
    """Owner and place of every edge of nodes with these degrees ``(n,)``: two arrays ``(sum of degrees,)``."""
    owner = np.repeat(np.arange(len(degree)), degree)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(degree) - degree, degree)


def draw(degree: np.ndarray, fanout: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """At most ``fanout`` distinct places below each degree, every set of them equally likely.

    Robert Floyd's method for all nodes at once: for ``m`` of ``d``, step ``t`` draws a place up to ``d − m + t`` and
    takes ``d − m + t`` itself where that was drawn before.

    Args:
        degree: ``(n,)``.
        fanout: ``m``.
        rng: the source of chance.

    Returns:
        Owner (a position in ``degree``) and place of each drawn edge, sorted by owner.
    """
    small = degree <= fanout
    owner, place = everything(np.where(small, degree, 0))
    large = np.flatnonzero(~small)
    drawn = np.full((len(large), fanout), -1, dtype=np.int64)
    for step in range(fanout):
        last = degree[large] - fanout + step
        found = rng.integers(0, last + 1)
        drawn[:, step] = np.where((drawn[:, :step] == found[:, None]).any(1), last, found)
    owner = np.concatenate([owner, np.repeat(large, fanout)])
    place = np.concatenate([place, drawn.ravel()])
    order = np.argsort(owner, kind="stable")
    return owner[order], place[order]
