"""External ids outside, contiguous integers inside; integer 0 is padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from lrdgraph.errors import DataError, UnknownIdError, nearest

FEW = 1_000
"""Up to so many ids are looked up one by one."""


class Vocabulary:
    """An ordered set of external ids of one kind; the first id has index 1.

    Args:
        ids: distinct, non-empty strings.
        kind: what the ids name, for messages: ``"item"``, ``"user"``, ``"attribute"``.

    Raises:
        DataError: an id is empty or occurs twice.
    """

    def __init__(self, ids: Iterable[str] | pl.Series, kind: str = "item") -> None:
        self.series: pl.Series = _names(ids, kind).alias("id")
        self.kind = kind
        if self.series.null_count() or (self.series == "").any():
            row = int((self.series.is_null() | (self.series == "")).arg_max() or 0) + 1
            raise DataError(f"The {kind} id at position {row} is empty; every {kind} needs an id.")
        if self.series.n_unique() != len(self.series):
            twice = self.series.filter(self.series.is_duplicated())[0]
            raise DataError(f"The {kind} id '{twice}' occurs more than once; keep one row for each {kind}.")

    @cached_property
    def _known(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.series.to_list(), start=1)}

    def __len__(self) -> int:
        return len(self.series)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} {self.kind}s)"

    def index(self, ids: Iterable[str] | pl.Series, *, missing: int | None = None) -> np.ndarray:
        """Indices ``(n,)`` int64 of external ids; unknown ids become ``missing`` or raise.

        Raises:
            UnknownIdError: an id is unknown and ``missing`` is None; the message names the nearest known id.
            DataError: an id is no string, or one string is given where several ids belong.
        """
        asked = _names(ids, self.kind)
        if len(asked) <= FEW:  # a request must not wait for a table of all ids
            found = pl.Series("index", [self._known.get(name) for name in asked.to_list()], dtype=pl.Int64)
        else:
            table = pl.DataFrame({"id": self.series, "index": np.arange(1, len(self) + 1, dtype=np.int64)})
            found = asked.alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")["index"]
        if found.null_count():
            if missing is None:
                name = asked.filter(found.is_null())[0]
                hint = nearest(str(name), self.series.head(50_000).to_list())
                raise UnknownIdError(f"The {self.kind} id '{name}' is not in the corpus{hint}.")
            found = found.fill_null(missing)
        return found.to_numpy()

    def id(self, index: int) -> str:
        """External id of one index (1 … len)."""
        if not 1 <= index <= len(self):
            raise UnknownIdError(f"There is no {self.kind} with index {index}; indices run from 1 to {len(self)}.")
        return str(self.series[int(index) - 1])

    def ids(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """External ids of many indices; padding (0) gives the empty string."""
        padded = pl.concat([pl.Series("id", [""], dtype=pl.String), self.series])
        return padded.gather(np.asarray(indices, dtype=np.int64)).to_list()


def _names(ids: Iterable[str] | pl.Series, kind: str) -> pl.Series:
    if isinstance(ids, pl.Series):
        return ids.cast(pl.String)
    if isinstance(ids, str):
        raise DataError(f"A list of {kind} ids is expected; got the string '{ids[:60]}': put it into a list.")
    names = list(ids)
    try:
        return pl.Series("id", names, dtype=pl.String)
    except TypeError:
        other = next(name for name in names if not (name is None or isinstance(name, str)))
        raise DataError(f"The {kind} id {other!r} is of type {type(other).__name__}; give ids as strings.") from None
