"""Columns that must hold ids, whole numbers, moments or lists; a cell that does not is an error with its line."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from data_loaders.reading import Table
from lrdgraph.errors import DataError

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
LAST_SECOND = 100_000_000_000  # the year 5138: a larger number counts milliseconds


def ids(table: Table, column: str, kind: str, *, unique: bool = False) -> pl.Series:
    """External ids, ``(n,)`` strings.

    Args:
        table: where the column stands.
        column: strings or whole numbers.
        kind: what the ids name, for messages.
        unique: every id may occur once only.

    Raises:
        DataError: a cell is empty, an id occurs twice where it must not, or the column holds neither text nor integers.
    """
    raw = table.rows[column]
    if not (raw.dtype == pl.String or raw.dtype.is_integer() or isinstance(raw.dtype, pl.Categorical | pl.Enum)):
        raise DataError(
            f"{table.path}: column '{column}' is of type {raw.dtype}, expected {kind} ids as text or integers."
        )
    names = raw.cast(pl.String)
    table.refuse(names.is_null() | (names == ""), column, f"{_an(kind)} id")
    if unique:
        table.refuse(~names.is_first_distinct(), column, f"{_an(kind)} id that no earlier row has")
    return names.alias(kind)


def without_types(table: Table) -> Table:
    """The same table, its columns called ``name`` where RecBole's atomic files call them ``name:type``.

    Raises:
        DataError: two columns are of one name.
    """
    names = [column.rsplit(":", 1)[0] for column in table.rows.columns]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{table.path}, line 1 names column '{name}' twice; rename one.")
    return replace(table, rows=table.rows.rename(dict(zip(table.rows.columns, names, strict=True))))


def whole_numbers(table: Table, column: str, *, optional: bool = False) -> pl.Series:
    """Non-negative integers, ``(n,)`` int64; empty cells are 0 where the column is ``optional``, else an error.

    Raises:
        DataError: a cell holds something else.
    """
    raw = table.rows[column].cast(pl.String)
    wrong = ~raw.str.contains(r"^\d{1,18}$")
    wrong = wrong.fill_null(False) if optional else wrong.fill_null(True)
    table.refuse(wrong, column, "a whole number")
    return raw.cast(pl.Int64).fill_null(0)


def lists(table: Table, column: str) -> pl.Series:
    """Cells such as ``[1, 2]`` as lists of int64; nothing but digits, commas, spaces and brackets is read.

    Raises:
        DataError: a cell is anything else.
    """
    raw = table.rows[column].cast(pl.String)
    wrong = ~raw.str.contains(r"^\s*\[\s*(\d{1,18}(\s*,\s*\d{1,18})*)?\s*\]\s*$")
    table.refuse(wrong.fill_null(True), column, "a list of whole numbers such as [1, 2]")
    return raw.str.extract_all(r"\d+").cast(pl.List(pl.Int64))


def shares(table: Table, column: str) -> pl.Series:
    """Numbers in [0, 1], ``(n,)`` float32.

    Raises:
        DataError: a cell is empty, not a number, or outside.
    """
    values = _numbers(table, column, "a number from 0 to 1")
    table.refuse((values < 0) | (values > 1), column, "a number from 0 to 1")
    return values.cast(pl.Float32)


def ratings(table: Table, column: str) -> pl.Series:
    """Finite numbers, ``(n,)`` float64.

    Raises:
        DataError: a cell is empty, not a number, or not finite.
    """
    return _numbers(table, column, "a number")


def moments(table: Table, column: str, unit: str = "s") -> pl.Series:
    """Seconds since 1970-01-01 UTC, ``(n,)`` int64 or float64 where the source has fractions.

    Read are numbers of seconds, or of the unit, dates, and ISO 8601 dates and datetimes; without an offset they count
    as UTC.

    Args:
        table: where the column stands.
        column: its name.
        unit: of numbers: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``.

    Raises:
        DataError: a cell is empty, neither a number nor an ISO date, before 1970, or so large that it is no second; or
            all numbers are dates such as 20240531.
    """
    raw = table.rows[column]
    if isinstance(raw.dtype, pl.Date | pl.Datetime):
        table.refuse(raw.is_null(), column, "a date")
        values = raw.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000
    elif raw.dtype.is_numeric() or (raw.dtype == pl.String and raw.drop_nulls().head(1).str.contains(_NUMBER).any()):
        values = _numbers(table, column, "seconds since 1970")
        if unit == "s" and _are_dates(values):
            day = str(int(values[0]))
            raise DataError(
                f"{table.path}: column '{column}' holds dates such as {day}, expected seconds since 1970 or "
                f"{day[:4]}-{day[4:6]}-{day[6:]}; write them so."
            )
        values = values / UNITS[unit]
    else:
        values = _iso(table, column)
    table.refuse(values < 0, column, "a moment after 1970-01-01")
    table.refuse(values > LAST_SECOND, column, "seconds since 1970, not milliseconds")
    whole = values.cast(pl.Int64)
    return whole if bool((whole == values).all()) else values


_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"


def _are_dates(values: pl.Series) -> bool:
    """Whether all numbers read as year, month and day."""
    if not len(values) or not values.is_between(19_000_101, 21_001_231).all():
        return False
    whole = values.cast(pl.Int64)
    dates = whole.cast(pl.String).str.to_date("%Y%m%d", strict=False)
    return bool((whole == values).all()) and not dates.null_count()


def _numbers(table: Table, column: str, expected: str) -> pl.Series:
    raw = table.rows[column]
    if not (raw.dtype == pl.String or raw.dtype.is_numeric()):
        raise DataError(f"{table.path}: column '{column}' is of type {raw.dtype}, expected {expected}.")
    values = raw.cast(pl.Float64, strict=False)
    table.refuse(~values.is_finite().fill_null(False), column, expected)
    return values


def _iso(table: Table, column: str) -> pl.Series:
    expected = "seconds since 1970 or a date such as 2024-05-31 or 2024-05-31T09:30:00Z"
    raw = table.rows[column]
    if raw.dtype != pl.String:
        raise DataError(f"{table.path}: column '{column}' is of type {raw.dtype}, expected {expected}.")
    table.refuse(~raw.str.contains(_ISO).fill_null(False), column, expected)
    day, clock, offset = pl.col("day"), pl.col("clock"), pl.col("offset")
    parts = raw.to_frame("raw").select(
        day=pl.col("raw").str.head(10),
        clock=pl.col("raw").str.extract(r"[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)").fill_null("00:00:00"),
        offset=pl.col("raw").str.extract(r"\d([+-]\d\d:?\d\d)$").str.replace(":", "").fill_null("+0000"),
    )
    seconds_given = pl.when(clock.str.len_chars() == 5).then(clock + ":00").otherwise(clock)
    moment = (day + "T" + seconds_given + offset).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_zone="UTC"
    )
    values = parts.select(moment.alias("at")).to_series()
    table.refuse(values.is_null(), column, expected)
    return values.dt.epoch("us") / 1_000_000


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
