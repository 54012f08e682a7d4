"""Pairs (i, j) that discovery explains: of one training history, i before j, or of a graph's edges."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.splits import Sequences


def history_pairs(sequences: Sequences, max_gap: int = 3) -> Tensor:
    """All pairs of one user's events that are at most ``max_gap`` events apart, in order.

    Args:
        sequences: training events.
        max_gap: 1 takes transitions alone.

    Returns:
        ``(2, P)`` int64 items, i in row 0 before j in row 1; a pair occurs as often as it does in the histories, and
        pairs of an item with itself are left out.
    """
    user = sequences.user
    found = []
    for gap in range(1, max_gap + 1):
        together = user[gap:] == user[:-gap]
        found.append(np.stack([sequences.item[:-gap][together], sequences.item[gap:][together]]))
    pairs = np.concatenate(found, axis=1)
    return torch.from_numpy(pairs[:, pairs[0] != pairs[1]])


def graph_pairs(graph: ItemGraph) -> Tensor:
    """The edges of predefined relations between items, ``(2, P)`` heads over tails; those of inverses are left out.

    A pair that two relations join occurs twice.
    """
    predefined = torch.zeros(len(graph.relations), dtype=torch.bool)
    predefined[list(graph.relations.of_kind("predefined"))] = True
    return graph.edge_index[:, predefined[graph.edge_type] & (graph.edge_index <= graph.num_items).all(0)]


def batch_pairs(
    history: Tensor, target: Tensor, max_pairs: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Pairs of a training batch: any event of a history with any event after it.

    Args:
        history: ``(B, L)`` items, 0 for padding.
        target: ``(B, L)`` the item after each column, 0 where there is none.
        max_pairs: draw so many, without replacement, where there are more.
        generator: source of chance; torch's own where None.

    Returns:
        ``i, j`` ``(P,)`` with ``i != j``.
    """
    joined = ((history > 0)[:, :, None] & (target > 0)[:, None, :]).triu()  # (B, L, L)
    row, before, after = joined.nonzero(as_tuple=True)
    if len(row) > max_pairs:
        drawn = torch.randperm(len(row), generator=generator, device=row.device)[:max_pairs]
        row, before, after = row[drawn], before[drawn], after[drawn]
    i, j = history[row, before], target[row, after]
    return i[i != j], j[i != j]
