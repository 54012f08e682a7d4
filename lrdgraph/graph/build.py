"""From predefined triples to a graph with inverse relations."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import torch

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, UnknownIdError, nearest
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


class _Edges(NamedTuple):
    """Edges of one relation, each ``(n,)``, sorted by (head, tail), no pair twice."""

    head: np.ndarray
    tail: np.ndarray
    weight: np.ndarray

    def transpose(self) -> _Edges:
        order = np.lexsort((self.head, self.tail))
        return _Edges(self.tail[order], self.head[order], self.weight[order])

    def digest(self) -> bytes:
        return hashlib.sha256(b"".join(column.tobytes() for column in self)).digest()


def build_graph(
    corpus: Corpus,
    *,
    relations: Collection[str] | None = None,
    exclude: Collection[str] = (),
    inverses: bool = True,
    min_attribute_items: int = 1,
    share: float = 1.0,
) -> ItemGraph:
    """The graph of a corpus's predefined triples; interactions have no part in it.

    The triple (head, relation, tail) becomes an edge from head to tail. A relation that joins two items anywhere has
    kind ``predefined``; one whose every triple has an attribute value at an end has kind ``attribute``. Equal triples
    become one edge with the largest of their weights.

    Each relation ``r`` gets an inverse ``r^-1`` of kind ``inverse``, save where it would say nothing new: a symmetric
    relation has none, and where the data already holds its exact transpose (Freebase has both ``film.producer.film``
    and ``film.film.produced_by``) that relation serves, under its own name. Of such a couple the one that runs from
    items counts as forward, else the one named first.

    Args:
        corpus: where triples and vocabularies come from.
        relations: names to keep, in the corpus's order; all where None.
        exclude: names to leave out, e.g. those that an undated aggregate such as ``also_bought`` gave.
        inverses: whether to look for and add inverses.
        min_attribute_items: leave out attribute values that fewer items have; one that a single item has joins nothing.
        share: of the triples of each relation that are kept, the same at every call; a smaller share is a part of a
            larger one. Of a relation and its transpose, and of a symmetric one, both directions stay or go together.

    Raises:
        ConfigError: ``share`` does not lie in [0, 1].
        UnknownIdError: ``relations`` or ``exclude`` holds a name that the corpus does not.
    """
    names = _chosen(corpus, relations, exclude)
    if not 0 <= share <= 1:
        raise ConfigError(f"The share of triples to keep is {share}; it must lie in [0, 1].")
    tables = _split_by_relation(corpus, names)
    if share < 1:
        tables = _thinned(tables, share)
    items = corpus.num_items
    attributes = corpus.attributes
    if min_attribute_items > 1:
        attributes, tables = _shared_attributes(attributes, tables, items, min_attribute_items)
    kinds = {n: "predefined" if _joins_items(t, items) or not len(t.head) else "attribute" for n, t in tables.items()}
    vocabulary = [Relation(name, kinds[name]) for name in names]  # type: ignore[arg-type]
    if inverses:
        vocabulary, tables = _with_inverses(vocabulary, tables, items)
    counts = [len(table.head) for table in tables.values()]
    columns = [np.concatenate(column) for column in zip(*tables.values(), strict=True)] if tables else [np.zeros(0)] * 3
    return ItemGraph(
        edge_index=torch.from_numpy(np.stack(columns[:2]).astype(np.int64)),
        edge_type=torch.from_numpy(np.repeat(np.arange(len(counts), dtype=np.int64), counts)),
        edge_weight=torch.from_numpy(columns[2].astype(np.float32)),
        relations=RelationVocabulary(vocabulary),
        items=corpus.items,
        attributes=attributes,
    )


def _thinned(tables: dict[str, _Edges], share: float) -> dict[str, _Edges]:
    transposes = {name: edges.transpose() for name, edges in tables.items()}
    partners, kept = _partners(tables, transposes), dict[str, _Edges]()
    for name, edges in tables.items():
        partner = partners[name]
        if partner in kept:
            kept[name] = kept[partner].transpose()
            continue
        drawn = np.random.default_rng(zlib.crc32(name.encode())).random(len(edges.head)) < share
        if partner == name:
            back = np.lexsort((edges.head, edges.tail))  # where the other direction of each edge stands
            drawn = np.where(edges.head <= edges.tail, drawn, drawn[back])
        kept[name] = _Edges(edges.head[drawn], edges.tail[drawn], edges.weight[drawn])
    return kept


def _shared_attributes(
    attributes: Vocabulary, tables: dict[str, _Edges], items: int, least: int
) -> tuple[Vocabulary, dict[str, _Edges]]:
    """Attribute values that at least ``least`` distinct items touch, numbered anew, and the edges that are left."""
    ends = np.concatenate([np.stack([t.head, t.tail]) for t in tables.values()], axis=1) if tables else np.zeros((2, 0))
    ends = np.concatenate([ends, ends[::-1]], axis=1).astype(np.int64)
    ends = np.unique(ends[:, (ends[0] <= items) & (ends[1] > items)], axis=1)
    count = np.bincount(ends[1], minlength=items + len(attributes) + 1)
    kept = (count >= least) | (np.arange(len(count)) <= items)
    node = np.where(kept, np.cumsum(kept) - 1, 0)
    chosen = {}
    for name, table in tables.items():
        both = kept[table.head] & kept[table.tail]
        chosen[name] = _Edges(node[table.head[both]], node[table.tail[both]], table.weight[both])
    return Vocabulary(attributes.series.filter(pl.Series(kept[items + 1 :])), attributes.kind), chosen


def _chosen(corpus: Corpus, relations: Collection[str] | None, exclude: Collection[str]) -> list[str]:
    known = corpus.triples.names
    for name in (*(relations or ()), *exclude):
        if name not in known:
            hint = nearest(name, known) or f"; it holds {', '.join(known) or 'none'}"
            raise UnknownIdError(f"Corpus '{corpus.name}' has no relation '{name}'{hint}.")
    return [name for name in known if (relations is None or name in relations) and name not in exclude]


def _split_by_relation(corpus: Corpus, names: list[str]) -> dict[str, _Edges]:
    triples = corpus.triples
    weight = np.ones(len(triples), dtype=np.float32) if triples.weight is None else triples.weight.astype(np.float32)
    order = np.lexsort((-weight, triples.tail, triples.head, triples.relation))
    head, relation, tail, weight = triples.head[order], triples.relation[order], triples.tail[order], weight[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(relation) != 0) | (np.diff(head) != 0) | (np.diff(tail) != 0)
    if not new.all():
        logger.info("%d triples occur more than once and count as one edge each.", int((~new).sum()))
    head, relation, tail, weight = head[new], relation[new], tail[new], weight[new]
    tables = {}
    for name in names:
        position = triples.names.index(name)
        start, stop = np.searchsorted(relation, [position, position + 1])
        tables[name] = _Edges(head[start:stop], tail[start:stop], weight[start:stop])
    return tables


def _joins_items(edges: _Edges, items: int) -> bool:
    return bool(((edges.head <= items) & (edges.tail <= items)).any())


def _partners(tables: dict[str, _Edges], transposes: dict[str, _Edges]) -> dict[str, str | None]:
    """The relation that is the exact transpose of each, itself where it is symmetric; the first of several."""
    held: dict[bytes, str] = {}
    for name, edges in tables.items():
        held.setdefault(edges.digest(), name)
    return {name: held.get(edges.digest()) for name, edges in transposes.items()}


def _with_inverses(
    vocabulary: list[Relation], tables: dict[str, _Edges], items: int
) -> tuple[list[Relation], dict[str, _Edges]]:
    transposes = {name: edges.transpose() for name, edges in tables.items()}
    partners = _partners(tables, transposes)
    place = {name: position for position, name in enumerate(tables)}
    from_attributes = {name: int((edges.head > items).sum()) for name, edges in tables.items()}

    marked, added = [], dict[Relation, _Edges]()
    for relation in vocabulary:
        name, partner = relation.name, partners[relation.name]
        if partner is None:
            inverse = Relation(f"{name}^-1", "inverse", f"{relation.label} (inverse)")
            added[inverse] = transposes[name]
        elif tables[name].digest() != tables[partner].digest() and (from_attributes[name], place[name]) > (
            from_attributes[partner],
            place[partner],
        ):
            relation = replace(relation, kind="inverse")
        marked.append(relation)
    return [*marked, *added], tables | {relation.name: edges for relation, edges in added.items()}
