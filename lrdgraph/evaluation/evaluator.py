"""Ranks every target under one or two protocols and names what comes out.

Users pass in batches and items in chunks; what is kept of each target is one rank per protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrdgraph import distributed
from lrdgraph.batch import Batch, target_batch
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.metrics import per_target, summarise
from lrdgraph.evaluation.ranks import RankCounter, seen_pairs
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.splits import Targets

Score = Callable[[Batch, Tensor | None], Tensor]
Progress = Callable[[int, int], None]

DEGREES = (("degree 0", 0, 0), ("degree 1-5", 1, 5), ("degree 6-20", 6, 20), ("degree >20", 21, np.inf))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Ranks of ``P`` targets, and the metrics that follow from them.

    Attributes:
        ranks: protocol (``"full"``, ``"candidates-99"``) → ``(P,)`` float64.
        user: ``(P,)`` int64 user of each target, for tests paired over users.
        groups: bucket name (``"degree 0"``, ``"tied"`` …) → ``(P,)`` bool, the targets in it.
        settings: how the ranks were made.
        targets: hash of who was to be shown what, :func:`lrdgraph.splits.targets_hash`; empty where it is not known.
    """

    ranks: dict[str, np.ndarray]
    user: np.ndarray
    groups: dict[str, np.ndarray]
    settings: EvaluationSettings
    targets: str = ""

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Means over all targets, by full name: ``"full/NDCG@10"``, ``"candidates-99/HR@5"``."""
        return {
            f"{protocol}/{name}": value
            for protocol, rank in self.ranks.items()
            for name, value in summarise(rank, self.settings.ks).items()
        }

    @cached_property
    def buckets(self) -> dict[str, dict[str, dict[str, float]]]:
        """Protocol → bucket → metrics and ``"count"``; an empty bucket has its count alone."""
        return {
            protocol: {name: _bucket(rank[inside], self.settings.ks) for name, inside in self.groups.items()}
            for protocol, rank in self.ranks.items()
        }

    def per_target(self, name: str) -> np.ndarray:
        """Values ``(P,)`` of one metric, named as in :attr:`metrics`.

        Raises:
            ConfigError: the protocol was not evaluated, or the metric is unknown.
        """
        protocol, _, metric = name.partition("/")
        if protocol not in self.ranks:
            raise ConfigError(f"There is no protocol '{protocol}' in '{name}'; evaluated are {', '.join(self.ranks)}.")
        return per_target(self.ranks[protocol], metric)

    @classmethod
    def merge(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """One evaluation of all targets of the parts, in their order.

        Raises:
            ConfigError: there are no parts, or they differ in settings, protocols or buckets.
        """
        if not parts:
            raise ConfigError("There is nothing to merge; give at least one evaluation.")
        first = parts[0]
        alike = all(
            p.settings == first.settings
            and p.ranks.keys() == first.ranks.keys()
            and p.groups.keys() == first.groups.keys()
            for p in parts
        )
        if not alike:
            raise ConfigError("Evaluations that differ in settings, protocols or buckets cannot be merged; redo one.")
        return cls(
            ranks={k: np.concatenate([p.ranks[k] for p in parts]) for k in first.ranks},
            user=np.concatenate([p.user for p in parts]),
            groups={k: np.concatenate([p.groups[k] for p in parts]) for k in first.groups},
            settings=first.settings,
        )

    def to_json(self) -> dict[str, Any]:
        """Metrics, buckets, number of targets and settings; ranks are left out."""
        settings = asdict(self.settings) | {"ks": list(self.settings.ks)}
        return {"targets": len(self), "metrics": self.metrics, "buckets": self.buckets, "settings": settings}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"Evaluation({len(self):,} targets: {shown})"


def evaluate(
    score: Score,
    targets: Targets,
    settings: EvaluationSettings | None = None,
    *,
    max_length: int,
    num_items: int,
    degree: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Evaluation:
    """Rank every target by a scoring function.

    Under ``full`` the competitors are all items but the target, and but those of its whole history where seen items
    are filtered. Under ``candidates-C`` they are the published list as it stands: a duplicate counts each time, the
    target listed among its own negatives is a tie, seen items stay, and 0 fills up a short list.

    Within :func:`lrdgraph.distributed.processes` each process ranks its part of the batches, and all get the ranks of
    all targets: every process must call it.

    Args:
        score: called as ``score(batch, candidates)`` without gradients. ``candidates`` None asks for all items,
            ``(B, N + 1)`` with a column for padding that is never counted; ``(C,)`` is shared by all rows and
            ``(B, C)`` is one list for each, both give ``(B, C)``.
        targets: what is to be predicted.
        settings: protocols, cut-offs, ties and sizes; the defaults if None.
        max_length: ``L``, the most recent events of a history that ``score`` is shown.
        num_items: ``N``.
        degree: ``(N + 1,)`` training interactions of each item, for the buckets by degree; none if None.
        device: where batches and candidates are sent, and ranks counted.
        progress: called as ``progress(done, total)`` in targets of this process after each batch.

    Raises:
        ConfigError: the candidate protocol is asked of targets that have no lists.
        DataError: there are no targets, an item is outside 1 … N, or scores are NaN or of the wrong shape.
    """
    settings = settings or EvaluationSettings()
    lists = targets.candidates if settings.protocols in ("auto", "candidates") else None
    _check(targets, lists, num_items, degree)
    full, width = settings.protocols != "candidates", 0 if lists is None else lists.shape[1]
    found: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in protocols_of(targets, settings)}
    begins = range(0, len(targets), settings.batch_size)
    # whole batches go to a process, so that its scores are those of a single process to the last bit
    begins = begins[distributed.block(len(begins))]
    total = min(begins.stop, len(targets)) - begins.start
    with torch.no_grad():
        for first in begins:
            rows = np.arange(first, min(first + settings.batch_size, len(targets)))
            batch = target_batch(targets, rows, max_length, settings.request).to(device)
            asked = _Asked(score, batch, torch.from_numpy(targets.item[rows]).to(device), num_items, settings)
            if full:
                seen = seen_pairs(targets, rows) if settings.filter_seen else None
                found["full"].append(asked.full(seen))
            if lists is not None:
                listed = torch.from_numpy(lists[rows].astype(np.int64)).to(device)
                found[f"candidates-{width}"].append(asked.candidates(listed, reuse=full))
            if progress is not None:
                progress(int(rows[-1]) + 1 - begins.start, total)
    ranks = {name: np.concatenate(distributed.gather(np.concatenate(parts))) for name, parts in found.items()}
    return Evaluation(ranks, targets.user.copy(), _groups(targets, degree), settings)


def protocols_of(targets: Targets, settings: EvaluationSettings) -> list[str]:
    """Names of the protocols under which targets are ranked: ``"full"``, ``"candidates-99"``.

    Raises:
        ConfigError: candidates are asked for, and there are none.
    """
    lists = targets.candidates if settings.protocols != "full" else None
    if settings.protocols == "candidates" and lists is None:
        raise ConfigError("The corpus publishes no candidate lists for this split; evaluate with protocols='full'.")
    named = [] if lists is None else [f"candidates-{lists.shape[1]}"]
    return named if settings.protocols == "candidates" else ["full", *named]


class _Asked:
    """One batch of targets and the scores asked for it; scores of the whole catalogue are asked for once."""

    def __init__(
        self, score: Score, batch: Batch, target: Tensor, num_items: int, settings: EvaluationSettings
    ) -> None:
        self.score, self.batch, self.target, self.settings = score, batch, target, settings
        self.num_items = num_items
        self.fits = num_items + 1 <= settings.item_chunk
        self.row = torch.arange(len(target), device=target.device)

    def __call__(self, candidates: Tensor | None) -> Tensor:
        width = self.num_items + 1 if candidates is None else candidates.shape[-1]
        scores = self.score(self.batch, candidates)
        if scores.shape != (len(self.target), width):
            raise DataError(
                f"The scoring function gave shape {tuple(scores.shape)} where {(len(self.target), width)} was "
                "expected; return one score for each history and candidate."
            )
        return scores.detach().to(self.target.device)

    @cached_property
    def everything(self) -> Tensor:
        return self(None)

    def full(self, seen: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        row, item = self.row, self.target
        if seen is not None:
            row = torch.cat([row, torch.from_numpy(seen[0]).to(row.device)])
            item = torch.cat([item, torch.from_numpy(seen[1]).to(row.device)])
        if self.fits:
            counter = RankCounter(self.everything[self.row, self.target])
            counter.add(self.everything[:, 1:], (row, item - 1))
            return counter.ranks(self.settings.ties)
        counter = RankCounter(self._target_scores())
        step = self.settings.item_chunk
        for low in range(1, self.num_items + 1, step):
            high = min(low + step, self.num_items + 1)
            here = (item >= low) & (item < high)
            counter.add(self(torch.arange(low, high, device=item.device)), (row[here], item[here] - low))
        return counter.ranks(self.settings.ties)

    def candidates(self, listed: Tensor, *, reuse: bool) -> np.ndarray:
        if self.fits and reuse:
            counter = RankCounter(self.everything[self.row, self.target])
            counter.add(self.everything.gather(1, listed), (listed == 0).nonzero(as_tuple=True))
            return counter.ranks(self.settings.ties)
        # the target stands in front of its list, so that both scores come from the same kernel and can tie
        step = self.settings.item_chunk - 1
        parts = [listed[:, low : low + step] for low in range(0, listed.shape[1], step)]
        scores = self(torch.cat([self.target[:, None], parts[0]], 1))
        counter = RankCounter(scores[:, 0])
        counter.add(scores[:, 1:], (parts[0] == 0).nonzero(as_tuple=True))
        for part in parts[1:]:
            counter.add(self(part), (part == 0).nonzero(as_tuple=True))
        return counter.ranks(self.settings.ties)

    def _target_scores(self) -> Tensor:
        # asked for as a shared list, the way of the chunks they are compared with
        distinct, column = self.target.unique(return_inverse=True)
        scores = torch.cat([self(part) for part in distinct.split(self.settings.item_chunk)], 1)
        return scores[self.row, column]


def _bucket(rank: np.ndarray, ks: tuple[int, ...]) -> dict[str, float]:
    return (summarise(rank, ks) if len(rank) else {}) | {"count": len(rank)}


def _groups(targets: Targets, degree: np.ndarray | None) -> dict[str, np.ndarray]:
    groups = {}
    if degree is not None:
        of_target = degree[targets.item]
        groups = {name: (of_target >= low) & (of_target <= high) for name, low, high in DEGREES}
    return groups | {"tied": targets.tied.copy(), "untied": ~targets.tied}


def _check(targets: Targets, lists: np.ndarray | None, num_items: int, degree: np.ndarray | None) -> None:
    if not len(targets):
        raise DataError("There are no targets to evaluate; the split leaves no user with an event to predict.")
    bounds = [("target", targets.item, 1)] + ([] if lists is None else [("candidate", lists, 0)])
    for name, items, least in bounds:
        outside = items[(items < least) | (items > num_items)]
        if outside.size:
            raise DataError(
                f"A {name} is item {int(outside[0])}, outside {least}…{num_items}; evaluate the corpus the model knows."
            )
    if degree is not None and len(degree) != num_items + 1:
        raise DataError(
            f"There are {len(degree)} degrees for {num_items} items; give {num_items + 1}, row 0 for padding."
        )
