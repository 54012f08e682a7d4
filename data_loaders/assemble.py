"""Named interactions and described items → Corpus."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from data_loaders.reading import Table
from lrdgraph.corpus import Corpus
from lrdgraph.vocabulary import Vocabulary


def assemble(name: str, events: pl.DataFrame, described: pl.DataFrame | None, dropped: dict[str, int]) -> Corpus:
    """A corpus without triples.

    Items are those described, in that order, then those that only occur in interactions, in order of appearance.
    Users stand in order of appearance. Times with fractions order the interactions before the fractions are cut off.

    Args:
        name: the corpus's name.
        events: ``user``, ``item`` strings or categories and ``time`` seconds, one row for each interaction; and
            ``role`` int8 where the source publishes a split.
        described: ``id`` strings, distinct, and text columns; None where nothing is known about the items.
        dropped: what was left out so far.
    """
    if events["time"].dtype.is_float():
        events = events.sort("time", maintain_order=True).with_columns(pl.col("time").floor().cast(pl.Int64))
    user, item = (events[name].cast(pl.Categorical) for name in ("user", "item"))
    users = Vocabulary(user.unique(maintain_order=True), "user")
    seen = item.unique(maintain_order=True).cast(pl.String)
    fields = pl.DataFrame()
    if described is not None:
        rest = seen.filter(~seen.is_in(described["id"].implode())).alias("id").to_frame()
        described = pl.concat([described, rest], how="diagonal").fill_null("")
        seen, fields = described["id"], described.drop("id")
        if fields.width:
            silent = int(fields.select(pl.all_horizontal(pl.all() == "")).to_series().sum())
            dropped = dict(Counter(dropped) + Counter({"items without text": silent}))
    items = Vocabulary(seen, "item")
    return Corpus(
        name=name,
        users=users,
        items=items,
        user=coded(user, users),
        item=coded(item, items),
        time=events["time"].to_numpy(),
        fields=fields,
        split=events["role"].to_numpy().copy() if "role" in events.columns else None,
        dropped=dropped,
    )


def coded(column: pl.Series, vocabulary: Vocabulary) -> np.ndarray:
    """Indices ``(M,)`` int64 of a column of categories; every id is looked up once, however often it occurs."""
    seen = column.unique()
    code = column.to_physical().to_numpy()
    index = np.zeros(int(code.max()) + 1 if len(code) else 1, dtype=np.int64)
    index[seen.to_physical().to_numpy()] = vocabulary.index(seen.cast(pl.String))
    return index[code]


def text_columns(table: Table, leave: set[str]) -> tuple[list[pl.Series], int]:
    """All columns but ``leave`` as text, lists of text joined by ``, ``; and how many have no text form."""
    texts, other = [], 0
    for name in table.rows.columns:
        column = table.rows[name]
        if name in leave:
            continue
        if column.dtype == pl.List(pl.String):
            texts.append(column.list.join(", ").fill_null(""))
        elif column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object, pl.Duration):
            other += 1
        else:
            texts.append(column.cast(pl.String).fill_null(""))
    return texts, other
