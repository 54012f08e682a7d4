"""Named triples ``head, relation, tail`` → :class:`lrdgraph.corpus.Triples`, and files of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from data_loaders.columns import ids, shares
from data_loaders.reading import Table, read_table
from lrdgraph.corpus import Corpus, Triples
from lrdgraph.vocabulary import Vocabulary

log = logging.getLogger(__name__)

WEIGHTS = ("posterior", "probability", "weight")


class Named(NamedTuple):
    """Strings ``head``, ``relation``, ``tail``, perhaps float ``weight``, and how many were left out, by reason."""

    rows: pl.DataFrame
    dropped: dict[str, int]


class Linked(NamedTuple):
    """Triples over nodes, the attribute values among the nodes, and how many rows were left out, by reason."""

    triples: Triples
    attributes: Vocabulary
    dropped: dict[str, int]


def item_nodes(items: Vocabulary) -> pl.DataFrame:
    """Columns ``id``, ``node``: every item under its external id."""
    return pl.DataFrame({"id": items.series, "node": np.arange(1, len(items) + 1, dtype=np.int64)})


def link(
    rows: pl.DataFrame,
    known: pl.DataFrame,
    num_items: int,
    attributes: Vocabulary | None = None,
    triples: Triples | None = None,
) -> Linked:
    """Add named triples to those there are.

    An end that ``known`` lists is that item; any other end is an attribute value. A row neither of whose ends is an
    item, and one that repeats the head, relation and tail of an earlier one, is left out and counted.

    Args:
        rows: strings ``head``, ``relation``, ``tail`` and, optionally, float ``weight`` in [0, 1].
        known: ``id``, ``node``: the names under which items stand in ``rows``.
        num_items: ``N``; attribute value ``a`` is node ``N + a``.
        attributes, triples: what there is already; relations of the same name become one.
    """
    attributes = attributes if attributes is not None else Vocabulary([], "attribute")
    triples = triples if triples is not None else Triples.empty()
    rows = rows.with_row_index("row")
    for end in ("head", "tail"):
        nodes = known.rename({"id": end, "node": f"{end}_node"})
        rows = rows.join(nodes, on=end, how="left", maintain_order="left")
    floating = pl.col("head_node").is_null() & pl.col("tail_node").is_null()
    kept = rows.filter(~floating)

    ends = [kept.filter(pl.col(f"{e}_node").is_null()).select("row", name=e) for e in ("head", "tail")]
    named = pl.concat(ends).sort("row", maintain_order=True)["name"]
    attributes = Vocabulary(pl.concat([attributes.series, named.alias("id")]).unique(maintain_order=True), "attribute")
    for end in ("head", "tail"):
        value = pl.Series(attributes.index(kept[end], missing=0)) + num_items
        kept = kept.with_columns(pl.coalesce(f"{end}_node", value).alias(f"{end}_node"))
    relations = pl.concat([pl.Series("relation", triples.names, dtype=pl.String), kept["relation"]])
    names = tuple(relations.unique(maintain_order=True).to_list())
    added = kept.select(
        head="head_node",
        relation=pl.Series(Vocabulary(names, "relation").index(kept["relation"])) - 1,
        tail="tail_node",
        weight="weight" if "weight" in kept.columns else pl.lit(1.0, dtype=pl.Float32),
    )
    there = pl.DataFrame({"head": triples.head, "relation": triples.relation, "tail": triples.tail})
    fresh = added.unique(["head", "relation", "tail"], keep="first", maintain_order=True)
    fresh = fresh.join(there, on=["head", "relation", "tail"], how="anti", maintain_order="left")

    weight = None
    if "weight" in rows.columns or triples.weight is not None:
        old = triples.weight if triples.weight is not None else np.ones(len(triples), dtype=np.float32)
        weight = np.concatenate([old, fresh["weight"].to_numpy()]).astype(np.float32)
    head, relation, tail = (
        np.concatenate([there[k].to_numpy(), fresh[k].to_numpy()]) for k in ("head", "relation", "tail")
    )
    counts = {"triples without an item": rows.height - kept.height, "repeated triples": added.height - fresh.height}
    return Linked(Triples(head, relation, tail, names, weight), attributes, {k: v for k, v in counts.items() if v})


def with_rows(
    corpus: Corpus, rows: pl.DataFrame, dropped: Mapping[str, int], known: pl.DataFrame | None = None
) -> Corpus:
    """The corpus with named triples added to its own, and with what was left out counted.

    Args:
        corpus: the corpus; it stays as it is.
        rows: as :func:`link` takes them.
        dropped: what was left out before, by reason.
        known: names under which items stand in ``rows``; by default their ids.
    """
    known = item_nodes(corpus.items) if known is None else known
    linked = link(rows, known, corpus.num_items, corpus.attributes, corpus.triples)
    counts = Counter(corpus.dropped) + Counter(dropped) + Counter(linked.dropped)
    return replace(corpus, triples=linked.triples, attributes=linked.attributes, dropped=dict(counts))


def read_named(
    path: Path | str,
    *,
    head: str | None = None,
    relation: str | None = None,
    tail: str | None = None,
    weight: str | None = None,
) -> Named:
    """Read a file of triples: TSV, CSV, Parquet or JSON Lines with ``head``, ``relation``, ``tail`` columns.

    Read as well are the files that lrdgraph exports: leading lines starting with ``#`` are skipped, and of the columns
    ``posterior``, ``probability`` and ``weight`` the first that has something in a row is that triple's weight.

    Args:
        path: the file.
        head, relation, tail, weight: column names, where the file calls them otherwise.

    Raises:
        DataError: a column is missing, a cell is empty, or a weight is outside [0, 1].
    """
    table = read_table(Path(path), comments=True, may_be_empty=True)
    return Named(named_rows(table, head, relation, tail, weight), {})


def named_rows(
    table: Table, head: str | None, relation: str | None, tail: str | None, weight: str | None
) -> pl.DataFrame:
    """Strings ``head``, ``relation``, ``tail`` of a table, perhaps with ``weight``; see :func:`read_named`."""
    columns = {
        "head": table.need(("head", "headid", "subject"), head),
        "relation": table.need(("relation", "relationid", "predicate"), relation),
        "tail": table.need(("tail", "tailid", "object"), tail),
    }
    rows = pl.DataFrame({name: ids(table, column, name).alias(name) for name, column in columns.items()})
    asked = [table.find((), weight)] if weight else [table.find((known,)) for known in WEIGHTS]
    weights = [column for column in asked if column is not None]
    if len(weights) > 1:
        held = table.rows.with_columns(pl.coalesce(weights).alias(weights[0]))
        table = Table(table.path, held, table.first_line)
    if weights:
        rows = rows.with_columns(shares(table, weights[0]).alias("weight"))
    return rows


def read_triples(
    path: Path | str,
    items: Vocabulary,
    attributes: Vocabulary | None = None,
    triples: Triples | None = None,
    **columns: str | None,
) -> Linked:
    """Read a file of triples as :func:`read_named` does, and link it to items.

    Args:
        path: the file.
        items: ids that are items; every other end is an attribute value.
        attributes, triples: what to add to; nothing by default.
        columns: ``head=``, ``relation=``, ``tail=``, ``weight=``, where the file calls them otherwise.

    Raises:
        DataError: a column is missing, a cell is empty, or a weight is outside [0, 1].
    """
    rows, known = read_named(path, **columns).rows, item_nodes(items)
    tell_of_mixed(rows, known, Path(path))
    return link(rows, known, len(items), attributes, triples)


def tell_of_mixed(rows: pl.DataFrame, known: pl.DataFrame, path: Path) -> None:
    """Warn of relations from items to items and to other values as well: a category 3 may be taken for item 3."""
    is_item = {end: pl.col(end).is_in(known["id"].implode()) for end in ("head", "tail")}
    tails = rows.filter(is_item["head"]).group_by("relation", maintain_order=True).agg(is_item["tail"].mean(), pl.len())
    for relation, share, count in tails.filter(pl.col("tail").is_between(0, 1, closed="none")).iter_rows():
        log.warning(
            "%s: of %d tails of '%s' %d spell an item's id and are read as that item, the others as attribute values; "
            "rename the values if that is not meant.",
            path,
            count,
            relation,
            round(share * count),
        )
