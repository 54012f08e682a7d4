"""Graphs to and from PyTorch Geometric and NetworkX; nothing is lost on the way round.

Both sides know two kinds of node, ``item`` and ``attribute``. A latent edge stays one edge with its whole posterior,
under the name ``latent``; which K relations its values belong to is listed beside the relations of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Kind, Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from networkx import MultiDiGraph
    from torch_geometric.data import HeteroData

LATENT = "latent"
NODE_KINDS = ("item", "attribute")
AnyGraph: TypeAlias = ItemGraph | EnrichedGraph


def to_hetero_data(graph: AnyGraph) -> HeteroData:
    """The graph as ``torch_geometric.data.HeteroData``.

    Nodes of each type count from 0, without padding: item ``n`` is node ``n - 1``, attribute node ``n`` is
    ``n - N - 1``; their external ids stand in ``data[type].ids``. A relation is one edge type ``(source type, name,
    destination type)`` for each pair of node types it joins, with ``edge_index`` and ``edge_weight``. Latent edges are
    ``("item", "latent", "item")`` with ``posterior (P, K)``, still on the autograd tape. ``data.relations`` and
    ``data.latent`` list name, kind and label of the R predefined and the K latent relations in order.

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
    base, enriched = _parts(graph)
    data = HeteroData()
    for kind, vocabulary in zip(NODE_KINDS, (base.items, base.attributes), strict=True):
        data[kind].num_nodes = len(vocabulary)
        data[kind].ids = vocabulary.series.to_list()
    is_attribute = base.edge_index > base.num_items
    local = base.edge_index - 1 - is_attribute * base.num_items
    for relation in base.relations:
        edges = base.edges_of(relation.name)
        ends, index, weight = is_attribute[:, edges].long(), local[:, edges], base.edge_weight[edges]
        for pair in torch.unique(ends[0] * 2 + ends[1]).tolist():
            chosen = ends[0] * 2 + ends[1] == pair
            store = data[NODE_KINDS[pair // 2], relation.name, NODE_KINDS[pair % 2]]
            store.edge_index, store.edge_weight = index[:, chosen], weight[chosen]
    data.relations = base.relations.to_json()
    if enriched is not None:
        data.latent = RelationVocabulary(enriched.latent).to_json()
        store = data["item", LATENT, "item"]
        store.edge_index, store.posterior = enriched.latent_index - 1, enriched.mixture
    return data


def from_hetero_data(data: HeteroData) -> AnyGraph:
    """The graph of what :func:`to_hetero_data` gave, or of another ``HeteroData`` with node types item and attribute.

    Where it has no ids, nodes are called by their numbers; where it has no weights they are 1; an edge type name that
    is not among the listed relations is a new one.

    Returns:
        An ``EnrichedGraph`` where there are latent edges with a posterior, else an ``ItemGraph``.

    Raises:
        DataError: there are other node types, or something does not fit together.
    """
    strange = [kind for kind in data.node_types if kind not in NODE_KINDS]
    if strange:
        raise DataError(f"The graph has nodes of type '{strange[0]}'; known types are {' and '.join(NODE_KINDS)}.")
    items, attributes = (_node_ids(data, kind) for kind in NODE_KINDS)
    shift = {"item": 1, "attribute": len(items) + 1}
    mixed = ("item", LATENT, "item")
    has_latent = mixed in data.edge_types and "posterior" in data[mixed]
    typed = [edge_type for edge_type in data.edge_types if not (has_latent and edge_type == mixed)]
    relations = RelationVocabulary.from_json(getattr(data, "relations", []))
    index, kinds, weight = [torch.empty(2, 0, dtype=torch.int64)], [torch.empty(0, dtype=torch.int64)], [torch.empty(0)]
    for source, name, destination in typed:
        store = data[source, name, destination]
        if name not in relations:
            relations = relations.add(Relation(name, _kind(typed, name)))
        index.append(store.edge_index + torch.tensor([[shift[source]], [shift[destination]]]))
        kinds.append(torch.full(store.edge_index.shape[1:], relations.index(name)))
        weight.append(store.edge_weight.float() if "edge_weight" in store else torch.ones(store.edge_index.shape[1]))
    graph = ItemGraph(torch.cat(index, 1), torch.cat(kinds), torch.cat(weight), relations, items, attributes)
    if not has_latent:
        return graph
    return _enriched(graph, data[mixed].edge_index + 1, data[mixed].posterior, getattr(data, "latent", None))


def to_networkx(graph: AnyGraph) -> MultiDiGraph:
    """The graph as ``networkx.MultiDiGraph``.

    A node is ``(kind, external id)``, such as ``("item", "B00006IE7F")``, since an item and an attribute value may
    share an id; it has the attributes ``kind`` and ``id``. An edge has the relation's name as key, and ``weight`` and
    ``kind``. A latent edge has the key ``latent``, its ``posterior`` as ``{relation name: value}``, with the sum of it
    as weight; it leaves the autograd tape. ``G.graph["relations"]`` and ``G.graph["latent"]`` list name, kind and label
    of the R predefined and the K latent relations in order.

    Raises:
        MissingExtraError: networkx is not installed.
        DataError: a predefined relation has the name ``latent``, or a latent pair occurs twice.
    """
    try:
        import networkx as nx
    except ImportError:
        raise MissingExtraError("A MultiDiGraph needs networkx; install it with 'pip install networkx'.") from None
    base, enriched = _parts(graph)
    result = nx.MultiDiGraph(relations=base.relations.to_json())
    nodes: list[Any] = [None]
    for kind, vocabulary in zip(NODE_KINDS, (base.items, base.attributes), strict=True):
        names = vocabulary.series.to_list()
        result.add_nodes_from(((kind, name), {"kind": kind, "id": name}) for name in names)
        nodes += [(kind, name) for name in names]
    triples = zip(*base.edge_index.tolist(), base.edge_type.tolist(), base.edge_weight.tolist(), strict=True)
    known = list(base.relations)
    result.add_edges_from(
        (nodes[source], nodes[destination], known[r].name, {"weight": weight, "kind": known[r].kind})
        for source, destination, r, weight in triples
    )
    if enriched is not None:
        result.graph["latent"] = RelationVocabulary(enriched.latent).to_json()
        names = [relation.name for relation in enriched.latent]
        rows = zip(*enriched.latent_index.tolist(), enriched.mixture.detach().tolist(), strict=True)
        result.add_edges_from((nodes[i], nodes[j], LATENT, _latent_attributes(names, v)) for i, j, v in rows)
        if result.number_of_edges() != base.num_edges + enriched.num_pairs:
            raise DataError("A latent pair occurs twice; make candidate pairs unique with candidates.union.")
    return result


def from_networkx(network: MultiDiGraph) -> AnyGraph:
    """The graph of what :func:`to_networkx` gave, also after edges were added to it or taken away.

    An edge whose key is not among the listed relations makes a new one, of the kind that the edge names. Latent pairs
    come back sorted by (i, j), as candidate sets are.

    Returns:
        An ``EnrichedGraph`` where latent relations are listed beside it, else an ``ItemGraph``.

    Raises:
        DataError: a node is not ``(kind, id)``, or something does not fit together.
    """
    for node in network.nodes:
        if not (isinstance(node, tuple) and len(node) == 2 and node[0] in NODE_KINDS):
            raise DataError(
                f"Node {node!r} is not (kind, id) with a kind of {' or '.join(NODE_KINDS)}; rename the nodes."
            )
    ids = {kind: [node[1] for node in network.nodes if node[0] == kind] for kind in NODE_KINDS}
    items, attributes = (Vocabulary(ids[kind], kind) for kind in NODE_KINDS)
    number = {(kind, name): n for n, (kind, name) in enumerate(((k, i) for k in NODE_KINDS for i in ids[k]), start=1)}
    edges = [(number[s], number[d], name, about) for s, d, name, about in network.edges(keys=True, data=True)]
    relations = RelationVocabulary.from_json(network.graph.get("relations", []))
    typed = [edge for edge in edges if "posterior" not in edge[3]]
    for source, destination, name, about in typed:
        if name not in relations:
            inferred = "predefined" if max(source, destination) <= len(items) else "attribute"
            relations = relations.add(Relation(str(name), about.get("kind", inferred)))
    graph = ItemGraph(
        _pairs(typed),
        torch.tensor([relations.index(name) for _, _, name, _ in typed], dtype=torch.int64),
        torch.tensor([about.get("weight", 1.0) for *_, about in typed], dtype=torch.float32),
        relations,
        items,
        attributes,
    )
    mixed = sorted((edge for edge in edges if "posterior" in edge[3]), key=lambda edge: edge[:2])
    if not mixed and "latent" not in network.graph:
        return graph
    names = list(RelationVocabulary.from_json(network.graph.get("latent", [])).names)
    for name in (name for *_, about in mixed for name in about["posterior"]):
        if name not in names:
            raise DataError(f"A posterior names the relation '{name}', which G.graph['latent'] does not list; add it.")
    values = [[about["posterior"].get(name, 0.0) for name in names] for *_, about in mixed]
    posterior = torch.tensor(values, dtype=torch.float32).reshape(len(mixed), len(names))
    return _enriched(graph, _pairs(mixed), posterior, network.graph["latent"])


def _parts(graph: AnyGraph) -> tuple[ItemGraph, EnrichedGraph | None]:
    base, enriched = (graph.graph, graph) if isinstance(graph, EnrichedGraph) else (graph, None)
    if LATENT in base.relations:
        raise DataError(f"A relation is named '{LATENT}', which latent edges are known by; rename it.")
    return base, enriched


def _latent_attributes(names: list[str], values: list[float]) -> dict[str, Any]:
    return {"weight": sum(values), "kind": "latent", "posterior": dict(zip(names, values, strict=True))}


def _pairs(edges: list[Any]) -> Tensor:
    return torch.tensor([[edge[0] for edge in edges], [edge[1] for edge in edges]], dtype=torch.int64).reshape(2, -1)


def _node_ids(data: HeteroData, kind: str) -> Vocabulary:
    if kind not in data.node_types:
        return Vocabulary([], kind)
    store = data[kind]
    return Vocabulary(store["ids"] if "ids" in store else [str(n) for n in range(store.num_nodes or 0)], kind)


def _kind(edge_types: list[tuple[str, str, str]], name: str) -> Kind:
    ends = [(source, destination) for source, relation, destination in edge_types if relation == name]
    return "predefined" if ("item", "item") in ends else "attribute"


def _enriched(graph: ItemGraph, pairs: Tensor, posterior: Tensor, listed: Any) -> EnrichedGraph:
    rows = listed or [{"name": f"latent_{k}", "kind": "latent", "label": ""} for k in range(posterior.shape[1])]
    latent = tuple(RelationVocabulary.from_json(rows))
    if posterior.shape != (pairs.shape[1], len(latent)):
        raise DataError(
            f"{pairs.shape[1]} latent edges of {len(latent)} relations need a posterior of as many rows and columns; "
            f"got {tuple(posterior.shape)}."
        )
    return EnrichedGraph(graph, pairs, posterior, latent)
