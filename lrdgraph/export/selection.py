"""Which triples are exported: recorded, discovered or both, as a stream of blocks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypedDict, get_args

import numpy as np
import polars as pl

from lrdgraph import __version__
from lrdgraph.errors import ConfigError, DataError, UnknownIdError, nearest
from lrdgraph.export.registry import discovered
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation

Which = Literal["discovered", "predefined", "all"]
Calibration = Callable[[np.ndarray], np.ndarray]
"""Posteriors ``(n,)`` of one relation → probabilities ``(n,)`` in [0, 1]."""

ROWS_AT_ONCE = 100_000
EDGES_AT_ONCE = 200_000
"""Sorted together: few enough to stay in a processor's cache, so that the time grows with the edges."""
MEASURES: dict[str, Any] = {
    "weight": pl.Float32,
    "posterior": pl.Float32,
    "probability": pl.Float32,
    "calibrated": pl.Boolean,
}


class Choice(TypedDict, total=False):
    """What every format can be asked for; the meaning and the defaults stand at :func:`select`."""

    which: Which
    threshold: float
    top_k: int | None
    relations: Collection[str] | None
    items: Collection[str] | None
    symmetric_once: bool
    calibration: Mapping[str, Calibration] | None


class Rows(NamedTuple):
    """Triples of one relation: nodes ``(n,)`` int64, weight or posterior ``(n,)`` float32, and the same calibrated."""

    relation: Relation
    head: np.ndarray
    tail: np.ndarray
    value: np.ndarray
    probability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.head)

    def at(self, where: slice | np.ndarray) -> Rows:
        """Some of the rows: a slice, positions, or ``(n,)`` bool."""
        probability = None if self.probability is None else self.probability[where]
        return Rows(self.relation, self.head[where], self.tail[where], self.value[where], probability)


@dataclass(frozen=True, eq=False)
class Selection:
    """Chosen triples of a graph; :func:`select` makes one.

    Attributes:
        graph: predefined edges and the ids of all nodes.
        enriched: the same with latent edges, where there are any to be read.
        relations: those that are exported, in the order of the graph.
        limits: threshold, top_k and the like, as the provenance tells them.
        members: ``(N + A + 1,)`` bool, nodes that may be an end; None for all.
    """

    graph: ItemGraph
    enriched: EnrichedGraph | None
    relations: tuple[Relation, ...]
    calibration: Mapping[str, Calibration]
    threshold: float
    top_k: int | None
    symmetric_once: bool
    members: np.ndarray | None
    limits: Mapping[str, object]

    @cached_property
    def ids(self) -> pl.Series:
        """External ids of all nodes, ``(N + A,)``; that of node ``n`` stands at ``n - 1``."""
        return pl.concat([self.graph.items.series, self.graph.attributes.series])

    @cached_property
    def measures(self) -> dict[str, Any]:
        """Name and type of the columns of numbers: those that a chosen relation has."""
        latent = [relation.name for relation in self.relations if relation.kind == "latent"]
        present = {
            "weight": len(latent) < len(self.relations),
            "posterior": bool(latent),
            "probability": any(name in self.calibration for name in latent),
            "calibrated": bool(latent),
        }
        return {name: kind for name, kind in MEASURES.items() if present[name]}

    def provenance(self, given: Mapping[str, object]) -> dict[str, object]:
        """Where the triples come from, and how they were chosen."""
        return {**given, "lrdgraph": __version__, **self.limits}

    def blocks(self) -> Iterator[Rows]:
        """Rows by relation, then head, the strongest first; no block is longer than ``ROWS_AT_ONCE``.

        Raises:
            DataError: a posterior or a probability is outside [0, 1].
        """
        for relation in self.relations:
            for rows in self._by_heads(relation):
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    yield rows.at(slice(start, start + ROWS_AT_ONCE))

    def table(self, rows: Rows) -> pl.DataFrame:
        """Columns ``head``, ``relation``, ``tail`` and ``kind``, by external ids, and the measures."""
        ends = {"head": self.ids.gather(rows.head - 1), "tail": self.ids.gather(rows.tail - 1)}
        told = [pl.repeat(text, len(rows), eager=True) for text in (rows.relation.name, rows.relation.kind)]
        named = {"head": ends["head"], "relation": told[0], "tail": ends["tail"], "kind": told[1]}
        return pl.DataFrame(named | self.numbers(rows))

    def numbers(self, rows: Rows) -> dict[str, pl.Series]:
        """The measures of rows; empty where their relation has none of that kind."""
        latent = rows.relation.kind == "latent"
        known: dict[str, Any] = {("posterior" if latent else "weight"): rows.value}
        if rows.probability is not None:
            known["probability"] = rows.probability
        if latent:
            known["calibrated"] = np.full(len(rows), rows.probability is not None)
        empty = [None] * len(rows)
        return {name: pl.Series(name, known.get(name, empty), kind) for name, kind in self.measures.items()}

    def _edges(self, relation: Relation) -> Rows:
        if relation.kind != "latent" or self.enriched is None:
            edges = self.graph.edges_of(relation.name)
            head, tail = self.graph.edge_index[:, edges].cpu().numpy()
            return Rows(relation, head, tail, self.graph.edge_weight[edges].cpu().numpy())
        head, tail = self.enriched.latent_index.numpy()
        position = [latent.name for latent in self.enriched.latent].index(relation.name)
        posterior = self.enriched.mixture[:, position].float().contiguous().numpy()
        calibrate = self.calibration.get(relation.name)
        return Rows(relation, head, tail, posterior, None if calibrate is None else _calibrated(calibrate, posterior))

    def _by_heads(self, relation: Relation) -> Iterator[Rows]:
        """The chosen rows in their order, some heads at a time."""
        every = self._edges(relation)
        strength = every.value if every.probability is None else every.probability
        latent = relation.kind == "latent"
        kept = np.flatnonzero(strength >= self.threshold) if latent else np.arange(len(every))
        if self.members is not None:
            kept = kept[self.members[every.head[kept]] & self.members[every.tail[kept]]]
        if self.symmetric_once and relation.symmetric:
            kept = _once(kept, every.head, every.tail, strength)
        kept = kept[np.argsort(every.head[kept], kind="stable")]
        head = every.head[kept]
        for part in np.split(kept, np.unique(np.searchsorted(head, head[EDGES_AT_ONCE::EDGES_AT_ONCE]))):
            rows = every.at(part[np.lexsort((every.tail[part], -every.value[part], -strength[part], every.head[part]))])
            if self.top_k is not None:
                rank = np.arange(len(rows)) - np.searchsorted(rows.head, rows.head)
                rows = rows.at(rank < self.top_k)
            if latent and len(rows) and not 0 <= rows.value.min() <= rows.value.max() <= 1:
                raise DataError(f"A posterior of '{relation.name}' is outside [0, 1]; make the mixture a share.")
            yield rows


def select(
    source: ItemGraph | EnrichedGraph | object,
    *,
    which: Which = "discovered",
    threshold: float = 0.5,
    top_k: int | None = None,
    relations: Collection[str] | None = None,
    items: Collection[str] | None = None,
    symmetric_once: bool = False,
    calibration: Mapping[str, Calibration] | None = None,
) -> Selection:
    """Choose triples of a graph or of a model.

    Args:
        source: a model, an enriched graph, or a graph without discovered relations.
        which: discovered relations, predefined ones (attributes among them, inverses not, save by name), or both.
        threshold: the smallest posterior that is exported, or probability where the relation is calibrated. What was
            recorded is exported whatever its weight.
        top_k: for each head and relation at most so many tails, the strongest; None for all.
        relations: names of those to export; None for all.
        items: ids; every end that is an item must be among them. None for all.
        symmetric_once: of a relation that is known to be symmetric, export one of (i, j) and (j, i), the stronger.
        calibration: relation name → what makes probabilities of its posteriors, an array of an array. A discovered
            relation that is not in it is exported as an uncalibrated posterior.

    Raises:
        ConfigError: a limit is out of range, or the source has no relations of that kind.
        UnknownIdError: a relation or an item is unknown.
    """
    if not 0 <= threshold <= 1 or (top_k is not None and top_k < 1):
        raise ConfigError(
            f"The threshold lies in [0, 1] and top_k is 1 or more; got threshold={threshold} and top_k={top_k}."
        )
    if which not in get_args(Which):
        hint = nearest(str(which), get_args(Which))
        raise ConfigError(f"There is no choice '{which}'{hint}; which is one of {', '.join(get_args(Which))}.")
    graph, enriched = _graphs(source, which)
    known = [*(graph.relations if which != "discovered" else ()), *(enriched.latent if enriched else ())]
    kind = "" if which == "all" else f"{which} "
    _known(relations, [r.name for r in known], f"{kind}relation")
    _known(calibration, [r.name for r in known if r.kind == "latent"], "discovered relation")
    chosen = [r for r in known if (r.kind != "inverse" if relations is None else r.name in relations)]
    limits: dict[str, object] = {"threshold": threshold, "top_k": "all" if top_k is None else top_k}
    limits |= {"which": which} if which != "discovered" else {}
    limits |= {"items": len(items)} if items is not None else {}
    limits |= {"symmetric_once": True} if symmetric_once else {}
    members = None if items is None else _members(graph, items)
    rules = (calibration or {}, threshold, top_k, symmetric_once)
    return Selection(graph, enriched, tuple(chosen), *rules, members, limits)


def titled(graph: ItemGraph, titles: Sequence[str] | None) -> pl.Series:
    """Labels of all nodes, ``(N + A,)``: an item's title, empty where there is none; an attribute value's own id.

    Raises:
        DataError: there are not ``N`` titles.
    """
    if titles is None:
        titles = [""] * graph.num_items
    if len(titles) != graph.num_items:
        raise DataError(f"There are {len(titles)} titles for {graph.num_items} items; give one each.")
    return pl.concat([pl.Series("id", titles, dtype=pl.String).fill_null(""), graph.attributes.series])


def _graphs(source: ItemGraph | EnrichedGraph | object, which: Which) -> tuple[ItemGraph, EnrichedGraph | None]:
    if which != "predefined":
        enriched = discovered(source)
        return enriched.graph, enriched
    if isinstance(source, EnrichedGraph):
        source = source.graph
    graph = source if isinstance(source, ItemGraph) else getattr(getattr(source, "inputs", None), "graph", None)
    if not isinstance(graph, ItemGraph) or not len(graph.relations):
        raise ConfigError(f"{type(source).__name__} holds no predefined relations; build a graph with relations.")
    return graph, None


def _known(asked: Collection[str] | None, names: Collection[str], what: str) -> None:
    for name in asked or ():
        if name not in names:
            hint = nearest(name, names) or f"; known are {', '.join(names) or 'none'}"
            raise UnknownIdError(f"There is no {what} '{name}'{hint}.")


def _members(graph: ItemGraph, items: Collection[str]) -> np.ndarray:
    members = np.ones(graph.num_rows, dtype=bool)
    members[: graph.num_items + 1] = False
    members[graph.items.index(list(items))] = True
    return members


def _calibrated(calibrate: Calibration, posterior: np.ndarray) -> np.ndarray:
    probability = np.asarray(calibrate(posterior), dtype=np.float32)
    if probability.shape != posterior.shape or not ((probability >= 0) & (probability <= 1)).all():
        raise DataError("A calibration must give one probability in [0, 1] for each posterior; fit it anew.")
    return probability


def _once(kept: np.ndarray, head: np.ndarray, tail: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Of the pairs (i, j) and (j, i) the stronger; of equal ones that from the smaller node."""
    ends = np.sort(np.stack([head[kept], tail[kept]]), axis=0)
    order = np.lexsort((head[kept], -strength[kept], ends[1], ends[0]))
    ends = ends[:, order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ends[:, 1:] != ends[:, :-1]).any(0)
    return kept[order[first]]
