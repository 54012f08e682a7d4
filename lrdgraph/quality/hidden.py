"""What is hidden of a graph before anything is trained on it, so that its recovery can be measured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import RelationVocabulary


class Links(NamedTuple):
    """The recorded links of one relation between items, heads in row 0 and tails in row 1.

    Attributes:
        shown: ``(2, n)`` that a method's head may be fitted on.
        hidden: ``(2, m)`` to be recovered; no pair of ``shown`` is among them, in either direction.
    """

    shown: Tensor
    hidden: Tensor

    @property
    def all(self) -> Tensor:
        """``(2, n + m)``, the answers that are set aside when another one is ranked."""
        return torch.cat([self.shown, self.hidden], dim=1)


@dataclass(frozen=True, eq=False)
class Hidden:
    """A graph without what is hidden.

    Attributes:
        graph: all that a method may see of the graph.
        links: of each relation that lost some.
    """

    graph: ItemGraph
    links: dict[str, Links]


def hide_pairs(graph: ItemGraph, share: float = 0.2, seed: int = 0) -> Hidden:
    """Hide a share of the unordered item pairs: each in every relation that joins it, in both directions.

    So neither an inverse nor another relation between the same two items tells of a hidden pair. Edges to attribute
    values stay.

    Args:
        graph: with or without inverse relations.
        share: of the distinct unordered pairs that any relation joins, above 0 and below 1.
        seed: decides which.

    Returns:
        The visible graph, of the same relations, and the links of each predefined relation between items.

    Raises:
        ConfigError: the share is none.
        DataError: the graph has too few pairs for both parts to hold one.
    """
    _check_share(share)
    between = (graph.edge_index <= graph.num_items).all(0)
    key = pair_key(graph.edge_index, graph.num_rows)
    hidden = between & drawn(key, between, share, seed)
    if not bool(hidden.any()) or not bool((between & ~hidden).any()):
        raise DataError(f"The graph joins too few item pairs to hide a share of {share} of them; give it more triples.")
    links = {}
    for position in graph.relations.of_kind("predefined"):
        edges = graph.edges_of(graph.relations[position].name)
        index, own, out = graph.edge_index[:, edges], between[edges], hidden[edges]
        if bool(out.any()):
            links[graph.relations[position].name] = Links(index[:, own & ~out], index[:, out])
    return Hidden(_kept(graph, ~hidden), links)


def hide_relation(graph: ItemGraph, name: str, shown: float = 0.05, seed: int = 0) -> Hidden:
    """Hide one relation whole, with every relation that holds the same edges or their transposes.

    Args:
        graph: with or without inverse relations.
        name: of a relation between items.
        shown: share of its unordered pairs whose links, of both directions, a method's head may be fitted on, above 0
            and below 1.
        seed: decides which.

    Returns:
        The visible graph without the relation, and its links.

    Raises:
        ConfigError: the share is none.
        UnknownIdError: there is no such relation.
        DataError: the relation has too few links between items for both parts.
    """
    _check_share(shown)
    index = graph.edge_index[:, graph.edges_of(name)]
    index = index[:, (index <= graph.num_items).all(0)]
    known = drawn(pair_key(index, graph.num_rows), torch.ones(index.size(1), dtype=torch.bool), shown, seed)
    if not bool(known.any()) or bool(known.all()):
        raise DataError(f"'{name}' joins too few items to show a share of {shown} and hide the rest; hide another one.")
    told = {relation.name for relation in graph.relations if _same_edges(graph, name, relation.name)}
    return Hidden(_without(graph, told), {name: Links(index[:, known], index[:, ~known])})


def pair_key(index: Tensor, base: int) -> Tensor:
    """``(n,)`` one number for each unordered pair of ``(2, n)`` nodes below ``base``."""
    return index.amin(0) * base + index.amax(0)


def drawn(key: Tensor, eligible: Tensor, share: float, seed: int) -> Tensor:
    """``(n,)`` bool: whether the key of each row is among a share of the distinct eligible ones, drawn at random."""
    distinct = key[eligible].unique()
    generator = torch.Generator().manual_seed(seed)
    chosen = distinct[torch.randperm(len(distinct), generator=generator)[: round(share * len(distinct))]]
    return torch.isin(key, chosen)


def _same_edges(graph: ItemGraph, first: str, second: str) -> bool:
    """Whether two relations hold the same edges, or one the transposes of the other's."""
    a, b = (graph.edge_index[:, graph.edges_of(name)] for name in (first, second))
    if a.size(1) != b.size(1):
        return False
    key = (a[0] * graph.num_rows + a[1]).sort().values
    both = ((head * graph.num_rows + tail).sort().values for head, tail in (b, b.flip(0)))
    return any(torch.equal(key, other) for other in both)


def _kept(graph: ItemGraph, edges: Tensor) -> ItemGraph:
    return replace(
        graph,
        edge_index=graph.edge_index[:, edges],
        edge_type=graph.edge_type[edges],
        edge_weight=graph.edge_weight[edges],
    )


def _without(graph: ItemGraph, names: Collection[str]) -> ItemGraph:
    """The graph without some relations; the others are numbered anew."""
    stays = torch.tensor([relation.name not in names for relation in graph.relations])
    kept = _kept(graph, stays[graph.edge_type])
    relations = RelationVocabulary(relation for relation in graph.relations if relation.name not in names)
    return replace(kept, edge_type=(stays.cumsum(0) - 1)[kept.edge_type], relations=relations)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ConfigError(f"The share of pairs is {share}; it must lie above 0 and below 1.")


def connected(graph: ItemGraph, pairs: Tensor) -> np.ndarray:
    """``(P,)`` bool: any predefined relation joins the two items, in either direction."""
    between = (graph.edge_index <= graph.num_items).all(0)
    key = pair_key(graph.edge_index[:, between], graph.num_rows)
    return torch.isin(pair_key(pairs, graph.num_rows), key).numpy()
