"""Which pairs of items the predefined graph joins, by which relation."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from lrdgraph.graph.item_graph import ItemGraph


def recorded(graph: ItemGraph, pairs: Tensor, *, attributes: bool = False) -> dict[str, np.ndarray]:
    """Relation → ``(P,)`` bool, which pairs (i, j) it joins from i to j; only relations that could join a pair.

    Args:
        graph: with its inverse relations, where it has them, as relations of their own.
        pairs: ``(2, P)`` items.
        attributes: also relations to attribute values, which join a pair that shares a value.
    """
    found = {}
    wanted = pairs[0] * graph.num_rows + pairs[1]
    for relation in graph.relations:
        source, target = graph.edge_index[:, graph.edges_of(relation.name)]
        heads = source <= graph.num_items
        between, value = heads & (target <= graph.num_items), heads & (target > graph.num_items) & attributes
        joined = torch.isin(wanted, (source * graph.num_rows + target)[between]).numpy()
        if bool(value.any()):
            at = source[value].numpy(), target[value].numpy()
            touches = sparse.csr_array((np.ones(len(at[0]), bool), at), shape=(graph.num_rows, graph.num_rows))
            i, j = pairs.numpy()
            joined |= touches[i].multiply(touches[j]).sum(1) > 0
        if bool(between.any() | value.any()):
            found[relation.name] = joined
    return found
