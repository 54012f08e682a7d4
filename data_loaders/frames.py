"""Data frames → tables, so that what is in memory is read by the rules, and with the messages, of what is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from data_loaders.reading import Table, read_table
from lrdgraph.errors import DataError


def source_table(source: Any, name: str, *, comments: bool = False) -> Table:
    """A table from a path, where it may be empty, or from a data frame.

    Raises:
        DataError: as :func:`data_loaders.reading.read_table` or :func:`frame_table`.
    """
    if isinstance(source, str | Path):
        return read_table(Path(source), comments=comments, may_be_empty=True)
    return frame_table(source, name)


def frame_table(frame: Any, name: str) -> Table:
    """A data frame as a table.

    Args:
        frame: of polars or pandas (whose index is left out), an Arrow table or anything that hands out an Arrow
            stream, or a mapping from names to columns.
        name: what messages call it.

    Raises:
        DataError: it is none of these, its columns differ in length, or it has no rows.
    """
    try:
        rows = _rows(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"{name} is no table ({str(error).splitlines()[0].rstrip('.')}); check its columns.") from None
    if rows is None:
        raise DataError(
            f"{name} is of type {type(frame).__name__}, expected a path, a data frame or a mapping of columns."
        )
    if not rows.height:
        raise DataError(f"{name} has no rows; add some.")
    return Table(Path(name), rows)


def _rows(frame: Any) -> pl.DataFrame | None:
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, Mapping):
        return pl.DataFrame({str(name): column for name, column in frame.items()})
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
        try:
            return pl.from_pandas(frame)
        except ImportError:  # of pyarrow, which pandas itself may do without
            plain = frame.astype(object).where(frame.notna(), None)
            return pl.DataFrame({str(name): plain[name].tolist() for name in frame.columns})
    return pl.DataFrame(frame) if hasattr(frame, "__arrow_c_stream__") else None
