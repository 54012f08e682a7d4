"""Graphs to and from ``torch_geometric.data.HeteroData``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.edge_types import (
    NODE_KINDS,
    AnyGraph,
    Edges,
    check_kind,
    describe,
    join_types,
    node_names,
    parts,
    split_by_type,
)

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


def to_hetero_data(graph: AnyGraph) -> HeteroData:
    """The graph as ``torch_geometric.data.HeteroData``.

    Nodes of each type count from 0, without padding: item ``n`` is node ``n - 1``, attribute node ``n`` is
    ``n - N - 1``. A relation is one edge type ``(source type, name, destination type)`` for each pair of node types it
    joins, with ``edge_index`` and ``edge_weight``. Latent edges are ``("item", "latent", "item")``, with ``posterior
    (P, K)`` and its sum as ``edge_weight``, both still on the autograd tape.

    External ids are lists in ``data.ids[type]``, and ``data[type].n_id`` says which of them each node has: a transform
    or a loader that takes nodes away takes their ``n_id`` with them. ``data.relations`` and ``data.latent`` list the R
    predefined and the K latent relations in order, with all that is known of them.

    Raises:
        MissingExtraError: torch_geometric is not installed.
        DataError: a predefined relation has the name ``latent``.
    """
    try:
        from torch_geometric.data import HeteroData
    except ImportError:
        raise MissingExtraError(
            "HeteroData needs torch-geometric; install it with 'pip install torch-geometric'."
        ) from None
    base, _ = parts(graph)
    about = describe(graph)
    data = HeteroData()
    for kind, vocabulary in zip(NODE_KINDS, (base.items, base.attributes), strict=True):
        data[kind].num_nodes = len(vocabulary)
        data[kind].n_id = torch.arange(len(vocabulary), device=base.edge_index.device)
    for edge_type, edges in split_by_type(graph).items():
        store = data[edge_type]
        store.edge_index, store.edge_weight = edges.index, edges.weight
        if edges.posterior is not None:
            store.posterior = edges.posterior
    data.ids = {"item": about["items"], "attribute": about["attributes"]}
    data.relations = about["relations"]
    if "latent" in about:
        data.latent = about["latent"]
    return data


def from_hetero_data(data: HeteroData) -> AnyGraph:
    """The graph of what :func:`to_hetero_data` gave, or of another ``HeteroData`` with node types item and attribute.

    Nodes and edges may have been taken away or added. Where it has no ids, nodes are called by their numbers; where it
    has no weights they are 1; an edge type name that is not among the listed relations is a new one.

    Returns:
        An ``EnrichedGraph`` where there are latent edges with a posterior, else an ``ItemGraph``.

    Raises:
        DataError: there are other node types, or something does not fit together.
    """
    for kind in data.node_types:
        check_kind(kind)
    ids = getattr(data, "ids", {})
    if not isinstance(ids, dict):
        raise DataError("'data.ids' is no dictionary; give the ids of each node type, or none.")
    vocabularies = []
    for kind in NODE_KINDS:
        store = data[kind] if kind in data.node_types else {}
        count = (data[kind].num_nodes or 0) if kind in data.node_types else 0
        vocabularies.append(node_names(kind, count, ids.get(kind), store.get("n_id")))
    typed = {}
    for edge_type in data.edge_types:
        store = data[edge_type]
        weight, posterior = (store.get(key) for key in ("edge_weight", "posterior"))
        typed[edge_type] = Edges(store.edge_index, weight, posterior)
    items, attributes = vocabularies
    return join_types(typed, items, attributes, getattr(data, "relations", []), getattr(data, "latent", None))
