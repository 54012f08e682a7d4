"""Parquet files that a folder of ours is made of."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from lrdgraph.errors import DataError


def read_parquet(path: Path, otherwise: str) -> pl.DataFrame:
    """Read the one Parquet file of that name.

    Args:
        path: the file.
        otherwise: what to do where it cannot be read.

    Raises:
        DataError: the file is missing or is no whole Parquet file.
    """
    try:
        return pl.read_parquet(path, glob=False)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; {otherwise}.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); {otherwise}.") from None
