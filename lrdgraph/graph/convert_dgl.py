"""Graphs to and from ``dgl.heterograph``; it needs dgl 1.1.3, the last version that imports beside a recent torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.edge_types import (
    MIXED,
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
    from dgl import DGLGraph


def to_dgl(graph: AnyGraph) -> tuple[DGLGraph, dict[str, Any]]:
    """The graph as ``dgl.heterograph``, and a dictionary of what DGL has no place for.

    Nodes of each type count from 0, without padding: item ``n`` is node ``n - 1``, attribute node ``n`` is
    ``n - N - 1``. A relation is one edge type ``(source type, name, destination type)`` for each pair of node types it
    joins, with its weights as ``edata["weight"]``. Latent edges are ``("item", "latent", "item")``, with
    ``edata["posterior"]`` (P, K) and its sum as weight, both still on the autograd tape. DGL knows no graph without an
    edge type: one without edges has that of latent edges, empty.

    Returns:
        The graph, and what is to be kept beside it, which JSON holds: ``items`` and ``attributes``, the external ids,
        and ``relations`` and ``latent``, all that is known of the R predefined and the K latent relations, in order.
        ``ndata["n_id"]`` says which id each node has; it goes with the nodes into subgraphs.

    Raises:
        MissingExtraError: dgl is not installed, or in a version that does not import.
        DataError: a predefined relation has the name ``latent``.
    """
    # without it, importing DGL writes a choice of backend to the home folder
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        import dgl
    except (ImportError, OSError):
        raise MissingExtraError(
            "A heterograph needs dgl 1.1.3, made for Python 3.11 and earlier; install it with "
            "'pip install lrdgraph[dgl]'."
        ) from None
    base, _ = parts(graph)
    typed = split_by_type(graph)
    counts = {"item": base.num_items, "attribute": len(base.attributes)}
    device = base.edge_index.device
    ends = {edge_type: tuple(edges.index) for edge_type, edges in typed.items()}
    ends = ends or {MIXED: tuple(torch.empty(2, 0, dtype=torch.int64))}
    network = dgl.heterograph(ends, num_nodes_dict=counts, device=device)
    for kind, count in counts.items():
        network.nodes[kind].data["n_id"] = torch.arange(count, device=device)
    for edge_type, edges in typed.items():
        network.edges[edge_type].data["weight"] = edges.weight
        if edges.posterior is not None:
            network.edges[edge_type].data["posterior"] = edges.posterior
    return network, describe(graph)


def from_dgl(network: DGLGraph, about: Mapping[str, Any] | None = None) -> AnyGraph:
    """The graph of what :func:`to_dgl` gave, of a subgraph of it, or of another heterograph of items and attributes.

    Args:
        network: node types ``item`` and ``attribute``. Where it has no weights they are 1; an edge type name that is
            not among the listed relations is a new one.
        about: what stood beside it. Without it, nodes are called by their numbers and relations by their names alone.

    Returns:
        An ``EnrichedGraph`` where there are latent edges with a posterior, else an ``ItemGraph``.

    Raises:
        DataError: there are other node types, the graph is a block of a sampler, whose nodes stand on two sides, or
            something does not fit together.
    """
    if network.is_block:
        raise DataError("A block of a sampler has source and destination nodes; give the graph, or a subgraph of it.")
    for kind in network.ntypes:
        check_kind(kind)
    about = about or {}
    vocabularies = []
    for kind in NODE_KINDS:
        known = kind in network.ntypes
        positions = network.nodes[kind].data.get("n_id") if known else None
        count = network.num_nodes(kind) if known else 0
        vocabularies.append(node_names(kind, count, about.get(f"{kind}s"), positions))
    typed = {}
    for edge_type in network.canonical_etypes:
        data = network.edges[edge_type].data
        index = torch.stack(network.edges(etype=edge_type, order="eid")).long()
        if edge_type != MIXED or "posterior" in data or index.numel():
            typed[edge_type] = Edges(index, data.get("weight"), data.get("posterior"))
    items, attributes = vocabularies
    return join_types(typed, items, attributes, about.get("relations", []), about.get("latent"))
