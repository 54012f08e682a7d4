"""Graphs to and from PyKEEN's ``TriplesFactory``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.graph.edge_types import AnyGraph, describe, parts, with_latent
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pykeen.triples import TriplesFactory


@dataclass(frozen=True, eq=False)
class TripleValues:
    """What a ``TriplesFactory`` has no place for.

    Attributes:
        triples: ``(n, 3)`` int64, those that were made of the graph, as numbers.
        weight: ``(n,)`` float32 for each of them: of a predefined edge its weight, of a latent triple its posterior.
        latent_index: ``(2, P)`` int64 item nodes of all latent edges, from 1; None where the graph is not enriched.
        posterior: ``(P, K)`` of all latent edges, zeros included, off the autograd tape.
        about: ids of ``items`` and ``attributes``, ``relations``, and ``latent`` ones, as JSON has them.
    """

    triples: Tensor
    weight: Tensor
    latent_index: Tensor | None
    posterior: Tensor | None
    about: dict[str, Any]

    def weights(self, mapped_triples: Tensor) -> Tensor:
        """Weights ``(m,)`` float32 of ``(m, 3)`` triples, such as those of one part of a split.

        Raises:
            DataError: a triple is none of the graph's.
        """
        at = _positions(self.triples, mapped_triples)
        if bool((at < 0).any()):
            triple = mapped_triples[at < 0][0].tolist()
            raise DataError(f"The triple {triple} was not made of this graph; give triples of its own factory.")
        return self.weight[at]


def to_pykeen(graph: AnyGraph, *, min_posterior: float = 0.0) -> tuple[TriplesFactory, TripleValues]:
    """The graph as PyKEEN's ``TriplesFactory``, and the numbers that go beside it.

    Entity ``n - 1`` is node ``n``; its label is the external id, and that of an attribute value whose id an item has
    is the id with `` (attribute)`` after it. Relations are numbered as in the graph's vocabulary, predefined ones
    first, and labelled by their names. The triple (head, relation, tail) is an edge; a latent edge gives one triple
    for each latent relation whose posterior is above ``min_posterior``.

    Raises:
        MissingExtraError: pykeen is not installed.
        DataError: the graph has no nodes or no relations, which PyKEEN has no place for, or two relations share a name.
    """
    try:
        from pykeen.triples import TriplesFactory
    except ImportError:
        raise MissingExtraError(
            "A TriplesFactory needs pykeen; install it with 'pip install lrdgraph[pykeen]'."
        ) from None
    base, enriched = parts(graph)
    relations = graph.relations
    if not base.num_nodes or not len(relations):
        raise DataError("PyKEEN holds no graph without nodes or without relations; add a node and a relation.")
    triples = torch.stack([base.edge_index[0] - 1, base.edge_type, base.edge_index[1] - 1], dim=1)
    weight = base.edge_weight
    index, posterior = None, None
    if enriched is not None:
        index, posterior = enriched.latent_index, enriched.mixture.detach()
        pair, relation = torch.nonzero(posterior > min_posterior, as_tuple=True)
        head, tail = index[:, pair] - 1
        triples = torch.cat([triples, torch.stack([head, relation + len(base.relations), tail], dim=1)])
        weight = torch.cat([weight, posterior[pair, relation].float()])
    about = describe(graph)
    factory = TriplesFactory(triples, _numbered(_entity_labels(about)), _numbered(relations.names))
    return factory, TripleValues(factory.mapped_triples, weight, index, posterior, about)


def from_pykeen(factory: TriplesFactory, values: TripleValues | None = None) -> AnyGraph:
    """The graph of a ``TriplesFactory``.

    Args:
        factory: the one that :func:`to_pykeen` gave, a part of it, or another.
        values: what stood beside it. Without it each entity is an item, and each relation a predefined one of
            weight 1. With it latent edges all stay, and one whose triple is not in the factory any more has the
            posterior 0.

    Returns:
        An ``EnrichedGraph`` where one was given to :func:`to_pykeen`, else an ``ItemGraph``.

    Raises:
        DataError: the factory has no labels, or it is not one that the values belong to.
    """
    if not hasattr(factory, "entity_to_id"):
        raise DataError("The triples have no labels; give a TriplesFactory, which has.")
    if values is None:
        triples = factory.mapped_triples
        return ItemGraph(
            triples[:, [0, 2]].T.contiguous() + 1,
            triples[:, 1].clone(),
            torch.ones(len(triples)),
            RelationVocabulary(Relation(name) for name in _in_order(factory.relation_to_id)),
            Vocabulary(_in_order(factory.entity_to_id), "item"),
            Vocabulary([], "attribute"),
        )
    about = values.about
    relations = RelationVocabulary.from_json(about["relations"])
    names = relations.add(*RelationVocabulary.from_json(about.get("latent", []))).names
    if factory.entity_to_id != _numbered(_entity_labels(about)) or factory.relation_to_id != _numbered(names):
        raise DataError("The factory numbers entities or relations otherwise than the graph; give its own factory.")
    triples = factory.mapped_triples.to(values.triples.device)
    weight = values.weights(triples)
    plain = triples[:, 1] < len(relations)
    graph = ItemGraph(
        triples[plain][:, [0, 2]].T.contiguous() + 1,
        triples[plain][:, 1],
        weight[plain],
        relations,
        Vocabulary(about["items"], "item"),
        Vocabulary(about["attributes"], "attribute"),
    )
    if values.latent_index is None or values.posterior is None:
        return graph
    return with_latent(graph, values.latent_index, _still_there(values, triples), about["latent"])


def _still_there(values: TripleValues, triples: Tensor) -> Tensor:
    """The posterior, with 0 for what was made a triple and is none of ``triples``."""
    assert values.posterior is not None
    assert values.latent_index is not None
    pair, relation = torch.nonzero(values.posterior, as_tuple=True)
    head, tail = values.latent_index[:, pair] - 1
    told = torch.stack([head, relation + len(values.about["relations"]), tail], dim=1)
    gone = (_positions(values.triples, told) >= 0) & (_positions(triples, told) < 0)
    posterior = values.posterior.clone()
    posterior[pair[gone], relation[gone]] = 0
    return posterior


def _positions(held: Tensor, asked: Tensor) -> Tensor:
    """Where the triples ``asked`` ``(m, 3)`` stand among those ``held`` ``(n, 3)``; -1 where nowhere."""
    if not len(held):
        return asked.new_full((len(asked),), -1)
    top = torch.cat([held, asked]).amax(0) + 1
    keys, wanted = ((t[:, 1] * top[0] + t[:, 0]) * top[2] + t[:, 2] for t in (held, asked))
    keys, order = keys.sort()
    at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[at] == wanted, order[at], -1)


def _entity_labels(about: dict[str, Any]) -> list[str]:
    items, labels = set(about["items"]), list(about["items"])
    taken = items.union(about["attributes"])
    for name in about["attributes"]:
        label = name
        while label in (items if label == name else taken):
            label += " (attribute)"
        taken.add(label)
        labels.append(label)
    return labels


def _numbered(labels: Iterable[str]) -> dict[str, int]:
    return {label: number for number, label in enumerate(labels)}


def _in_order(numbered: Mapping[str, int]) -> list[str]:
    return sorted(numbered, key=numbered.__getitem__)
