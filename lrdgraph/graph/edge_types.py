"""A graph by edge type, as libraries with several kinds of node hold it, and back.

An edge type is ``(source kind, relation name, destination kind)``. Nodes of each kind count from 0, without padding:
item ``n`` is node ``n - 1``, attribute node ``n`` is ``n - N - 1``. A latent edge stays one edge with its whole
posterior, of the type ``("item", "latent", "item")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Kind, Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

AnyGraph: TypeAlias = ItemGraph | EnrichedGraph
EdgeType: TypeAlias = tuple[str, str, str]

NODE_KINDS = ("item", "attribute")
LATENT = "latent"
MIXED: EdgeType = ("item", LATENT, "item")


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of one type.

    Attributes:
        index: ``(2, n)`` int64 nodes of the two kinds, from 0.
        weight: ``(n,)``, or None where each counts 1; of latent edges the sum of their posterior.
        posterior: ``(n, K)`` of latent edges, else None.
    """

    index: Tensor
    weight: Tensor | None = None
    posterior: Tensor | None = None


def parts(graph: AnyGraph) -> tuple[ItemGraph, EnrichedGraph | None]:
    """The predefined graph, and the enriched one where there is one."""
    return (graph.graph, graph) if isinstance(graph, EnrichedGraph) else (graph, None)


def describe(graph: AnyGraph) -> dict[str, Any]:
    """What is not a number, as JSON holds it: ids of ``items`` and ``attributes``, ``relations``, ``latent`` relations.

    An ``ItemGraph`` has no key ``latent``.
    """
    base, enriched = parts(graph)
    about: dict[str, Any] = {key: getattr(base, key).series.to_list() for key in ("items", "attributes")}
    about["relations"] = base.relations.to_json()
    if enriched is not None:
        about["latent"] = RelationVocabulary(enriched.latent).to_json()
    return about


def split_by_type(graph: AnyGraph) -> dict[EdgeType, Edges]:
    """The edges of each type that occurs; latent edges have theirs also where there are none.

    Raises:
        DataError: a predefined relation has the name ``latent``.
    """
    base, enriched = parts(graph)
    check_names(base)
    is_attribute = base.edge_index > base.num_items
    local = base.edge_index - 1 - is_attribute * base.num_items
    typed = {}
    for relation in base.relations:
        rows = base.edges_of(relation.name)
        index, weight = local[:, rows], base.edge_weight[rows]
        ends = is_attribute[0, rows] * 2 + is_attribute[1, rows] * 1
        for pair in torch.unique(ends).tolist():
            chosen = ends == pair
            kinds = NODE_KINDS[pair // 2], NODE_KINDS[pair % 2]
            typed[kinds[0], relation.name, kinds[1]] = Edges(index[:, chosen], weight[chosen])
    if enriched is not None:
        typed[MIXED] = Edges(enriched.latent_index - 1, enriched.mixture.sum(1), enriched.mixture)
    return typed


def join_types(
    typed: Mapping[EdgeType, Edges], items: Vocabulary, attributes: Vocabulary, relations: Any, latent: Any
) -> AnyGraph:
    """One graph of the edges of all types; the way back from :func:`split_by_type`.

    Args:
        typed: edges by type. A name that is not among the relations is a new one, of kind ``predefined`` where it
            joins two items, else ``attribute``.
        items, attributes: what the nodes are called.
        relations, latent: what :func:`describe` says of them; ``latent`` is None where nothing does.

    Returns:
        An ``EnrichedGraph`` where latent edges have a posterior or latent relations are listed, else an ``ItemGraph``.

    Raises:
        DataError: a kind of node is another, or something does not fit together.
    """
    for kind in (kind for source, _, destination in typed for kind in (source, destination)):
        check_kind(kind)
    mixed = typed.get(MIXED)
    has_latent = latent is not None or (mixed is not None and mixed.posterior is not None)
    plain = {edge_type: edges for edge_type, edges in typed.items() if not (has_latent and edge_type == MIXED)}
    shift = {"item": 1, "attribute": len(items) + 1}
    known = RelationVocabulary.from_json(relations)
    new = dict.fromkeys(name for _, name, _ in plain if name not in known)
    known = known.add(*(Relation(name, _kind(plain, name)) for name in new))
    device = next((edges.index.device for edges in typed.values()), torch.device("cpu"))
    none = torch.empty(0, dtype=torch.int64, device=device)
    index, kinds, weight = [none.expand(2, 0)], [none], [none.float()]
    for (source, name, destination), edges in plain.items():
        count = edges.index.shape[1]
        index.append(edges.index + torch.tensor([[shift[source]], [shift[destination]]], device=device))
        kinds.append(torch.full((count,), known.index(name), device=device))
        weight.append(torch.ones(count, device=device) if edges.weight is None else edges.weight.detach().float())
    graph = ItemGraph(torch.cat(index, 1), torch.cat(kinds), torch.cat(weight), known, items, attributes)
    if not has_latent:
        return graph
    if mixed is None:
        return with_latent(graph, none.expand(2, 0), none.float().expand(len(latent), 0).T, latent)
    if mixed.posterior is None:
        raise DataError(f"Edges of type {MIXED} have no posterior; give one, or another name to the relation.")
    return with_latent(graph, mixed.index + 1, mixed.posterior, latent)


def with_latent(graph: ItemGraph, pairs: Tensor, posterior: Tensor, latent: Any) -> EnrichedGraph:
    """The graph with latent edges ``(2, P)`` of item nodes and their posterior ``(P, K)``.

    Args:
        graph: the predefined graph.
        pairs: ``(2, P)`` int64, from 1.
        posterior: ``(P, K)`` float.
        latent: the K relations as JSON; ``latent_0 … latent_{K-1}`` where None.

    Raises:
        DataError: the posterior has another shape, or a pair names a node that is no item.
    """
    rows = [{"name": f"latent_{k}", "kind": "latent", "label": ""} for k in range(posterior.shape[1])]
    listed = tuple(RelationVocabulary.from_json(rows if latent is None else latent))
    if posterior.shape != (pairs.shape[1], len(listed)):
        raise DataError(
            f"{pairs.shape[1]} latent edges of {len(listed)} relations need a posterior of as many rows and columns; "
            f"got {tuple(posterior.shape)}."
        )
    if pairs.numel() and (int(pairs.min()) < 1 or int(pairs.max()) > graph.num_items):
        raise DataError(f"A latent edge names a node outside the items 1…{graph.num_items}.")
    return EnrichedGraph(graph, pairs, posterior, listed)


def node_names(kind: str, count: int, ids: Any = None, positions: Tensor | None = None) -> Vocabulary:
    """What the nodes of one kind are called.

    Args:
        kind: ``"item"`` or ``"attribute"``.
        count: how many there are.
        ids: external ids; None where there are none, and nodes are called by their numbers.
        positions: ``(count,)`` of each node among the ids, where nodes were left out or stand in another order.

    Raises:
        DataError: they are not as many as the nodes, or one of them occurs twice.
    """
    if ids is None:
        ids = [str(n) for n in (range(count) if positions is None else positions.tolist())]
    elif positions is not None:
        if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < len(ids):
            raise DataError(f"A node of kind '{kind}' has a position outside its {len(ids)} ids; number them from 0.")
        ids = pl.Series(ids, dtype=pl.String).gather(positions.cpu().numpy())
    if len(ids) != count:
        raise DataError(f"There are {count} nodes of kind '{kind}' and {len(ids)} ids; give one each.")
    return Vocabulary(ids, kind)


def check_kind(kind: str) -> None:
    """Refuse a kind of node that is neither item nor attribute.

    Raises:
        DataError: it is another.
    """
    if kind not in NODE_KINDS:
        raise DataError(f"The graph has nodes of type '{kind}'; known types are {' and '.join(NODE_KINDS)}: rename it.")


def check_names(graph: ItemGraph) -> None:
    """Refuse a relation whose name latent edges are known by.

    Raises:
        DataError: there is one.
    """
    if LATENT in graph.relations:
        raise DataError(f"A relation is named '{LATENT}', which latent edges are known by; rename it.")


def _kind(typed: Mapping[EdgeType, Edges], name: str) -> Kind:
    return "predefined" if ("item", name, "item") in typed else "attribute"
