"""Sums of composed messages along typed edges, without a message for each edge on the tape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lrdgraph.nn.operators import define, room
from lrdgraph.nn.sparse_products import Pattern, bags, block_size


class TypedPattern(NamedTuple):
    """``E`` typed edges, sorted both ways once; an *entry* is a (source, type) that occurs.

    A message is a matter of its entry, so that it is composed once however many edges carry it.

    Attributes:
        edges: a matrix of destinations × entries.
        source, kind: ``(entries,)`` int64, rising by (source, kind).
        first: ``(columns,)``, where the entries of each source begin.
    """

    edges: Pattern
    source: Tensor
    kind: Tensor
    first: Tensor

    @classmethod
    def of(cls, row: Tensor, column: Tensor, kind: Tensor, rows: int, columns: int) -> TypedPattern:
        """Sort edges of types ``kind (E,)`` from ``columns`` sources to ``rows`` destinations."""
        kinds = int(kind.max()) + 1 if len(kind) else 1
        key, order = torch.sort(column * kinds + kind, stable=True)
        entries, place, sizes = torch.unique_consecutive(key, return_inverse=True, return_counts=True)
        entry = torch.empty_like(order).index_copy_(0, order, place)
        by_row = torch.argsort(row, stable=True)
        edges = Pattern(
            row,
            entry,
            (by_row, entry.index_select(0, by_row), _begins(torch.bincount(row, minlength=rows))),
            (order, row.index_select(0, order), _begins(sizes)),
        )
        source = entries // kinds
        return cls(edges, source, entries % kinds, _begins(torch.bincount(source, minlength=columns)))

    def to(self, device: torch.device | str) -> TypedPattern:
        return TypedPattern(self.edges.to(device), self.source.to(device), self.kind.to(device), self.first.to(device))


def typed_product(x: Tensor, z: Tensor, weight: Tensor, pattern: TypedPattern) -> Tensor:
    """``Σ_e weight_e · x[source_e] ⊙ z[kind_e]`` into each destination, with gradients to all three.

    The tape holds the arguments and nothing of edges × channels; neither do the sums, which go in blocks where there
    are about as many entries as edges.

    Args:
        x: ``(columns, D)``.
        z: ``(kinds, D)``.
        weight: ``(E,)``.
        pattern: the edges.

    Returns:
        ``(rows, D)``.
    """
    (row, entry, by_row, by_column), source, kind, first = pattern
    return _OPERATOR([x, z, weight], [row, entry, *by_row, *by_column, source, kind, first])


def _forward(inputs: list[Tensor], pattern: list[Tensor]) -> Tensor:
    x, z, weight = inputs
    _, _, order, entry, begin, *_, source, kind, _ = pattern
    values = weight.index_select(0, order)
    if 2 * len(source) <= len(entry):
        return bags(_composed(x, z, source, kind), entry, begin, values)
    out = x.new_empty(len(begin), x.shape[1])
    for rows, part in _blocks(begin, len(entry)):
        of_edge = entry[part]
        messages = _composed(x, z, source.index_select(0, of_edge), kind.index_select(0, of_edge))
        out[rows] = _sums(messages, begin[rows] - part.start, values[part])
    return out


def _backward(grad: Tensor, inputs: list[Tensor], pattern: list[Tensor], needed: list[bool]) -> list[Tensor]:
    x, z, weight = inputs
    row, entry, *_, order, row_of, begin, source, kind, first = pattern
    to_x, to_z, to_weight = room(inputs, needed)
    if needed[0] or needed[1]:
        to_z.zero_()
        values = weight.index_select(0, order)
        ends = torch.cat([begin, begin.new_tensor([len(row)])])
        for columns, entries in _blocks(first, len(source)):
            part = slice(int(ends[entries.start]), int(ends[entries.stop]))
            heard = bags(grad, row_of[part], begin[entries] - part.start, values[part])
            if needed[1]:
                to_z.index_add_(0, kind[entries], x.index_select(0, source[entries]).mul_(heard))
            if needed[0]:
                heard *= z.index_select(0, kind[entries])
                to_x[columns] = _sums(heard, first[columns] - entries.start, None)
    if needed[2]:
        step = block_size()
        for start in range(0, len(weight), step):
            part = slice(start, start + step)
            messages = _composed(x, z, source.index_select(0, entry[part]), kind.index_select(0, entry[part]))
            to_weight[part] = messages.mul_(grad.index_select(0, row[part])).sum(1)
    return [to_x, to_z, to_weight]


def _like(inputs: list[Tensor], pattern: list[Tensor]) -> Tensor:
    return inputs[0].new_empty(len(pattern[4]), inputs[0].shape[1])


def _composed(x: Tensor, z: Tensor, source: Tensor, kind: Tensor) -> Tensor:
    return x.index_select(0, source).mul_(z.index_select(0, kind))


def _sums(messages: Tensor, begin: Tensor, values: Tensor | None) -> Tensor:
    """Weighted sums of consecutive rows, each from one beginning to the next."""
    return bags(messages, torch.arange(len(messages), device=messages.device), begin, values)


def _begins(sizes: Tensor) -> Tensor:
    ends = sizes.cumsum(0)
    return torch.cat([ends.new_zeros(1), ends[:-1]]) if len(ends) else ends


def _blocks(begin: Tensor, total: int) -> Iterator[tuple[slice, slice]]:
    """Segments, and what stands in them, about a block at a time; a segment is never cut."""
    marks = block_size() * torch.arange(1, max(1, -(-total // block_size())), device=begin.device)
    cuts = torch.searchsorted(begin, marks).unique()
    cuts = cuts[cuts < len(begin)]
    segment = at = 0
    for next_segment, next_at in zip(cuts.tolist(), begin.index_select(0, cuts).tolist(), strict=True):
        yield slice(segment, next_segment), slice(at, next_at)
        segment, at = next_segment, next_at
    yield slice(segment, len(begin)), slice(at, total)


_OPERATOR = define("typed_product", _forward, _backward, _like)
