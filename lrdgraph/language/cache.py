"""Language vectors on disk: computed once for what they depend on, resumable after a kill, memory-mapped.

``<cache>/<key>/`` holds ``vectors.npy`` and ``meta.json`` when finished, and until then ``vectors.partial`` and
``progress.json``. A chunk of vectors is on disk before it is counted, so that a count is never ahead of its vectors.

Several processes (:mod:`lrdgraph.distributed`) take batches in turn; the first one gathers a chunk and writes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import nullcontext, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lrdgraph import distributed
from lrdgraph.corpus import Corpus
from lrdgraph.errors import DataError
from lrdgraph.language.controls import random_vectors
from lrdgraph.language.encoder import TextEncoder
from lrdgraph.language.endpoint import EndpointEncoder
from lrdgraph.language.lock import alone
from lrdgraph.language.pretrained import identity
from lrdgraph.language.settings import RANDOM, TFIDF, TextSettings
from lrdgraph.language.source import Progress, VectorSource
from lrdgraph.language.text import item_texts
from lrdgraph.language.tfidf import WordEncoder
from lrdgraph.storage import read_json, write_json

FORMAT = 1
BATCHES_PER_CHUNK = 8


def encode_items(
    corpus: Corpus, settings: TextSettings, cache: Path | str, progress: Progress | None = None
) -> np.ndarray:
    """Language vectors of all items, from the cache where it holds them; random ones are drawn anew.

    A run that was killed goes on with its next chunk and gives the same bits as one that was not. Two processes that
    want the same vectors share the work: the second waits for the first. Within
    :func:`lrdgraph.distributed.processes` they divide it, every process must call it, and all of them see the cache.

    Args:
        corpus: items with text fields.
        settings: texts, model and pooling; ``vectors`` and ``shuffle`` are left to
            :func:`lrdgraph.language.vectors.item_vectors`.
        cache: folder for the vectors of any number of corpora and models.
        progress: called with ``(done, N)`` after each batch; not called where the cache holds all.

    Returns:
        ``(N, T)`` of the precision of ``settings.storage``, memory-mapped and read-only, row ``i - 1`` for item ``i``.

    Raises:
        ConfigError, DataError, MissingExtraError: from the texts, the settings or the model; or the disk is full.
    """
    if settings.model == RANDOM:
        return random_vectors(corpus.num_items, settings)
    texts = item_texts(corpus, settings.template, settings.fields, allow_empty=settings.allow_empty)
    if not len(texts):
        raise DataError(f"Corpus '{corpus.name}' has no items; there is nothing to encode.")
    about = _about(texts, settings)
    folder = Path(cache) / hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    finished = _agreed(folder, len(texts), settings.storage)
    if finished is None:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder / "lock") if distributed.is_first() else nullcontext():
            finished = _agreed(folder, len(texts), settings.storage)
            if finished is None:
                _encode(folder, texts.to_list(), settings, about, progress)
                finished = _agreed(folder, len(texts), settings.storage)
    if finished is None:
        raise DataError(f"{folder} does not keep what is written to it; check the disk or choose another cache.")
    return finished


def _about(texts: pl.Series, settings: TextSettings) -> dict[str, Any]:
    """All that the vectors depend on. Batch size and device change them by rounding alone, and are left out."""
    digest = hashlib.sha256(np.ascontiguousarray(texts.str.len_bytes().to_numpy()).tobytes())
    digest.update("".join(texts.to_list()).encode())
    names: tuple[str, ...]
    if settings.endpoint is not None:
        model, names = settings.model, ("endpoint", "prompt", "width", "normalize")
    elif settings.model == TFIDF:
        model, names = TFIDF, ("width", "normalize")
    else:
        model, names = identity(settings), ("pooling", "prompt", "max_length", "dtype", "normalize")
    of_settings = {name: getattr(settings, name) for name in names}
    if settings.storage != "float32":  # the key of vectors in full precision is that of before there was a choice
        of_settings["storage"] = settings.storage
    if (texts == "").any():
        of_settings["empty"] = "zero"  # likewise: it was once what a model says of no words
    return {"format": FORMAT, "texts": digest.hexdigest(), "model": model, **of_settings}


def _source(texts: list[str], settings: TextSettings, cache: Path) -> VectorSource:
    if settings.endpoint is not None:
        return EndpointEncoder(settings)
    return WordEncoder(settings, texts) if settings.model == TFIDF else TextEncoder(settings, cache)


def _whole(path: Path, rows: int, kind: str) -> np.ndarray | None:
    """The array in ``path``, mapped and read-only, or None where it is missing, cut or of another kind."""
    try:
        vectors: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = vectors.ndim == 2 and len(vectors) == rows and vectors.dtype == kind
    return vectors if fits else None


def _agreed(folder: Path, rows: int, kind: str) -> np.ndarray | None:
    """The finished array, if the first process sees it; the others look after it has."""
    with distributed.first_before_others():
        found = _whole(folder / "vectors.npy", rows, kind)
    return found if distributed.agreed(float(found is not None)) else None


def _encode(
    folder: Path, texts: list[str], settings: TextSettings, about: dict[str, Any], report: Progress | None
) -> None:
    encoder = _source(texts, settings, folder.parent)
    partial, count = folder / "vectors.partial", folder / "progress.json"
    shape = len(texts), encoder.width
    vectors, done = _resume(partial, count, shape, settings.storage) if distributed.is_first() else (None, 0)
    done = int(distributed.agreed(done))
    if report is not None and done:
        report(done, len(texts))
    chunk = BATCHES_PER_CHUNK * settings.batch_size * distributed.count()
    batches = encoder.batches(texts, done, report, (distributed.rank(), distributed.count()))
    while done < len(texts):
        in_chunk = list(islice(batches, BATCHES_PER_CHUNK))
        rows = np.concatenate([np.empty(0, np.int64), *(r for r, _ in in_chunk)])
        found = np.concatenate([np.empty((0, encoder.width), np.float32), *(v for _, v in in_chunk)])
        done = min(done + chunk, len(texts))
        parts = zip(distributed.gather(rows, everyone=False), distributed.gather(found, everyone=False), strict=True)
        if vectors is not None:
            for where, part in parts:
                vectors[where] = _stored(part, settings)
            vectors.flush()
            write_json(count, {"done": done})
    for _ in batches:
        pass  # so that the last one is reported
    if vectors is None:
        return
    packages = {name: version(name) for name in encoder.packages}
    meta = {
        **about,
        "name": settings.model,
        "pooled": encoder.pooling,
        "shape": list(vectors.shape),
        "versions": packages,
    }
    write_json(folder / "meta.json", meta)
    os.replace(partial, folder / "vectors.npy")
    count.unlink()


def _stored(batch: np.ndarray, settings: TextSettings) -> np.ndarray:
    with np.errstate(over="ignore"):
        kept = batch.astype(settings.storage, copy=False)
    if not np.isfinite(kept).all():
        raise DataError(f"A vector of '{settings.model}' is too long for float16; set normalize, or storage 'float32'.")
    return kept


def _resume(partial: Path, count: Path, shape: tuple[int, int], kind: str) -> tuple[np.memmap, int]:
    """The vectors that a killed run left and how many of them are sure, or fresh ones and 0."""
    left = _whole(partial, shape[0], kind)  # checked before it is opened to be written, which would fill up a cut file
    with suppress(DataError, KeyError, TypeError):
        done = read_json(count)["done"]
        if left is not None and left.shape == shape and isinstance(done, int) and 0 <= done <= shape[0]:
            return np.lib.format.open_memmap(partial, mode="r+"), done
    # neither file can be trusted without the other
    count.unlink(missing_ok=True)
    needed = np.dtype(kind).itemsize * shape[0] * shape[1] + 4096
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        # a memory map that outgrows the disk ends the process without a word
        raise DataError(
            f"{partial.parent} has {free:,} bytes free and the vectors need {needed:,}; choose another cache."
        )
    return np.lib.format.open_memmap(partial, mode="w+", dtype=np.dtype(kind), shape=shape), 0
