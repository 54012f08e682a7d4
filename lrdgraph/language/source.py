"""What gives each text a vector, batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import polars as pl
import torch

from lrdgraph.errors import DataError
from lrdgraph.language.settings import TextSettings

Progress = Callable[[int, int], None]


class VectorSource(ABC):
    """Texts in, one vector for each out; a source says in :meth:`vectors` how a batch of them is made.

    Attributes:
        settings: batch size, and whether vectors are scaled to length 1.
        width: ``T``.
        pooling: how token states become one vector, or ``"none"`` where there are none.
        packages: those whose versions are worth recording.
        remedy: what to do about a vector that is not finite.
    """

    settings: TextSettings
    width: int
    pooling: str = "none"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    remedy: ClassVar[str] = "choose another model"

    @abstractmethod
    def vectors(self, texts: list[str]) -> np.ndarray:
        """``(b, T)`` float32 of one batch of texts, not yet scaled."""

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of texts, in their order; that of the empty text is zero.

        Args:
            texts: ``n`` strings.
            progress: called with ``(done, n)`` after each batch.

        Returns:
            ``(n, T)`` float32.

        Raises:
            DataError: a vector is not finite.
        """
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for rows, batch in self.batches(texts, progress=progress):
            vectors[rows] = batch
        return vectors

    def batches(
        self, texts: Sequence[str], start: int = 0, progress: Progress | None = None, share: tuple[int, int] = (0, 1)
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Vectors in batches of like length, the longest texts first, so that memory is known to suffice at once.

        The order is a function of the texts alone: from a ``start`` that is a multiple of the batch size the batches
        are those of a run from 0, bit by bit.

        Args:
            texts: ``n`` strings.
            start: how many texts, in this order, to pass over.
            progress: called with ``(done, n)`` after each batch.
            share: ``(rank, count)`` gives of every ``count`` batches the one at ``rank``.

        Yields:
            ``rows (b,)`` positions in ``texts``, and ``vectors (b, T)`` float32.
        """
        order = np.argsort(-pl.Series(texts, dtype=pl.String).str.len_chars().cast(pl.Int64).to_numpy(), kind="stable")
        rank, count = share
        for begin in range(start, len(order), self.settings.batch_size)[rank::count]:
            rows = order[begin : begin + self.settings.batch_size]
            vectors = self.vectors([texts[row] for row in rows])
            # a model says something of no words as well, by its marks or its prompt, but not of the item
            vectors = np.where([[texts[row] != ""] for row in rows], vectors, np.float32(0))
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                raise DataError(
                    f"'{self.settings.model}' gives no finite vector for the text '{texts[rows[bad[0]]][:60]}'; "
                    f"{self.remedy}."
                )
            yield rows, normalized(vectors) if self.settings.normalize else vectors
            if progress is not None:
                progress(begin + len(rows), len(order))


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``(n, T)`` scaled to length 1; a zero vector stays zero."""
    return torch.nn.functional.normalize(torch.from_numpy(vectors), dim=-1).numpy()
