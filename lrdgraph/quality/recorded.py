"""Which pairs of items the predefined graph joins, by which relation."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.quality.hidden import pair_key


def recorded(graph: ItemGraph, pairs: Tensor, *, attributes: bool = False) -> dict[str, np.ndarray]:
    """Relation → ``(P,)`` bool, which pairs (i, j) it joins from i to j.

    Args:
        graph: with its inverse relations, where it has them, as relations of their own.
        pairs: ``(2, P)`` items.
        attributes: also relations to attribute values, which join a pair that shares a value.
    """
    found = {}
    wanted = pairs[0] * graph.num_rows + pairs[1]
    for relation in graph.relations:
        source, target = graph.edge_index[:, graph.edges_of(relation.name)]
        between = (source <= graph.num_items) & (target <= graph.num_items)
        value = (source <= graph.num_items) & (target > graph.num_items)
        if bool(between.any()):
            found[relation.name] = torch.isin(wanted, (source * graph.num_rows + target)[between]).numpy()
        elif attributes and bool(value.any()):
            at = source[value].numpy(), target[value].numpy()
            shape = (graph.num_rows, graph.num_rows)
            touches = sparse.csr_array((np.ones(len(at[0]), bool), at), shape=shape)
            i, j = pairs.numpy()
            found[relation.name] = touches[i].multiply(touches[j]).sum(1) > 0
    return found


def connected(graph: ItemGraph, pairs: Tensor) -> np.ndarray:
    """``(P,)`` bool: any predefined relation joins the two items, in either direction."""
    between = (graph.edge_index <= graph.num_items).all(0)
    key = pair_key(graph.edge_index[:, between], graph.num_rows)
    return torch.isin(pair_key(pairs, graph.num_rows), key).numpy()
