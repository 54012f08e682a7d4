"""Rows of RecBole that hold a history and the item after it, as splits for sequential models are often published.

Each row of ``NAME.train.inter`` has a person (or session), an ``item_id_list`` and an ``item_id``. RecBole calls it
augmentation: the rows of a person repeat each other. Lists may be cut to their most recent items, and the rows of a
person may run backwards, as in the data sets of UniSRec (Hou et al., KDD 2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from data_loaders.columns import ids
from data_loaders.reading import Table
from lrdgraph.corpus import ROLES
from lrdgraph.errors import DataError

PERSON = ("userid", "user", "sessionid", "session")
HISTORY = ("itemidlist",)


def holds_histories(table: Table) -> bool:
    """Whether rows have a column ``item_id_list``."""
    return table.find(HISTORY) is not None


def unrolled(parts: Mapping[str, Table]) -> pl.DataFrame:
    """Columns ``user``, ``item``, ``time`` and ``role``, one row for each event, a person's events one after another.

    The list of a person's first row is training events, whatever part the row stands in; the item of every row is an
    event of its part. No times are known, so that the events of a person count as a second apart.

    Args:
        parts: tables by role, ``"train"``, ``"validation"`` and ``"test"``.

    Raises:
        DataError: a column is missing, an id is empty, or a history does not end in the item of the row before.
    """
    rows = pl.concat([_rows(role, table) for role, table in parts.items()])
    backwards = _grows(-1) & ~_grows(1)
    rows = rows.with_columns(place=pl.when(backwards).then(-pl.col("line")).otherwise("line"))
    people = rows.group_by("user", maintain_order=True).agg().with_row_index("person")
    rows = rows.join(people, on="user").sort("person", "role", "place")
    first = pl.col("person") != pl.col("person").shift(1, fill_value=-1)
    before = pl.col("item").shift(1)
    rows = rows.with_columns(first=first, before=before)
    _refuse(parts, rows.filter(~pl.col("first") & (pl.col("last") != pl.col("before")).fill_null(value=True)))
    rows = rows.with_row_index("row")
    train = pl.lit(ROLES["train"], pl.Int8)
    past = rows.filter("first").select("row", "user", item="history", role=train).explode("item").drop_nulls("item")
    events = pl.concat([past, rows.select("row", "user", "item", "role")]).sort("row", maintain_order=True)
    return events.select("user", "item", pl.int_range(pl.len(), dtype=pl.Int64).over("user").alias("time"), "role")


def _grows(step: int) -> pl.Expr:
    """Whether the histories of a person in one part grow, each row from that ``step`` rows before."""
    longer = pl.col("history").list.len() >= pl.col("history").list.len().shift(step)
    follows = longer & (pl.col("last") == pl.col("item").shift(step))
    return follows.over("user", "role").fill_null(value=True).all().over("user", "role")


def _rows(role: str, table: Table) -> pl.DataFrame:
    column = table.need(HISTORY)
    history = table.rows[column].cast(pl.String).fill_null("").str.extract_all(r"\S+")
    return pl.DataFrame(
        {
            "user": ids(table, table.need(PERSON), "user"),
            "item": ids(table, table.need(("itemid", "item")), "item"),
            "history": history,
            "last": history.list.last(),
            "role": pl.repeat(ROLES[role], table.rows.height, dtype=pl.Int8, eager=True),
            "line": pl.int_range(table.rows.height, dtype=pl.Int64, eager=True),
        }
    )


def _refuse(parts: Mapping[str, Table], wrong: pl.DataFrame) -> None:
    if not wrong.height:
        return
    row = wrong.row(0, named=True)
    table = next(table for role, table in parts.items() if ROLES[role] == row["role"])
    ends = f"ends in '{row['last']}'" if row["last"] is not None else "is empty"
    raise DataError(
        f"{table.place(row['line'])}: the history of '{row['user']}' {ends}, expected '{row['before']}', the item of "
        "the row before it; a person's rows must be one history that grows."
    )
