"""Files of Amazon reviews → coded interactions, in blocks: some twenty bytes of each review are kept.

Lines are JSON or, in the 2014 release, Python literals, or they are rows of a CSV file. Ids become categories as they
come, so that each is held once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_loaders.columns import LAST_SECOND
from data_loaders.lines import Block, blocks, record
from lrdgraph.errors import DataError


@dataclass(frozen=True)
class ReviewFields:
    """How a release calls what is read of a review.

    Attributes:
        user, item, rating, time: names.
        milliseconds: whether times count milliseconds; otherwise seconds.
    """

    user: str
    item: str
    rating: str
    time: str
    milliseconds: bool = False


def read_reviews(path: Path, names: ReviewFields, min_rating: float | None) -> tuple[pl.DataFrame, Counter[str]]:
    """Read a file of reviews.

    Args:
        path: JSON Lines, or a table where the name ends in ``.csv`` or ``.csv.gz``; gzipped or not.
        names: what the fields are called.
        min_rating: reviews rated lower, or not rated, are left out; None keeps all.

    Returns:
        Columns ``user`` and ``item`` (categories) and ``time`` (int64, in the file's unit) in the order of the file,
        and what was left out, counted.

    Raises:
        DataError: the file is damaged, a line is no review, a field has another type, or no review is whole.
    """
    wanted: dict[str, Any] = {names.user: pl.String, names.item: pl.String, names.time: pl.Int64}
    wanted |= {} if min_rating is None else {names.rating: pl.Float64}
    read = _csv if path.name.removesuffix(".gz").endswith(".csv") else _json
    parts, dropped, whole = [], Counter[str](), 0
    for block, rows in read(path, wanted):
        rows = rows.rename({names.user: "user", names.item: "item", names.time: "time"})
        rows = rows.with_columns(pl.col("user", "item").replace("", None))
        _refuse_times(block, rows["time"], names)
        kept = rows.drop_nulls(["user", "item", "time"])
        whole += kept.height
        dropped["reviews without a user, an item or a time"] += rows.height - kept.height
        if min_rating is not None:
            liked = kept.filter(pl.col(names.rating) >= min_rating)
            dropped[f"ratings below {min_rating:g}"] += kept.height - liked.height
            kept = liked
        parts.append(kept.select(pl.col("user", "item").cast(pl.Categorical), "time"))
    if not whole:
        needed = f"'{names.user}', '{names.item}' and '{names.time}'"
        raise DataError(f"{path} holds no review with {needed}; check what the file is.")
    return pl.concat(parts, rechunk=True), +dropped


def _json(path: Path, wanted: dict[str, Any]) -> Iterator[tuple[Block, pl.DataFrame]]:
    for block in blocks(path):
        try:
            rows = pl.read_ndjson(block.data, schema=wanted)
        except pl.exceptions.PolarsError:
            # literals, half a surrogate pair, or a defect: only such a block is walked line by line
            values: dict[str, list[Any]] = {name: [] for name in wanted}
            for number, line in block.lines():
                review = record(line, f"{path}, line {number}")
                for name, kind in wanted.items():
                    values[name].append(_typed(review.get(name), kind, f"{path}, line {number}: '{name}'"))
            rows = pl.DataFrame(values, schema=wanted)
        yield block, rows


def _typed(value: Any, kind: Any, place: str) -> Any:
    """A value if it is of a kind, None if it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == pl.String and isinstance(value, str):
        return value
    if kind == pl.Float64 and number:
        return float(value)
    if kind == pl.Int64 and number and abs(value) < 2**63 and value == int(value):
        return int(value)
    raise DataError(f"{place} is {str(value)[:60]!r}, {_expected(kind)}.")


def _expected(kind: Any) -> str:
    what = {pl.String: "text", pl.Int64: "a whole number", pl.Float64: "a number"}[kind]
    return f"expected {what}; correct or remove the line"


def _csv(path: Path, wanted: dict[str, Any]) -> Iterator[tuple[Block, pl.DataFrame]]:
    header: list[str] = []
    for block in blocks(path):
        if not header:
            first, _, rest = block.data.partition(b"\n")
            header = first.decode("utf-8", errors="replace").strip().split(",")
            for name in wanted:
                if header.count(name) != 1:
                    raise DataError(f"{path}, line 1 does not name one column '{name}'; add the published header.")
            block = Block(path, 2, rest)
        rows = _cells(block, header, list(wanted))
        typed = rows.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in wanted.items())
        for name, kind in wanted.items():
            wrong = typed[name].is_null() & rows[name].is_not_null()
            if wrong.any():
                row = int(wrong.arg_max() or 0)
                raise DataError(f"{block.place(row)}: '{name}' is {rows[name][row][:60]!r}, {_expected(kind)}.")
        yield block, typed


def _cells(block: Block, header: list[str], wanted: list[str]) -> pl.DataFrame:
    """Rows of strings, one for each line that is not blank; no cell of these files is quoted."""
    schema = dict.fromkeys(header, pl.String)
    data = block.data
    if b"\n\n" in data or b"\n\r\n" in data or data[:1] in b"\r\n":
        data = b"\n".join(line for _, line in block.lines())
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    try:
        # all columns: of a line with too many cells the reader says nothing where only some are asked for
        return pl.read_csv(data, has_header=False, schema=schema, quote_char=None).select(wanted)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].rstrip(".")
    for number, line in block.lines():
        cells = line.count(b",") + 1
        if cells != len(header):
            raise DataError(f"{block.path}, line {number} has {cells} cells, expected {len(header)}; correct it.")
    raise DataError(f"{block.path} is no table of text from line {block.first_line} on ({reason}); check the file.")


def _refuse_times(block: Block, times: pl.Series, names: ReviewFields) -> None:
    # a number of seconds lies below LAST_SECOND, one of milliseconds above, from 1973 on
    if names.milliseconds:
        wrong, expected = (times < LAST_SECOND) | (times > 1000 * LAST_SECOND), "milliseconds since 1970, not seconds"
    else:
        wrong, expected = (times < 0) | (times > LAST_SECOND), "seconds since 1970, not milliseconds"
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(f"{block.place(row)}: the time is {times[row]}, expected {expected}; correct the line.")
