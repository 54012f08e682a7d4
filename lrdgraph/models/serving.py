"""An index of item vectors that answers requests without scoring the whole catalogue.

The index finds the items of largest inner product, the edges of the history those that evidence may lift. The model
scores the union of both, and these scores alone decide. Needs faiss (``pip install lrdgraph[index]``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.faiss import need_faiss
from lrdgraph.models.base import Recommender
from lrdgraph.models.inner_product import InnerProduct, inner_product
from lrdgraph.models.recommend import Recommendation, evaluating, recommend
from lrdgraph.models.request import allowed_items
from lrdgraph.storage import atomic_folder, check_replaceable, read_json, settle_folder, write_json

Kind = Literal["flat", "ivf", "hnsw"]
FORMAT = 1
LINKS = 32
"""Of each item in an HNSW graph."""
BUILDING_BREADTH = 200
"""Of the searches that build it."""
VECTORS_PER_LIST = 39
"""The least number of vectors for each list of an IVF index that faiss thinks enough for its k-means."""


@dataclass(eq=False)
class ItemIndex:
    """Item vectors of a model, for :func:`recommend_with`. It is of the model as it stood; train on, and build it anew.

    Attributes:
        model: whose vectors they are, and who scores what is found.
        kind: ``"flat"`` compares with all items, ``"ivf"`` with the nearest of many lists, ``"hnsw"`` walks a graph.
        breadth: how many lists or graph nodes a search looks at; more find more and take longer. May be changed.
        at: the moment whose recent popularity the index knows, in seconds; None for that after all training events.
    """

    model: Recommender
    kind: Kind
    breadth: int
    at: int | None
    _parts: InnerProduct
    _found: Any

    def __len__(self) -> int:
        return int(self._found.ntotal)

    def __repr__(self) -> str:
        breadth = "" if self.kind == "flat" else f", breadth {self.breadth}"
        return f"ItemIndex({self.kind} of {len(self):,} items of {type(self.model).__name__}{breadth})"

    def hits(self, query: Tensor, number: int, allowed: Tensor | None = None) -> Tensor:
        """Items ``(B, number)`` of largest inner product, as far as the index finds them; 0 where it finds fewer.

        Args:
            query: ``(B, D')``.
            number: at most; the whole catalogue where it is smaller.
            allowed: ``(N + 1,)`` bool, items that may be found; all where None.
        """
        faiss = need_faiss()
        vectors = query.detach().float().cpu()
        options: dict[str, Any] = {}
        if allowed is not None:
            options = {"sel": faiss.IDSelectorBatch(allowed[1:].cpu().nonzero().flatten().numpy())}
        if self.kind == "ivf":
            vectors = F.pad(vectors, (0, 1))
            parameters = faiss.SearchParametersIVF(nprobe=self.breadth, **options)
        elif self.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=max(self.breadth, number), **options)
        else:
            parameters = faiss.SearchParameters(**options)
        found = self._found.search(vectors.contiguous().numpy(), min(number, len(self)), params=parameters)[1]
        return torch.from_numpy(found + 1).to(query.device)  # faiss counts from 0, and says -1 for nothing

    def candidates(self, batch: Batch, number: int, allowed: Tensor | None = None) -> Tensor:
        """``(B, C)`` hits, ``number`` of each row, with all that an edge reaches from its events; rising, then 0.

        Of hits, only items that are ``allowed``; where these are no more than ``number``, all of them without a search.
        """
        if allowed is not None and int(allowed.sum()) <= number:
            chosen = allowed.nonzero().T if bool(allowed.any()) else torch.zeros(1, 1, dtype=torch.int64)
            return chosen.expand(len(batch), -1).to(batch.history.device)
        found = self.hits(self._parts.query(batch), number, allowed)
        row = torch.arange(len(batch), device=found.device).repeat_interleave(found.size(1))
        item = found.flatten()
        if self._parts.neighbours is not None:
            more = self._parts.neighbours(batch)
            row, item = torch.cat([row, more[0]]), torch.cat([item, more[1]])
        return by_row(row, item, len(batch))

    def save(self, folder: Path | str) -> None:
        """Write ``index.faiss`` and ``index.json`` to ``folder``, replacing an index that stands there.

        Raises:
            ConfigError: ``folder`` is a file, or holds other files than those of an index.
        """
        check_replaceable(Path(folder), "index.json", "an index")
        faiss = need_faiss()
        with atomic_folder(Path(folder)) as out:
            faiss.write_index(self._found, str(out / "index.faiss"))
            about = {"format": FORMAT, "kind": self.kind, "breadth": self.breadth, "at": self.at}
            write_json(out / "index.json", about | {"weights": weights_hash(self.model)})


def build_index(
    model: Recommender, kind: Kind = "flat", *, at: int | None = None, breadth: int | None = None
) -> ItemIndex:
    """An index of a model's item vectors, with bias and recent popularity as one more coordinate.

    Lists are made and searched by distance, with ``√(max‖v‖² − ‖v‖²)`` appended to ``v`` and 0 to the query, so that
    the nearest has the largest inner product (Bachrach et al., *Speeding Up the Xbox Recommender System Using a
    Euclidean Transformation for Inner-Product Spaces*, RecSys 2014). The graph is made and walked by inner products
    (Morozov and Babenko, *Non-metric Similarity Graphs for Maximum Inner Product Search*, NeurIPS 2018): by distance it
    falls apart where items stand in clusters.

    Args:
        model: one whose score is an inner product, with or without evidence of edges.
        kind: as :class:`ItemIndex`.
        at: as :class:`ItemIndex`; only a model with ``trend`` reads it. Requests of other moments are scored as of
            their own, but looked for among what was popular at this one.
        breadth: as :class:`ItemIndex`; by default an eighth of the lists (16 at least), or 256 nodes.

    Raises:
        ConfigError: the model's score is of another kind, or ``kind`` or ``breadth`` is none.
        DataError: item vectors are not finite.
        MissingExtraError: faiss is not installed.
    """
    if kind not in get_args(Kind):
        raise ConfigError(f"There is no index of kind '{kind}'{nearest(kind, get_args(Kind))}; known: flat, ivf, hnsw.")
    if breadth is not None and breadth < 1:
        raise ConfigError(f"breadth is {breadth}; it must be 1 or more.")
    parts, faiss = inner_product(model), need_faiss()
    with evaluating(model):
        vectors = parts.items(at)[1:].float().cpu().contiguous().numpy()
    if not np.isfinite(vectors).all():
        raise DataError(
            f"{type(model).__name__} has item vectors that are no numbers; it has diverged: train it again."
        )
    if kind == "ivf":
        vectors = _lifted(vectors)
    number, width = vectors.shape
    lists = max(1, min(int(4 * number**0.5), number // VECTORS_PER_LIST))
    if kind == "flat":
        index = faiss.IndexFlatIP(width)
    elif kind == "ivf":
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, lists)
        index.cp.min_points_per_centroid = 1  # a catalogue too small for one list is no reason to warn
        index.train(vectors)
    else:
        index = faiss.IndexHNSWFlat(width, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILDING_BREADTH
    index.add(vectors)
    usual = {"flat": number, "ivf": max(16, lists // 8), "hnsw": 256}[kind]
    return ItemIndex(model, kind, usual if breadth is None else breadth, at, parts, index)


def load_index(folder: Path | str, model: Recommender) -> ItemIndex:
    """An index that was saved, for the model that it was built from; nothing in it is run.

    Raises:
        DataError: files are missing or broken, or the index is of other weights or items.
        ConfigError: as :func:`build_index`.
        MissingExtraError: faiss is not installed.
    """
    parts, faiss, folder = inner_product(model), need_faiss(), Path(folder)
    settle_folder(folder)
    if not folder.exists():
        raise DataError(
            f"There is no index in {folder}; build it with build_index, or that of a run with 'lrdgraph index'."
        )
    about = read_json(folder / "index.json")
    expected = {"format": int, "kind": str, "breadth": int, "at": int | None, "weights": str}
    whole = isinstance(about, dict) and all(isinstance(about.get(key), kind) for key, kind in expected.items())
    if not whole or about["format"] != FORMAT or about["kind"] not in get_args(Kind) or about["breadth"] < 1:
        raise DataError(f"{folder / 'index.json'} does not describe an index of this version; build the index anew.")
    if about["weights"] != weights_hash(model):
        raise DataError(f"{folder} holds the index of other weights than those of the model; build it anew.")
    path = folder / "index.faiss"
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path} is not a whole faiss index ({reason}); build it anew.") from None
    with evaluating(model):
        expected_shape = model.inputs.num_items, parts.items(about["at"]).size(1) + (about["kind"] == "ivf")
    if (index.ntotal, index.d) != expected_shape:
        raise DataError(f"{path} holds {(index.ntotal, index.d)} numbers, the model {expected_shape}; build it anew.")
    return ItemIndex(model, about["kind"], about["breadth"], about["at"], parts, index)


def recommend_with(
    index: ItemIndex,
    histories: Sequence[Sequence[str]],
    times: Sequence[Sequence[int]] | None = None,
    at: int | Sequence[int] | None = None,
    k: int = 10,
    *,
    hits: int = 200,
    users: Sequence[int] | None = None,
    filter_seen: bool = True,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    reasons: int = 0,
) -> list[list[Recommendation]]:
    """As :func:`lrdgraph.models.recommend.recommend`, by the index's model, without scoring the whole catalogue.

    Scores, order, filtering and reasons are those of the model. What may be missing is an item that no edge reaches
    from the history and that the index did not find among its ``hits``.

    Args:
        index: of the model.
        hits: how many items of largest inner product are rescored, beside the neighbours along edges; never fewer than
            ``k`` and the longest history together.

    Raises:
        ConfigError: ``hits`` is below 1, or as ``recommend``.
        UnknownIdError, DataError: as ``recommend``.
    """
    if hits < 1:
        raise ConfigError(f"hits must be 1 or more; got {hits}.")

    only, exclude = (None if some is None else list(some) for some in (only, exclude))
    chosen = None
    if only is not None or exclude:
        chosen = allowed_items(index.model.inputs.items, only, exclude)

    def found(batch: Batch, number: int) -> Tensor:
        return index.candidates(batch, max(hits, number), chosen)

    known = partial(recommend, index.model, users=users, only=only, exclude=exclude, candidates=found)
    return known(histories, times, at, k, filter_seen=filter_seen, reasons=reasons)


def by_row(row: Tensor, item: Tensor, rows: int) -> Tensor:
    """``X`` (row, item) as ``(rows, C)`` items that rise in each row, each once, then 0; items 0 are left out."""
    base = int(item.amax()) + 1 if len(item) else 1
    keys = (row * base + item)[item > 0].unique()
    row = keys // base
    counts = torch.bincount(row, minlength=rows)
    column = torch.arange(len(keys), device=keys.device) - (counts.cumsum(0) - counts)[row]
    out = item.new_zeros(rows, max(1, int(counts.amax()) if rows else 1))
    out[row, column] = keys % base
    return out


def weights_hash(model: Recommender) -> str:
    """SHA-256 (hex) over item ids and all learned tensors."""
    digest = hashlib.sha256("\x1f".join(model.inputs.items.series.to_list()).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"\x1e{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _lifted(vectors: np.ndarray) -> np.ndarray:
    """``(N, D')`` vectors with one more coordinate that brings them to one length."""
    squares = np.square(vectors).sum(1)
    return np.concatenate([vectors, np.sqrt(np.maximum(squares.max() - squares, 0))[:, None]], axis=1)
