"""Relation evidence: what the edges between a history and a candidate say for the candidate.

``Σ_h Σ_r κ_r(Δt_h) · A_r[h, c]`` for query positions ``p`` and all items ``c``. Every pair of a query position and an
event ``h`` before it is expanded into the edges that leave ``h``, so that time and memory follow the edges that count
and never positions × history × items.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lrdgraph.batch import Batch


@dataclass(frozen=True)
class Pairs:
    """Query positions joined to the history events they may see; ``Q`` pairs.

    Attributes:
        position: ``(Q,)`` int64, which of the ``P`` query positions.
        item: ``(Q,)`` int64, the history item.
        gap: ``(Q,)`` int64 seconds from the event to the request.
    """

    position: Tensor
    item: Tensor
    gap: Tensor


def history_pairs(history: Tensor, time: Tensor, moment: Tensor, columns: Tensor, length: int | None = None) -> Pairs:
    """Join each query position to the events up to its column.

    Args:
        history, time, moment: ``(B, L)``.
        columns: ``(P, 2)`` row and column of each query position.
        length: the most recent events alone, so many at most; all where None.
    """
    row, column = columns.T
    back = column[:, None] - torch.arange(history.size(1), device=history.device)  # (P, L), 0 at the query's own column
    visible = (history[row] > 0) & (back >= 0)
    if length is not None:
        visible &= back < length
    position, event = visible.nonzero(as_tuple=True)
    gap = moment[row, column][position] - time[row[position], event]
    return Pairs(position, history[row[position], event], gap)


@dataclass(frozen=True)
class Explanation:
    """The parts that edges from history to candidate add to scores; ``X`` parts, one for each event, edge and relation.

    Attributes:
        row: ``(X,)`` int64, which of ``B`` histories.
        column: ``(X,)`` int64, which of its ``C`` candidates.
        item: ``(X,)`` int64, the history item.
        relation: ``(X,)`` int64 positions in ``labels``.
        seconds: ``(X,)`` int64 from the event to the request.
        value: ``(X,)`` float, what is added to the score.
        labels: relations as a reader sees them.
    """

    row: Tensor
    column: Tensor
    item: Tensor
    relation: Tensor
    seconds: Tensor
    value: Tensor
    labels: tuple[str, ...]


Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Pair, candidate column, relation and value, each ``(X,)``."""


def explanation(pairs: Pairs, parts: list[Parts], labels: tuple[str, ...]) -> Explanation:
    """Join the parts that the evidence modules give for the last column of each history, where position is row."""
    pair, column, relation, value = (torch.cat(each) for each in zip(*parts, strict=True))
    return Explanation(pairs.position[pair], column, pairs.item[pair], relation, pairs.gap[pair], value, labels)


def among(position: Tensor, item: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Which of ``X`` (position, item) are candidates of their row: their indices ``(Y,)`` and columns ``(Y,)``.

    Args:
        position, item: ``(X,)``.
        candidates: ``(B, C)`` items, distinct within a row; of equals one is found.
    """
    base = int(torch.cat([candidates.flatten(), item]).amax()) + 1 if candidates.numel() else 1
    rows = torch.arange(len(candidates), device=candidates.device)[:, None]
    keys, order = (rows * base + candidates).flatten().sort()
    asked = position * base + item
    place = torch.searchsorted(keys, asked).clamp(max=max(len(keys) - 1, 0))
    found = (keys[place] == asked).nonzero().squeeze(1) if len(keys) else place[:0]
    return found, order[place[found]] % max(candidates.size(1), 1)


def last_columns(batch: Batch) -> Tensor:
    """``(B, 2)`` row and last column of each history: the query positions of a request."""
    rows = torch.arange(len(batch), device=batch.history.device)
    return torch.stack([rows, torch.full_like(rows, batch.history.size(1) - 1)], dim=1)


class EdgeLists(nn.Module):
    """Edges by source item, in compressed rows, so that the edges of many items expand at once.

    Args:
        source, target: ``(E,)`` items.
        num_items: ``N``.
    """

    offsets: Tensor
    target: Tensor
    order: Tensor

    def __init__(self, source: Tensor, target: Tensor, num_items: int) -> None:
        super().__init__()
        order = torch.argsort(source, stable=True)
        counts = torch.bincount(source, minlength=num_items + 1)
        self.register_buffer("offsets", torch.cat([counts.new_zeros(1), counts.cumsum(0)]), persistent=False)
        self.register_buffer("target", target[order], persistent=False)
        self.register_buffer("order", order, persistent=False)

    def expand(self, item: Tensor) -> tuple[Tensor, Tensor]:
        """For items ``(Q,)``: the position ``(X,)`` in them and the row ``(X,)`` of every edge that leaves one."""
        first = self.offsets[item]
        counts = self.offsets[item + 1] - first
        owner = torch.repeat_interleave(torch.arange(len(item), device=item.device), counts)
        shift = first - (counts.cumsum(0) - counts)
        return owner, torch.arange(len(owner), device=item.device) + shift.index_select(0, owner)

    def within(self, item: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For items ``(Q,)``: their edges that end among rising ``candidates (C,)``, ``X`` of them.

        Returns:
            Position ``(X,)`` in the items, column ``(X,)`` of the candidate, and row ``(X,)`` of the edge.
        """
        owner, row = self.expand(item)
        target = self.target.index_select(0, row)
        column = torch.searchsorted(candidates, target).clamp(max=len(candidates) - 1)
        kept = (candidates.index_select(0, column) == target).nonzero().squeeze(1)
        return owner.index_select(0, kept), column.index_select(0, kept), row.index_select(0, kept)


class TypedEvidence(nn.Module):
    """Evidence along edges of one relation each: adds ``κ[q, r_e] · a_e`` to the candidate of every edge ``e``.

    Args:
        edge_index: ``(2, E)`` from history item to candidate.
        edge_type: ``(E,)`` columns of ``κ``.
        edge_weight: ``(E,)``.
        num_items: ``N``.
    """

    relation: Tensor
    weight: Tensor

    def __init__(self, edge_index: Tensor, edge_type: Tensor, edge_weight: Tensor, num_items: int) -> None:
        super().__init__()
        self.edges = EdgeLists(edge_index[0], edge_index[1], num_items)
        self.register_buffer("relation", edge_type[self.edges.order], persistent=False)
        self.register_buffer("weight", edge_weight[self.edges.order], persistent=False)

    def forward(self, pairs: Pairs, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query position, candidate and value ``(X,)`` of every edge, from ``κ (Q, R)``."""
        owner, edge = self.edges.expand(pairs.item)
        # index_select, because the gradient of plain indexing sorts its index first
        entry = owner * kernel.size(1) + self.relation.index_select(0, edge)
        value = kernel.flatten().index_select(0, entry) * self.weight.index_select(0, edge)
        return pairs.position.index_select(0, owner), self.edges.target.index_select(0, edge), value

    def within(self, item: Tensor, candidates: Tensor) -> TypedEvidence:
        """That of items ``(H,)`` for rising ``candidates (C,)`` alone, both counted from 0 in the result."""
        owner, column, row = self.edges.within(item, candidates)
        edges = torch.stack([owner, column])
        return TypedEvidence(edges, self.relation.index_select(0, row), self.weight.index_select(0, row), len(item))

    def explain(self, pairs: Pairs, kernel: Tensor, candidates: Tensor) -> Parts:
        """The same values, those alone that fall on ``candidates`` ``(B, C)``."""
        owner, edge = self.edges.expand(pairs.item)
        kept, column = among(pairs.position[owner], self.edges.target[edge], candidates)
        owner, edge = owner[kept], edge[kept]
        relation = self.relation[edge]
        return owner, column, relation, kernel[owner, relation] * self.weight[edge]


class MixtureEvidence(nn.Module):
    """Evidence along edges that carry a mixture of relations: adds ``κ[q] · w_e`` for every edge ``e``.

    Args:
        edge_index: ``(2, E)`` from history item to candidate.
        num_items: ``N``.
    """

    def __init__(self, edge_index: Tensor, num_items: int) -> None:
        super().__init__()
        self.edges = EdgeLists(edge_index[0], edge_index[1], num_items)

    def forward(self, pairs: Pairs, kernel: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`TypedEvidence.forward`, from ``κ (Q, K)`` and ``w (E, K)`` in the order the edges were given."""
        owner, edge = self.edges.expand(pairs.item)
        weights = mixture.index_select(0, self.edges.order.index_select(0, edge))  # (X, K)
        value = (kernel.index_select(0, owner) * weights).sum(1)
        return pairs.position.index_select(0, owner), self.edges.target.index_select(0, edge), value

    def within(self, item: Tensor, candidates: Tensor) -> tuple[MixtureEvidence, Tensor]:
        """As :meth:`TypedEvidence.within`, with the position ``(X,)`` of each edge left among those that were given."""
        owner, column, row = self.edges.within(item, candidates)
        return MixtureEvidence(torch.stack([owner, column]), len(item)), self.edges.order.index_select(0, row)

    def explain(self, pairs: Pairs, kernel: Tensor, mixture: Tensor, candidates: Tensor) -> Parts:
        """The same values split by relation, ``κ_k · w_k``, those alone that fall on ``candidates`` ``(B, C)``."""
        owner, edge = self.edges.expand(pairs.item)
        kept, column = among(pairs.position[owner], self.edges.target[edge], candidates)
        owner, edge = owner[kept], edge[kept]
        value = kernel[owner] * mixture[self.edges.order[edge]]  # (X, K)
        relation = torch.arange(value.size(1), device=value.device).repeat(len(value))
        return (
            owner.repeat_interleave(value.size(1)),
            column.repeat_interleave(value.size(1)),
            relation,
            value.flatten(),
        )


def add_evidence(logits: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """``(P, N + 1)`` logits plus the values at their positions and candidates."""
    if not parts:
        return logits
    index = torch.cat([position * logits.size(1) + candidate for position, candidate, _ in parts])
    value = torch.cat([value for _, _, value in parts])
    return logits.flatten().index_add(0, index, value.to(logits.dtype)).view_as(logits)
