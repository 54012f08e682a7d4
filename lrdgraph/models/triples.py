"""What relation-aware models read of the predefined graph: the values of an item, and triples to be reconstructed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.negatives import ROUNDS, contains


class Slots(NamedTuple):
    """Positions in the graph's vocabulary of relations between items, and of those from items to attribute values."""

    between: list[int]
    attribute: list[int]


def relation_slots(graph: ItemGraph) -> Slots:
    """Sort relations by what their heads and tails are; the inverse of an attribute relation leaves no item and is out.

    A relation that leads to items and to values alike counts as one between items.
    """
    source, target = graph.edge_index
    heads = source <= graph.num_items
    kinds: tuple[list[int], list[int]] = ([], [])
    for position in range(len(graph.relations)):
        mine = heads & (graph.edge_type == position)
        if bool(mine.any()):
            kinds[int(bool((target[mine] > graph.num_items).all()))].append(position)
    return Slots(*kinds)


class ItemValues(nn.Module):
    """The vector of an item's value under each attribute relation; of several values, their mean.

    Rows of the table of values: 0 for "no value", ``1 … A`` for attribute values, and then one row for each attribute
    relation, for items of which it says nothing.

    Args:
        graph: predefined relations.
        relations: positions of ``Ra`` attribute relations.
        hidden_channels: ``D``.
    """

    rows: Tensor

    def __init__(self, graph: ItemGraph, relations: list[int], hidden_channels: int) -> None:
        super().__init__()
        n, a = graph.num_items, len(graph.attributes)
        self.table = nn.Embedding(1 + a + len(relations), hidden_channels)
        self.padding = self.table.num_embeddings
        held = []
        for slot, relation in enumerate(relations):
            edges = (graph.edge_type == relation) & (graph.edge_index[0] <= n) & (graph.edge_index[1] > n)
            item, value = graph.edge_index[:, edges]
            order = item.argsort(stable=True)
            item, value = item[order], value[order] - n
            counts = torch.bincount(item, minlength=n + 1)
            nth = torch.arange(len(item)) - (counts.cumsum(0) - counts)[item]
            rows = torch.full((n + 1, max(int(counts.max()), 1)), self.padding)
            rows[:, 0] = 1 + a + slot
            rows[item, nth] = value
            held.append(rows)
        width = max((rows.size(1) for rows in held), default=1)
        padded = [F.pad(rows, (0, width - rows.size(1)), value=self.padding) for rows in held]
        self.register_buffer("rows", torch.stack(padded, 1) if padded else torch.empty(n + 1, 0, 1), persistent=False)

    @property
    def none(self) -> Tensor:
        """The vector ``(D,)`` of "no value"."""
        return self.table.weight[0]

    def vectors(self, value: Tensor) -> Tensor:
        """Vectors of rows of the table."""
        return self.table(value)

    def forward(self, items: Tensor) -> Tensor:
        """``(*) → (*, Ra, D)``."""
        rows = self.rows[items]  # (*, Ra, V)
        if rows.size(-1) == 1:
            return self.table(rows[..., 0])
        padded = F.pad(self.table.weight, (0, 0, 0, 1))
        flat = F.embedding_bag(rows.reshape(-1, rows.size(-1)), padded, mode="mean", padding_idx=self.padding)
        return flat.view(*rows.shape[:-1], -1)


class Triples(NamedTuple):
    """``P`` triples, the true one in column 0 and ``G`` corrupted ones beside it.

    Attributes:
        head, tail: ``(P, 1 + G)`` items.
        relation: ``(P,)`` rows of a relation table.
        value: ``(P,)`` rows of the table of :class:`ItemValues`; 0 for a relation between items.
    """

    head: Tensor
    tail: Tensor
    relation: Tensor
    value: Tensor


class TripleSampler(nn.Module):
    """Predefined triples with corrupted ones, as relation-aware models learn them.

    A triple (item, relation, value) becomes (item, relation + value, another item of that value), so that heads and
    tails are always items. A corrupted triple replaces head or tail, with equal chance, by a random item; one that is
    itself an edge between items is drawn again. Source: the public LRD code.

    Args:
        graph: predefined relations.
        slots: which of them are learnt; they take rows 1, 2 … of a relation table, those between items first.
    """

    head: Tensor
    tail: Tensor
    relation: Tensor
    keys: Tensor
    offsets: Tensor
    sharing: Tensor

    def __init__(self, graph: ItemGraph, slots: Slots) -> None:
        super().__init__()
        n = graph.num_items
        self.num_items = n
        row = torch.zeros(len(graph.relations) + 1, dtype=torch.int64)
        row[[*slots.between, *slots.attribute]] = torch.arange(1, len(slots.between) + len(slots.attribute) + 1)
        head, tail = graph.edge_index
        relation = row[graph.edge_type]
        kept = (relation > 0) & (head <= n)
        for name, tensor in (("head", head), ("tail", tail), ("relation", relation)):
            self.register_buffer(name, tensor[kept], persistent=False)
        between = self.tail <= n
        keys = self._key(self.head[between], self.relation[between], self.tail[between])
        self.register_buffer("keys", keys.unique(), persistent=False)
        # the items of each (relation, value), so that one of them can be drawn
        group = self.relation * (graph.num_rows + 1) + self.tail
        group = group.masked_fill(between, -1)
        order = group.argsort(stable=True)
        first = torch.searchsorted(group[order], group)
        last = torch.searchsorted(group[order], group, right=True)
        self.register_buffer("offsets", torch.stack([first, last]), persistent=False)
        self.register_buffer("sharing", self.head[order], persistent=False)

    def _key(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return (relation * (self.num_items + 1) + head) * (self.num_items + 1) + tail

    def forward(self, number: int, negatives: int = 1) -> Triples:
        device = self.head.device
        edge = torch.randint(len(self.head), (number,), device=device)
        head, tail, relation = self.head[edge], self.tail[edge], self.relation[edge]
        is_value = tail > self.num_items
        value = torch.where(is_value, tail - self.num_items, 0)
        first, last = self.offsets[:, edge]
        drawn = first + (torch.rand(number, device=device) * (last - first)).long()
        tail = torch.where(is_value, self.sharing[drawn], tail)
        heads, tails = (side[:, None].expand(-1, 1 + negatives).clone() for side in (head, tail))
        side = torch.rand(number, negatives, device=device) < 0.5
        bad = torch.ones_like(side)
        for _ in range(ROUNDS):
            random = torch.randint(1, self.num_items + 1, side.shape, device=device)
            heads[:, 1:] = torch.where(bad & side, random, heads[:, 1:])
            tails[:, 1:] = torch.where(bad & ~side, random, tails[:, 1:])
            bad = contains(self.keys, self._key(heads[:, 1:], relation[:, None], tails[:, 1:])) & ~is_value[:, None]
            if not bool(bad.any()):
                break
        return Triples(heads, tails, relation, value)
