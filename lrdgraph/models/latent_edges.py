"""Between which items latent edges may run, and which of these edges rest on one person's events alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lrdgraph.graph.candidates import nearest_text_pairs, two_hop_pairs, union
from lrdgraph.graph.cooccurrence import cooccurrence_pairs
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.evidence import EdgeLists, Pairs
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.negatives import contains


@dataclass(frozen=True)
class LatentEdges:
    """Candidate pairs, and what is known of those that come from histories.

    Attributes:
        pairs: ``(2, E)``, sorted.
        lasting: ``(E,)`` bool, pairs that would be there whoever were left out.
        user, edge: ``(H,)`` a person and the position in ``pairs`` of an edge that would not be there without them.
    """

    pairs: Tensor
    lasting: Tensor
    user: Tensor
    edge: Tensor


def latent_edges(
    inputs: ModelInputs, graph: ItemGraph, text: Tensor, near: int, two_hop: int, together: int
) -> LatentEdges:
    """Pairs of nearest texts, of two hops in the predefined graph, and of items that stand close in several histories.

    Args:
        inputs: gives training events.
        graph: predefined relations.
        text: ``(N + 1, T)``.
        near, two_hop, together: how many of each kind an item has at most; 0 for none.
    """
    sets = [nearest_text_pairs(text, near)] if near else []
    if two_hop:
        sets.append(two_hop_pairs(graph, two_hop))
    steady = union(*sets)
    none = torch.empty(0, dtype=torch.int64)
    if not together:
        return LatentEdges(steady, torch.ones(steady.size(1), dtype=torch.bool), none, none)
    found = cooccurrence_pairs(inputs.sequences(), inputs.num_items, limit_per_item=together)
    pairs = union(steady, found.pairs)
    base = inputs.num_items + 1
    key, fixed = pairs[0] * base + pairs[1], steady[0] * base + steady[1]
    user, position = found.held()
    made = found.pairs[0, position] * base + found.pairs[1, position]
    theirs = ~contains(fixed, made)
    user, edge = user[theirs], torch.searchsorted(key, made[theirs])
    lasting = torch.ones(len(key), dtype=torch.bool)
    lasting[edge] = False
    return LatentEdges(pairs, lasting, user, edge)


class HeldOutEvidence(nn.Module):
    """Takes back what :class:`lrdgraph.models.evidence.MixtureEvidence` says along edges that a person's events made.

    Args:
        edges: all latent edges.
        num_items: ``N``.
    """

    keys: Tensor
    edge: Tensor

    def __init__(self, edges: LatentEdges, num_items: int) -> None:
        super().__init__()
        self.base = num_items + 1
        keys, index = (edges.user * self.base + edges.pairs[0, edges.edge]).unique(return_inverse=True)
        self.lists = EdgeLists(index, edges.pairs[1, edges.edge], len(keys))
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("edge", edges.edge[self.lists.order], persistent=False)

    def forward(self, pairs: Pairs, user: Tensor, kernel: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query position, candidate and the negated value ``(X,)``.

        Args:
            pairs: ``Q`` query positions joined to events.
            user: ``(Q,)`` whose they are.
            kernel: ``κ (Q, K)``.
            mixture: ``w (E, K)``.
        """
        owner, row = self._rows(pairs, user)
        value = (kernel.index_select(0, owner) * mixture.index_select(0, self.edge[row])).sum(1)
        return pairs.position[owner], self.lists.target[row], -value

    def within(
        self, pairs: Pairs, user: Tensor, kernel: Tensor, mixture: Tensor, edge: Tensor, candidates: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for rising ``candidates (C,)`` alone, counted from 0.

        Args:
            pairs, user, kernel: as in :meth:`forward`.
            mixture: ``(e, K)``, of ``edge`` alone.
            edge: ``(e,)`` rising positions of latent edges; all that lead from an item of ``pairs`` to a candidate.
            candidates: which.
        """
        owner, row = self._rows(pairs, user)
        kept = contains(edge, self.edge[row]).nonzero().squeeze(1)
        owner, row = owner[kept], row[kept]
        weights = mixture.index_select(0, torch.searchsorted(edge, self.edge[row]))
        value = (kernel.index_select(0, owner) * weights).sum(1)
        return pairs.position[owner], torch.searchsorted(candidates, self.lists.target[row]), -value

    def _rows(self, pairs: Pairs, user: Tensor) -> tuple[Tensor, Tensor]:
        asked = user * self.base + pairs.item
        mine = contains(self.keys, asked).nonzero().squeeze(1)
        owner, row = self.lists.expand(torch.searchsorted(self.keys, asked[mine]))
        return mine[owner], row
