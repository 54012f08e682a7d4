"""Recommendations for any history of external ids, with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lrdgraph.batch import Batch, history_batch, windows
from lrdgraph.errors import DataError
from lrdgraph.models.evidence import Explanation
from lrdgraph.models.request import Events, allowed_items, check_request, request_events, request_people
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lrdgraph.models.base import Recommender

ROWS_AT_ONCE = 256
_UNITS = (  # name, seconds, used from how many of it on: a month and a half reads better in days
    ("year", 31_557_600, 2),
    ("month", 2_629_800, 2),
    ("day", 86_400, 1),
    ("hour", 3_600, 1),
    ("minute", 60, 1),
    ("second", 1, 1),
)
CandidateSource = Callable[[Batch, int], Tensor]
"""From ``B`` histories and a number, the ``(B, C)`` items among which the best so many of each row are looked for.

Items rise within a row, so that each stands there once; then 0 fills up. There is at least one column.
"""


@dataclass(frozen=True)
class Reason:
    """One edge from an event of the history to what is recommended.

    Attributes:
        item: external id of the history item.
        relation: label of the relation that runs from it; a latent one that nobody named is ``latent_0`` and so on.
        seconds_ago: from that event to the request.
        weight: what the edge adds to the score.
    """

    item: str
    relation: str
    seconds_ago: int
    weight: float

    def __str__(self) -> str:
        ago = _ago(self.seconds_ago)
        return f"{self.relation} of {self.item}{f', {ago}' if ago else ''}"


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item: external id.
        score: of the model; comparable within one request alone.
        reasons: the edges that add most, the largest first.
    """

    item: str
    score: float
    reasons: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        told = "; ".join(map(str, self.reasons))
        return f"{self.item} ({self.score:.3f}){f': {told}' if told else ''}"


def recommend(
    model: Recommender,
    histories: Sequence[Sequence[str]],
    times: Sequence[Sequence[int]] | None = None,
    at: int | Sequence[int] | None = None,
    k: int = 10,
    *,
    users: Sequence[int] | None = None,
    filter_seen: bool = True,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    reasons: int = 0,
    candidates: CandidateSource | None = None,
) -> list[list[Recommendation]]:
    """The best ``k`` items for each history; people need not have been seen in training.

    Of equal scores the item that stands first in the vocabulary is taken first, so that a history gets the same answer
    in any company.

    Args:
        model: any recommender; its mode is left as it was.
        histories: external item ids of each person, oldest first.
        times: seconds since 1970 of each event; events are sorted by them, stably. None: all events happen at the
            moment of the request, in the order given.
        at: the moment of the request, in seconds, for all or for each; by default that of a history's last event, and
            without times that of the last event the model was built from.
        k: how many items; fewer come back where the catalogue has no more.
        users: the number of each person in the corpus of training (``corpus.users.index(ids)``), for models with a
            vector for each; 0 is a stranger, as everyone is where None.
        filter_seen: leave out items of the history, the whole of it.
        only: external ids of the items that may be recommended, as those in stock; all where None.
        exclude: external ids of items that may not; none where None.
        reasons: at most so many reasons for each item, if the model gives any; only edges that speak for it.
        candidates: where to look; all items where None. What it finds is scored by the model, whoever found it.

    Raises:
        UnknownIdError: an item is not in the vocabulary; the message names the nearest id.
        DataError: a history is empty or is a string, times or users do not fit the histories or are no whole numbers,
            or a request lies before the last event.
        ConfigError: ``k`` is below 1 or ``reasons`` below 0.
    """
    check_request(model, k, reasons)
    known = model.inputs.events
    events = request_events(model.inputs.items, histories, times, at, now=int(known[2, -1]) if known.numel() else 0)
    person = (
        np.zeros(len(events.moment), np.int64)
        if users is None
        else request_people(users, events, model.inputs.num_users)
    )
    allowed = allowed_items(model.inputs.items, only, exclude)
    with evaluating(model):
        starts = range(0, len(events.moment), ROWS_AT_ONCE)
        blocks = [
            _told(model, *ranked(model, events, person, start, k, filter_seen, allowed, candidates), reasons)
            for start in starts
        ]
    return list(chain.from_iterable(blocks))


@contextmanager
def evaluating(model: Recommender) -> Iterator[None]:
    """A model in evaluation mode and without gradients for a while; its mode is then what it was."""
    was_training = model.training
    if was_training:  # switching forgets vectors that are kept for scoring
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if was_training:
            model.train()


def ranked(
    model: Recommender,
    events: Events,
    person: np.ndarray,
    start: int,
    k: int,
    filter_seen: bool,
    allowed: Tensor,
    source: CandidateSource | None = None,
) -> tuple[Batch, Tensor, Tensor]:
    """The best of ``B`` histories from ``start`` on: their batch, and scores and items ``(B, k)``, the best first.

    Where a history has fewer than ``k`` items to be recommended the last scores are −∞.

    Args:
        person: number of everyone, 0 for a stranger.
        allowed: ``(N + 1,)`` bool, by :func:`allowed_items`.
        source: where to look; all items where None.
    """
    stop = min(start + ROWS_AT_ONCE, len(events.moment))
    first, end = events.offsets[start:stop], events.offsets[start + 1 : stop + 1]
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    batch = _batch(events, first, end, events.moment[start:stop], person[start:stop], model.max_length).to(device)
    row = torch.from_numpy(np.repeat(np.arange(stop - start), end - first)).to(device)
    seen = torch.tensor(events.item[first[0] : end[-1]]).to(device)
    items = None if source is None else source(batch, k + int((end - first).max()) * filter_seen)
    scores = model.score(batch, items).clone()
    if bool(scores.isnan().any()):
        raise DataError(f"{type(model).__name__} gives scores that are not numbers; it has diverged: train it again.")
    allowed = allowed.to(device)
    scores.masked_fill_(~(allowed if items is None else allowed[items]), -torch.inf)
    if items is None:
        if filter_seen:
            scores[row, seen] = -torch.inf
    else:
        if filter_seen:
            base = model.inputs.num_items + 1
            own = torch.arange(len(items), device=device)[:, None] * base + items
            scores[torch.isin(own, row * base + seen)] = -torch.inf
    column = _best(scores, min(k, scores.size(1)))
    return batch, scores.gather(1, column), column if items is None else items.gather(1, column)


def _told(model: Recommender, batch: Batch, value: Tensor, best: Tensor, reasons: int) -> list[list[Recommendation]]:
    told = model.explain(batch, best) if reasons else None
    why = None if told is None else _reasons(told, model.inputs.items, best.shape, reasons)
    ids, width = model.inputs.items.ids(best.flatten().cpu().numpy()), best.size(1)
    return [
        [
            Recommendation(ids[n], score, () if why is None else why[n])
            for n, score in enumerate(row_scores, start=row * width)
            if score > -np.inf
        ]
        for row, row_scores in enumerate(value.tolist())
    ]


def _batch(
    events: Events, start: np.ndarray, end: np.ndarray, moment: np.ndarray, person: np.ndarray, length: int
) -> Batch:
    at, real = windows(start, end, min(length, int((end - start).max())))
    history, time = np.where(real, events.item[at], 0), np.where(real, events.time[at], 0)
    return history_batch(history, time, moment, person)


def _best(scores: Tensor, k: int) -> Tensor:
    """Columns ``(B, k)`` of the largest scores, falling, of equal ones the lower column first; as sorting would."""
    threshold = scores.topk(k, dim=1).values[:, -1:]
    above, equal = scores > threshold, scores == threshold
    chosen = above | (equal & (equal.cumsum(1) <= k - above.sum(1, keepdim=True)))
    column = chosen.nonzero()[:, 1].view(-1, k)
    order = scores.gather(1, column).sort(dim=1, descending=True, stable=True).indices
    return column.gather(1, order)


def _reasons(told: Explanation, items: Vocabulary, shape: torch.Size, number: int) -> list[tuple[Reason, ...]]:
    """The strongest reasons of each of ``B × k`` recommendations, in flat order."""
    group = (told.row * shape[1] + told.column).cpu().numpy()
    value = told.value.double().cpu().numpy()
    order = np.lexsort((-value, group))
    order = order[value[order] > 0]
    group = group[order]
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    order, group = order[rank < number], group[rank < number]
    names = items.ids(told.item.cpu().numpy()[order])
    columns = (told.relation.cpu().numpy()[order], told.seconds.cpu().numpy()[order], value[order])
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    whole = [Reason(name, told.labels[relation], seconds, weight) for name, relation, seconds, weight in rows]
    bounds = np.searchsorted(group, np.arange(shape[0] * shape[1] + 1)).tolist()
    return [tuple(whole[low:high]) for low, high in pairwise(bounds)]


def _ago(seconds: int) -> str:
    fitting = ((name, seconds // size) for name, size, least in _UNITS if seconds >= least * size)
    name, number = next(fitting, ("", 0))
    return f"{number} {name}{'s' if number > 1 else ''} ago" if number else ""
