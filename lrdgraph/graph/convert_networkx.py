"""Graphs to and from ``networkx.MultiDiGraph``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.edge_types import LATENT, NODE_KINDS, AnyGraph, check_names, parts, with_latent
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from networkx import MultiDiGraph


def to_networkx(graph: AnyGraph) -> MultiDiGraph:
    """The graph as ``networkx.MultiDiGraph``.

    A node is ``(kind, external id)``, such as ``("item", "B00006IE87")``, since an item and an attribute value may
    share an id; it has the attributes ``kind`` and ``id``. An edge has the relation's name as key, and ``weight`` and
    ``kind``. A latent edge has the key ``latent``, its ``posterior`` as ``{relation name: value}``, with the sum of it
    as weight; it leaves the autograd tape. ``G.graph["relations"]`` and ``G.graph["latent"]`` list the R predefined and
    the K latent relations in order, with all that is known of them.

    Raises:
        MissingExtraError: networkx is not installed.
        DataError: a predefined relation has the name ``latent``, or a latent pair occurs twice.
    """
    try:
        import networkx as nx
    except ImportError:
        raise MissingExtraError("A MultiDiGraph needs networkx; install it with 'pip install networkx'.") from None
    base, enriched = parts(graph)
    check_names(base)
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
    come back sorted by (i, j), as candidate sets are, and their posteriors as float32 where that holds them exactly,
    else as float64.

    Returns:
        An ``EnrichedGraph`` where latent relations are listed beside it, else an ``ItemGraph``.

    Raises:
        DataError: a node is not ``(kind, id)``, edges have no direction or no keys, or something does not fit together.
    """
    if not (network.is_directed() and network.is_multigraph()):
        raise DataError("A graph whose edges have no direction or no keys was given; make a MultiDiGraph of it.")
    for node in network.nodes:
        if not (isinstance(node, tuple) and len(node) == 2 and node[0] in NODE_KINDS):
            raise DataError(
                f"Node {node!r} is not (kind, id) with a kind of {' or '.join(NODE_KINDS)}; rename the nodes."
            )
    ids = {kind: [node[1] for node in network.nodes if node[0] == kind] for kind in NODE_KINDS}
    items, attributes = (Vocabulary([str(name) for name in ids[kind]], kind) for kind in NODE_KINDS)
    number = {(kind, name): n for n, (kind, name) in enumerate(((k, i) for k in NODE_KINDS for i in ids[k]), start=1)}
    edges = [(number[s], number[d], str(name), about) for s, d, name, about in network.edges(keys=True, data=True)]
    relations = RelationVocabulary.from_json(network.graph.get("relations", []))
    typed = [edge for edge in edges if "posterior" not in edge[3]]
    new: dict[str, Relation] = {}
    for source, destination, name, about in typed:
        if name not in relations and name not in new:
            inferred = "predefined" if max(source, destination) <= len(items) else "attribute"
            new[name] = Relation(name, about.get("kind", inferred))
    relations = relations.add(*new.values())
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
    exact = torch.tensor(values, dtype=torch.float64).reshape(len(mixed), len(names))
    posterior = exact.float() if torch.equal(exact.float().double(), exact) else exact
    return with_latent(graph, _pairs(mixed), posterior, network.graph["latent"])


def _latent_attributes(names: list[str], values: list[float]) -> dict[str, Any]:
    return {"weight": sum(values), "kind": "latent", "posterior": dict(zip(names, values, strict=True))}


def _pairs(edges: list[Any]) -> Tensor:
    return torch.tensor([[edge[0] for edge in edges], [edge[1] for edge in edges]], dtype=torch.int64).reshape(2, -1)
