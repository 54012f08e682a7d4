"""Named triples ``head, relation, tail`` → :class:`lrdgraph.corpus.Triples`, and files of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from data_loaders.columns import ids, shares
from data_loaders.reading import read_table
from lrdgraph.corpus import Corpus, Triples
from lrdgraph.vocabulary import Vocabulary

WEIGHTS = ("posterior", "probability", "weight")


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


def read_triples(
    path: Path | str,
    items: Vocabulary,
    attributes: Vocabulary | None = None,
    triples: Triples | None = None,
    *,
    head: str | None = None,
    relation: str | None = None,
    tail: str | None = None,
    weight: str | None = None,
) -> Linked:
    """Read a file of triples: TSV, CSV, Parquet or JSON Lines with ``head``, ``relation``, ``tail`` columns.

    Read as well are the files that lrdgraph exports: leading lines starting with ``#`` are skipped, and a column
    ``posterior``, ``probability`` or ``weight`` (the first of these that is there) is each triple's weight.

    Args:
        path: the file.
        items: ids that are items; every other end is an attribute value.
        attributes, triples: what to add to; nothing by default.
        head, relation, tail, weight: column names, where the file calls them otherwise.

    Raises:
        DataError: a column is missing, a cell is empty, or a weight is outside [0, 1].
    """
    table = read_table(Path(path), comments=True, may_be_empty=True)
    columns = {
        "head": table.need(("head", "headid", "subject"), head),
        "relation": table.need(("relation", "relationid", "predicate"), relation),
        "tail": table.need(("tail", "tailid", "object"), tail),
    }
    rows = pl.DataFrame({name: ids(table, column, name).alias(name) for name, column in columns.items()})
    weights = table.find((), weight) if weight else next(filter(None, (table.find((w,)) for w in WEIGHTS)), None)
    if weights is not None:
        rows = rows.with_columns(shares(table, weights).alias("weight"))
    return link(rows, item_nodes(items), len(items), attributes, triples)


def with_triples(corpus: Corpus, path: Path | str, **columns: str | None) -> Corpus:
    """A corpus with the triples of a file added as predefined relations.

    So are exported discovered relations read back. A relation that the corpus has already grows; triples that it has
    already are counted in ``dropped`` and change nothing, so that reading a file twice is reading it once.

    Args:
        corpus: the corpus; it stays as it is.
        path: a file as :func:`read_triples` reads it.
        columns: ``head=``, ``relation=``, ``tail=``, ``weight=``, where the file calls them otherwise.

    Raises:
        DataError: the file cannot be read.
    """
    linked = read_triples(path, corpus.items, corpus.attributes, corpus.triples, **columns)
    dropped = dict(Counter(corpus.dropped) + Counter(linked.dropped))
    return replace(corpus, triples=linked.triples, attributes=linked.attributes, dropped=dropped)
