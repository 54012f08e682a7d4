"""The vectors of all items: encoded, or a user's own, aligned to the corpus by id."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

from lrdgraph.corpus import Corpus
from lrdgraph.errors import DataError
from lrdgraph.language.cache import encode_items
from lrdgraph.language.controls import dealing
from lrdgraph.language.settings import TextSettings
from lrdgraph.language.source import Progress

log = logging.getLogger(__name__)

ID_COLUMNS = ("item", "item_id", "id")


def item_vectors(
    corpus: Corpus, settings: TextSettings, cache: Path | str, progress: Progress | None = None
) -> np.ndarray:
    """Language vectors of all items: those of ``settings.vectors`` where it is set, else encoded (and cached).

    With ``settings.shuffle`` they are dealt to the items at random, as :func:`lrdgraph.language.controls.shuffled`
    deals them.

    Args and Returns: as :func:`lrdgraph.language.cache.encode_items`.
    """
    if settings.vectors is not None:
        vectors = load_vectors(settings.vectors, corpus)
    else:
        vectors = encode_items(corpus, settings, cache, progress)
    if settings.shuffle is None:
        return vectors
    dealt: np.ndarray = vectors[dealing(len(vectors), settings.shuffle)]
    dealt.flags.writeable = False
    return dealt


def load_vectors(path: Path | str, corpus: Corpus) -> np.ndarray:
    """Read vectors as they are, and put them in the order of the corpus's items.

    Formats, by ending: ``.npz`` with arrays ``ids`` (n,) and ``vectors`` (n, T); ``.parquet`` with a column ``item``,
    ``item_id`` or ``id`` and a list column ``vector``; ``.npy`` (N, T) and ``.safetensors`` with one tensor (N, T),
    both without ids, in the order of the item vocabulary. Ids that the corpus lacks are left out, and logged.

    Args:
        path: the file.
        corpus: the corpus whose items are wanted.

    Returns:
        ``(N, T)`` float32, read-only, row ``i - 1`` for item ``i``.

    Raises:
        DataError: the file is missing or malformed, an item has no vector or two, a vector is not finite, or widths
            or counts differ.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise DataError(f"{path} ends in '{path.suffix}'; vectors are read from {', '.join(_READERS)}.")
    if not path.is_file():
        raise DataError(f"{path} does not exist; check the path of the vectors.")
    try:
        ids, raw = _READERS[path.suffix](path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} cannot be read as vectors ({reason}); write it anew.") from None
    if raw.ndim != 2 or not raw.shape[1] or raw.dtype.kind not in "fiu":
        raise DataError(f"{path} holds an array of shape {raw.shape} and type {raw.dtype}; expected (n, T) numbers.")
    wanted = corpus.num_items if ids is None else len(ids)
    if len(raw) != wanted:
        source = "items in the corpus" if ids is None else "ids in the file"
        raise DataError(f"{path} holds {len(raw)} vectors and there are {wanted} {source}; give one for each.")
    if ids is not None:
        raw = raw[_rows(path, ids, corpus)]
    with np.errstate(over="ignore"):
        vectors = raw.astype(np.float32, copy=False)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        first = corpus.items.id(int(np.argmin(finite)) + 1)
        count = int((~finite).sum())
        raise DataError(
            f"{path}: the vector of item '{first}' is not finite in float32 ({count} such in all); mend it."
        )
    vectors.flags.writeable = False
    return vectors


def _rows(path: Path, ids: pl.Series, corpus: Corpus) -> np.ndarray:
    """Row in the file of each item of the corpus, ``(N,)``."""
    if ids.null_count():
        raise DataError(
            f"{path}: the id of row {int(ids.is_null().arg_max() or 0) + 1} is empty; give every vector an id."
        )
    if ids.n_unique() != len(ids):
        raise DataError(f"{path}: item '{ids.filter(ids.is_duplicated())[0]}' has two vectors; keep one.")
    index = corpus.items.index(ids, missing=0)
    row = np.full(corpus.num_items + 1, -1, dtype=np.int64)
    row[index] = np.arange(len(ids))
    lacking = np.flatnonzero(row[1:] < 0)
    if len(lacking):
        first = corpus.items.id(int(lacking[0]) + 1)
        raise DataError(
            f"{path} has no vector for {len(lacking)} of {corpus.num_items} items, the first is '{first}'; add them."
        )
    extra = int((index == 0).sum())
    if extra:
        log.warning("%s holds vectors of %d ids that the corpus lacks; they are left out.", path, extra)
    return row[1:]


def _npy(path: Path) -> tuple[None, np.ndarray]:
    return None, np.load(path, mmap_mode="r", allow_pickle=False)


def _npz(path: Path) -> tuple[pl.Series, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        ids, vectors = arrays["ids"], arrays["vectors"]
    if ids.ndim != 1 or ids.dtype.kind not in "Uiu":
        raise ValueError(f"its ids are {ids.dtype} of shape {ids.shape}, expected strings (n,)")
    return pl.Series("id", ids.astype(str).tolist(), dtype=pl.String), vectors


def _parquet(path: Path) -> tuple[pl.Series, np.ndarray]:
    table = pl.read_parquet(path, glob=False)
    name = next((n for n in ID_COLUMNS if n in table.columns), None)
    if name is None or "vector" not in table.columns:
        raise ValueError(f"its columns are {', '.join(table.columns)}, expected item and vector")
    vector = table["vector"]
    if not isinstance(vector.dtype, (pl.List, pl.Array)) or not vector.dtype.inner.is_numeric():
        raise ValueError(f"its column vector is {vector.dtype}, expected lists of numbers")
    lists = vector.cast(pl.List(pl.Float32))
    width = lists.list.len()
    other = (width != width[0]).fill_null(True) if len(width) else width
    if other.any():
        at = int(other.arg_max() or 0)
        raise ValueError(
            f"the vector of item '{table[name][at]}' has {width[at] or 0} numbers, expected {width[0] or 0}"
        )
    return table[name].cast(pl.String), lists.list.to_array(int(width[0] or 0) if len(width) else 0).to_numpy()


def _safetensors(path: Path) -> tuple[None, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    if len(tensors) != 1:
        raise ValueError(f"it holds {len(tensors)} tensors, expected one")
    return None, next(iter(tensors.values())).float().numpy()


_READERS = {".npy": _npy, ".npz": _npz, ".parquet": _parquet, ".safetensors": _safetensors}
