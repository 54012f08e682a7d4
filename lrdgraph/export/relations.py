"""What each discovered relation is about: its share, its clearest pairs, and the known relation it is most like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.export.registry import discovered
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.recorded import recorded
from lrdgraph.graph.relations import Relation

NONE = "none"
_TRIES = 100
_EXCESS = 0.05


class Example(NamedTuple):
    """A pair of items that a relation joins."""

    head: str
    tail: str
    head_title: str
    tail_title: str
    posterior: float


class Overlap(NamedTuple):
    """Shares of pairs that a predefined relation joins too: of a relation's top pairs, and of all candidate pairs."""

    top: float
    all: float


@dataclass(frozen=True)
class RelationSummary:
    """One discovered relation, or the state "none".

    Attributes:
        relation: as it is named; its name is ``"none"`` for what the posterior leaves over.
        usage: its share of the posterior's mass over all candidate pairs, which is its mean posterior; all add up to 1.
        chosen: the share of candidate pairs of which it is the likeliest state.
        confidence: its mean posterior over those pairs, 0 where there are none.
        examples: the pairs of the largest posterior.
        overlap: predefined relation → how many of its top pairs that relation joins, beside how many of all.
    """

    relation: Relation
    usage: float
    chosen: float
    confidence: float
    examples: tuple[Example, ...]
    overlap: dict[str, Overlap]

    @property
    def name(self) -> str:
        """Of the relation, unique in its graph."""
        return self.relation.name

    @property
    def resembles(self) -> str | None:
        """The predefined relation that joins its top pairs most in excess of all pairs, by 5 points at least."""
        excess = {name: shares.top - shares.all for name, shares in self.overlap.items()}
        best = max(excess, key=lambda name: excess[name], default=None)
        return best if best is not None and excess[best] >= _EXCESS else None

    def __str__(self) -> str:
        like = self.resembles
        told = ""
        if like is not None:
            shares = self.overlap[like]
            told = f"; most like {like} ({shares.top:.0%} of its top pairs, {shares.all:.0%} of all)"
        figures = (
            f"{self.usage:.1%} of the posterior, likeliest for {self.chosen:.1%} of pairs "
            f"(mean posterior {self.confidence:.2f}){told}"
        )
        examples = [f"  {e.posterior:.2f}  {e.head_title} → {e.tail_title}" for e in self.examples]
        return "\n".join([f"{_heading(self.relation)}: {figures}", *_about(self.relation), *examples])


def _heading(relation: Relation) -> str:
    return relation.name if relation.label == relation.name else f"{relation.label} ({relation.name})"


def _about(relation: Relation) -> list[str]:
    """A line with what is known of a relation besides its label, where anything is."""
    ways = {True: "both ways", False: "head → tail", None: ""}[relation.symmetric]
    by = f"proposed by {relation.proposed_by}" if relation.proposed_by else ""
    parts = [part for part in (relation.description, ways, by) if part]
    return [f"  {' · '.join(parts)}"] if parts else []


def relation_report(
    source: EnrichedGraph | object, titles: Sequence[str], examples: int = 5, top: int = 1000
) -> list[RelationSummary]:
    """Summaries of all discovered relations, in their order; the state "none" last, where the posterior has one.

    Examples have the largest posterior of their relation; an item stands in one of them at most, and pairs of one and
    the same title are passed over, for they tell a reader nothing. Of the overlaps, a relation between items counts a
    pair (i, j) that is its edge; one to attribute values counts a pair that shares a value.

    Args:
        source: a model with discovered relations (one that has ``enriched()``), or an enriched graph.
        titles: ``N`` titles in vocabulary order; an item whose title is empty is shown by its id.
        examples: pairs of each relation.
        top: pairs of the largest posterior that overlaps are counted over.

    Raises:
        ConfigError: ``examples`` is below 0 or ``top`` below 1, or the model has discovered no relations.
        DataError: there is not one title for each item, or there are no candidate pairs.
    """
    if examples < 0 or top < 1:
        raise ConfigError(f"examples must be 0 or more and top 1 or more; got {examples} and {top}.")
    graph = discovered(source)
    if len(titles) != graph.graph.num_items:
        raise DataError(f"There are {len(titles)} titles for {graph.graph.num_items} items; give one each.")
    if not graph.num_pairs:
        raise DataError("The graph has no candidate pairs, so that no relation was discovered; allow text neighbours.")
    states = graph.mixture.double().numpy()
    relations = list(graph.latent)
    rest = np.clip(1 - states.sum(1), 0, None)
    if rest.mean() > 1e-4:  # a softmax without the state "none" leaves rounding alone
        states, relations = np.column_stack([states, rest]), [*relations, Relation(NONE, "latent")]
    likeliest = states.argmax(1)
    known = recorded(graph.graph, graph.latent_index, attributes=True)
    shown = pl.DataFrame({"id": graph.graph.items.series, "title": pl.Series(titles, dtype=pl.String)}).select(
        pl.when(pl.col("title") == "").then("id").otherwise("title")
    )
    return [
        _summary(graph, relation, states[:, k], likeliest == k, shown.to_series(), known, examples, top)
        for k, relation in enumerate(relations)
    ]


def _summary(
    graph: EnrichedGraph,
    relation: Relation,
    posterior: np.ndarray,
    chosen: np.ndarray,
    titles: pl.Series,
    known: dict[str, np.ndarray],
    examples: int,
    top: int,
) -> RelationSummary:
    order = np.argsort(-posterior, kind="stable")
    return RelationSummary(
        relation=relation,
        usage=float(posterior.mean()),
        chosen=float(chosen.mean()),
        confidence=float(posterior[chosen].mean()) if chosen.any() else 0.0,
        examples=tuple(_examples(graph, posterior, order, titles, examples)),
        overlap={
            other: Overlap(float(joined[order[:top]].mean()), float(joined.mean())) for other, joined in known.items()
        },
    )


def _examples(
    graph: EnrichedGraph, posterior: np.ndarray, order: np.ndarray, titles: pl.Series, number: int
) -> list[Example]:
    head, tail = graph.latent_index.numpy()
    same = titles.str.to_lowercase().rank("dense").to_numpy()
    order = order[(posterior[order] > 0) & (same[head[order] - 1] != same[tail[order] - 1])]
    # the best pair of each head, of these the best of each tail: what the loop below walks differs in both
    for end in (head, tail):
        order = order[np.sort(np.unique(end[order], return_index=True)[1])]
    found: list[Example] = []
    used: set[int] = set()
    for pair in order[: _TRIES * number].tolist():
        i, j = int(head[pair]), int(tail[pair])
        if len(found) < number and used.isdisjoint((i, j)):
            ids = graph.graph.items.id(i), graph.graph.items.id(j)
            found.append(Example(*ids, titles[i - 1], titles[j - 1], float(posterior[pair])))
            used |= {i, j}
    return found
