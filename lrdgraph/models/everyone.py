"""Recommendations for everyone in a corpus, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.models.recommend import ROWS_AT_ONCE, Events, allowed_items, evaluating, ranked

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
    exclude: Iterable[str] = (),
    strangers: bool = False,
) -> pl.DataFrame:
    """The best ``k`` items for each person of a corpus after all that she did; as ``recommend``, without reasons.

    Args:
        model: any recommender.
        corpus: that of training, or a later one that holds no other items; its whole history is read.
        k: items for each person; fewer where the catalogue has no more.
        at: the moment of the requests, in seconds; that of each person's last event where None.
        filter_seen: leave out what a person had.
        only, exclude: external ids of the items that may be recommended, and of those that may not.
        strangers: take nobody for a person of training; to be set where people are not numbered as they were then.

    Returns:
        ``user``, ``rank`` from 1, ``item`` and ``score``: people in the order of the corpus, each from the best on.
        Who has no event is not among them.

    Raises:
        ConfigError: ``k`` is below 1.
        UnknownIdError: an item of the corpus, or one that is named, is none the model knows.
        DataError: an event lies after ``at``, or there are people the model was not trained with.
    """
    if k < 1:
        raise ConfigError(f"k must be 1 or more; got {k}.")
    if not strangers and corpus.num_users > model.inputs.num_users:
        raise DataError(
            f"The corpus has {corpus.num_users} people and the model was trained with {model.inputs.num_users}; "
            "set strangers."
        )
    events, people = _histories(model, corpus, at)
    person = np.zeros_like(people) if strangers else people
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


def _histories(model: Recommender, corpus: Corpus, at: int | None) -> tuple[Events, np.ndarray]:
    """Everyone's events, sorted by time, ties as in the source; and the numbers of those who have any."""
    known = np.concatenate([[0], model.inputs.items.index(corpus.items.series)])
    order = np.lexsort((corpus.time, corpus.user))
    people, counts = np.unique(corpus.user, return_counts=True)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    time = corpus.time[order]
    last = time[offsets[1:] - 1]
    if at is not None and len(last) and last.max() > at:
        name = corpus.users.id(int(people[last.argmax()]))
        raise DataError(f"User '{name}' has an event at {last.max()}, after the request at {at}; ask later.")
    moment = last if at is None else np.full_like(last, at)
    return Events(known[corpus.item[order]], time, offsets, moment), people.astype(np.int64)
