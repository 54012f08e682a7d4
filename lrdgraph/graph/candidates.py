"""Pairs of items between which a latent edge may run.

These come from texts and predefined triples; :mod:`lrdgraph.graph.cooccurrence` finds those of training histories.
None depends on a validation or test event. A candidate set is ``(2, P)`` int64 item nodes, unique, without self pairs,
sorted by (row 0, row 1); the pair (i, j) is an edge from i to j.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError, MissingExtraError
from lrdgraph.faiss import need_faiss
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.nearest import nearest_approximate, nearest_exact

log = logging.getLogger(__name__)

EXACT_UP_TO = 50_000
"""Items of which every text is compared with every other."""
_ROWS_AT_ONCE = 4096


def nearest_text_pairs(vectors: Tensor, k: int, chunk: int = 1024, *, exact_up_to: int = EXACT_UP_TO) -> Tensor:
    """Each item hears from its ``k`` nearest items by cosine of their language vectors.

    All are compared with all in catalogues of up to ``exact_up_to`` described items. Of larger ones
    :func:`lrdgraph.graph.nearest.nearest_approximate` finds almost all of the nearest in a small part of the time,
    where faiss is installed; where it is not, a warning says so and all are compared.

    Args:
        vectors: ``(N + 1, T)`` float, row 0 padding. An item whose vector is zero has no text and gets no pair.
        k: neighbours of each item.
        chunk: items compared with all others at once; memory is ``chunk × N`` floats.
        exact_up_to: items.

    Returns:
        ``(2, P)`` with ``P <= N k``: row 1 the item, row 0 its neighbour.

    Raises:
        ConfigError: ``k`` or ``chunk`` is less than 1.
        DataError: a vector is not finite.
    """
    _at_least_one(k=k, chunk=chunk)
    if not bool(torch.isfinite(vectors).all()):
        raise DataError("A language vector holds NaN or infinity; encode the texts again.")
    described = torch.nonzero(vectors[1:].norm(dim=1) > 0).squeeze(1) + 1
    unit = torch.nn.functional.normalize(vectors[described].float(), dim=1)
    k = min(k, len(described) - 1)
    if k < 1:
        return torch.empty(2, 0, dtype=torch.int64)
    if len(described) > exact_up_to and _indexed(len(described)):
        near = nearest_approximate(unit, k)
    else:
        near = nearest_exact(unit, k, chunk)
    item, place = (near >= 0).nonzero(as_tuple=True)
    return _canonical(described[near[item, place]], described[item])


def _indexed(items: int) -> bool:
    try:
        need_faiss()
    except MissingExtraError as error:
        log.warning(
            "The nearest texts of %s items are found by comparing all with all, slowly. %s", f"{items:,}", error
        )
        return False
    return True


def two_hop_pairs(graph: ItemGraph, limit_per_item: int, max_degree: int = 500) -> Tensor:
    """Items that share a neighbour: another item or an attribute value, by any relation in either direction.

    Args:
        graph: the predefined graph.
        limit_per_item: each item hears from at most this many others, those that share most nodes with it; of equals
            those with the lower index.
        max_degree: nodes with more item neighbours than this join nothing; a category of half the catalogue says
            little, and its pairs are many.

    Returns:
        ``(2, P)`` with ``P <= N limit_per_item``: row 1 the item, row 0 the one it shares a node with.

    Raises:
        ConfigError: a limit is less than 1.
    """
    _at_least_one(limit_per_item=limit_per_item, max_degree=max_degree)
    source, destination = graph.edge_index.numpy()
    rows, columns = np.concatenate([source, destination]), np.concatenate([destination, source])
    item = (rows <= graph.num_items) & (rows != columns)
    shape = (graph.num_items + 1, graph.num_rows)
    touches = sparse.csr_array((np.ones(int(item.sum()), np.float32), (rows[item], columns[item])), shape=shape)
    touches.data[:] = 1
    degree = touches.sum(axis=0)
    touches = touches @ sparse.diags_array((degree <= max_degree).astype(np.float32), format="csr")
    touches.eliminate_zeros()
    back = touches.T.tocsr()
    found = []
    for start in range(0, shape[0], _ROWS_AT_ONCE):
        shared = (touches[start : start + _ROWS_AT_ONCE] @ back).tocoo()
        item_node, other = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
        keep = strongest(item_node, other, shared.data * (item_node != other), limit_per_item)
        found.append(np.stack([other[keep], item_node[keep]]))
    pairs = torch.from_numpy(np.concatenate(found, axis=1))
    return _canonical(pairs[0], pairs[1])


def union(*sets: Tensor, both_orders: bool = True) -> Tensor:
    """All pairs of several candidate sets, ``(2, P)``.

    Args:
        sets: ``(2, P)`` each.
        both_orders: add (j, i) for every (i, j); the two have different posteriors.
    """
    if not sets:
        return torch.empty(2, 0, dtype=torch.int64)
    pairs = torch.cat(sets, dim=1)
    if both_orders:
        pairs = torch.cat([pairs, pairs.flip(0)], dim=1)
    return _canonical(pairs[0], pairs[1])


def _canonical(first: Tensor, second: Tensor) -> Tensor:
    """Unique pairs without self pairs, sorted by (first, second)."""
    if not first.numel():
        return torch.empty(2, 0, dtype=torch.int64)
    base = int(torch.maximum(first.max(), second.max())) + 1
    key = torch.unique((first * base + second)[first != second])
    return torch.stack([key // base, key % base])


def strongest(group: np.ndarray, member: np.ndarray, strength: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the ``limit`` members of each group with the largest positive strength, ties to the lower."""
    order = np.lexsort((member, -strength, group))
    order = order[strength[order] > 0]
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order[rank < limit]


def _at_least_one(**settings: int) -> None:
    for name, value in settings.items():
        if value < 1:
            raise ConfigError(f"'{name}' must be 1 or more; got {value}.")
