"""Recommendations for everyone in a corpus, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lrdgraph.corpus import Corpus
from lrdgraph.errors import DataError
from lrdgraph.models.recommend import ROWS_AT_ONCE, evaluating, ranked
from lrdgraph.models.request import Events, allowed_items, check_request, whole

if TYPE_CHECKING:
    from lrdgraph.models.base import Recommender


def recommend_everyone(
    model: Recommender,
    corpus: Corpus,
    k: int = 10,
    *,
    at: int | None = None,
    filter_seen: bool = True,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    strangers: bool = False,
    skip_unknown: bool = False,
) -> pl.DataFrame:
    """The best ``k`` items for each person of a corpus after all that she did; as ``recommend``, without reasons.

    Args:
        model: any recommender.
        corpus: that of training, or a later one; its whole history is read. People are those of training who have the
            same id; others are strangers.
        k: items for each person; fewer where the catalogue has no more.
        at: the moment of the requests, in seconds; that of each person's last event where None.
        filter_seen: leave out what a person had.
        only, exclude: external ids of the items that may be recommended, and of those that may not.
        strangers: take nobody for a person of training.
        skip_unknown: pass over events with items that the model does not know, instead of refusing them.

    Returns:
        ``user``, ``rank`` from 1, ``item`` and ``score``: people in the order of the corpus, each from the best on.
        Who has no event is not among them.

    Raises:
        ConfigError: ``k`` is below 1, or the model is none.
        UnknownIdError: an item of the corpus, or one that is named, is none the model knows.
        DataError: an event lies after ``at``, or the model does not know its people by id and there are more of them.
    """
    check_request(model, k)
    if at is not None:
        at = int(whole(at, "'at'"))
    names = model.inputs.users
    if not strangers and names is None and corpus.num_users > model.inputs.num_users:
        raise DataError(
            f"The corpus has {corpus.num_users} people and the model was trained with {model.inputs.num_users}; "
            "set strangers."
        )
    events, people = _histories(model, corpus, at, skip_unknown)
    if strangers:
        person = np.zeros_like(people)
    elif names is None:
        person = people
    else:
        person = names.index(corpus.users.series.gather(people - 1), missing=0).copy()
    allowed = allowed_items(model.inputs.items, only, exclude)
    width = min(k, model.inputs.num_items + 1)
    values: list[np.ndarray] = [np.empty((0, width), np.float32)]
    items: list[np.ndarray] = [np.empty((0, width), np.int64)]
    with evaluating(model):
        for start in range(0, len(people), ROWS_AT_ONCE):
            _, value, best = ranked(model, events, person, start, k, filter_seen, allowed)
            values.append(value.float().cpu().numpy())
            items.append(best.cpu().numpy())
    score, item = np.concatenate(values).ravel(), np.concatenate(items).ravel()
    row = np.flatnonzero(score > -np.inf)
    return pl.DataFrame(
        {
            "user": corpus.users.series.gather(people[row // width] - 1),
            "rank": (row % width + 1).astype(np.int32),
            "item": model.inputs.items.series.gather(item[row] - 1),
            "score": score[row],
        }
    )


def _histories(model: Recommender, corpus: Corpus, at: int | None, skip_unknown: bool) -> tuple[Events, np.ndarray]:
    """Everyone's events, sorted by time, ties as in the source; and the numbers of those who have any."""
    missing = 0 if skip_unknown else None
    known = np.concatenate([[0], model.inputs.items.index(corpus.items.series, missing=missing)])
    order = np.lexsort((corpus.time, corpus.user))
    order = order[known[corpus.item[order]] > 0]
    people, counts = np.unique(corpus.user[order], return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    time = corpus.time[order]
    last = time[offsets[1:] - 1]
    if at is not None and len(last) and last.max() > at:
        name = corpus.users.id(int(people[last.argmax()]))
        raise DataError(f"User '{name}' has an event at {last.max()}, after the request at {at}; ask later.")
    moment = last if at is None else np.full_like(last, at)
    return Events(known[corpus.item[order]], time, offsets, moment), people.astype(np.int64)
