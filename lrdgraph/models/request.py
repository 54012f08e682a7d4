"""What is asked of a recommender: histories of external ids, their moments and people, and what may be recommended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lrdgraph.models.base import Recommender


def check_request(model: Recommender, k: int, reasons: int = 0) -> None:
    """Refuse what no model can answer.

    Raises:
        ConfigError: ``k`` is below 1 or ``reasons`` below 0, or one is no whole number; the model is none.
    """
    if not hasattr(model, "inputs"):
        raise ConfigError(f"A model is needed to recommend, got {type(model).__name__}; give run.model of a run.")
    if not (isinstance(k, int) and isinstance(reasons, int)) or k < 1 or reasons < 0:
        raise ConfigError(f"k must be 1 or more and reasons 0 or more; got k={k!r} and reasons={reasons!r}.")


def allowed_items(items: Vocabulary, only: Iterable[str] | None, exclude: Iterable[str] | None) -> Tensor:
    """Which of padding and ``N`` items may be recommended, ``(N + 1,)`` bool; padding never.

    Raises:
        UnknownIdError: an id is not in the vocabulary.
        DataError: an id is no string, or a string is given where several ids belong.
    """
    allowed = torch.full((len(items) + 1,), only is None)
    if only is not None:
        allowed[torch.tensor(items.index(only))] = True
    if exclude is not None:
        allowed[torch.tensor(items.index(exclude))] = False
    allowed[0] = False
    return allowed


class Events(NamedTuple):
    """Histories in one flat array: row ``b`` owns ``offsets[b]:offsets[b + 1]``, sorted by time."""

    item: np.ndarray
    time: np.ndarray
    offsets: np.ndarray
    moment: np.ndarray


def request_events(
    items: Vocabulary,
    histories: Sequence[Sequence[str]],
    times: Sequence[Sequence[int]] | None,
    at: int | Sequence[int] | None,
    now: int,
) -> Events:
    """Histories as they are given to :func:`lrdgraph.models.recommend.recommend`, sorted by time.

    Raises:
        UnknownIdError, DataError: as there.
    """
    lists = [] if isinstance(histories, str) else list(histories)
    single = histories if isinstance(histories, str) else next((h for h in lists if not _is_list(h)), None)
    if single is not None:
        what = f"the string '{single[:60]}'" if isinstance(single, str) else repr(single)
        raise DataError(f"A history is a list of item ids; got {what}: put it into a list.")
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    if not lengths.all():
        raise DataError(f"History {int(lengths.argmin()) + 1} of {len(lengths)} is empty; give at least one item.")
    ids = list(chain.from_iterable(lists))
    other = next((name for name in ids if not isinstance(name, str)), None)
    if other is not None:
        raise DataError(f"An item id is {other!r} of type {type(other).__name__}; give ids as strings.")
    item = items.index(ids)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    asked = None if at is None else _moments(at, len(lengths))
    if times is None:
        moment = _moments(now, len(lengths)) if asked is None else asked
        return Events(item, np.repeat(moment, lengths), offsets, moment)
    time = _flat_times(times, lengths)
    order = np.lexsort((time, np.repeat(np.arange(len(lengths)), lengths)))
    item, time = item[order], time[order]
    last = time[offsets[1:] - 1]
    moment = last if asked is None else asked
    if (moment < last).any():
        row = int((moment < last).argmax())
        raise DataError(
            f"History {row + 1} of {len(lengths)} has an event at {last[row]}, after the request at {moment[row]}; "
            "leave out later events or ask later."
        )
    return Events(item, time, offsets, moment)


def _moments(at: int | Sequence[int], number: int) -> np.ndarray:
    moments = whole(at, "'at'")
    if moments.ndim > 1 or (moments.ndim == 1 and len(moments) != number):
        raise DataError(f"'at' holds {moments.size} moments for {number} histories; give one, or one for each.")
    return np.broadcast_to(moments, number)


def request_people(users: Sequence[int], events: Events, known: int) -> np.ndarray:
    """Numbers of the people who ask, ``(B,)``, each from 0 to ``known``.

    Raises:
        DataError: they are others, or not as many as histories.
    """
    numbers = whole(users, "'users'", "numbers")
    if numbers.shape != events.moment.shape or (numbers < 0).any() or (numbers > known).any():
        raise DataError(f"'users' must hold, for each of {len(events.moment)} histories, a number from 0 to {known}.")
    return numbers


def _flat_times(times: Sequence[Sequence[int]], lengths: np.ndarray) -> np.ndarray:
    if len(times) != len(lengths):
        raise DataError(f"There are times for {len(times)} histories, and {len(lengths)} histories; give each its own.")
    given = np.fromiter(map(len, times), dtype=np.int64, count=len(times))
    if (given != lengths).any():
        row = int((given != lengths).argmax())
        raise DataError(
            f"History {row + 1} of {len(lengths)} has {lengths[row]} items and {given[row]} times; give each item one."
        )
    return whole(list(chain.from_iterable(times)), "'times'")


def whole(values: Any, name: str, what: str = "seconds since 1970") -> np.ndarray:
    """Whole numbers, or one, as int64.

    Raises:
        DataError: there is something else among them; ``name`` says where, ``what`` what is expected.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # a ragged list
        array = np.asarray(None)
    huge = array.dtype == np.uint64 and bool((array > np.iinfo(np.int64).max).any())
    if (array.dtype.kind not in "iu" and array.size) or huge:
        raise DataError(f"{name} must be whole {what}; got {str(values)[:60]}.")
    return array.astype(np.int64)


def _is_list(history: object) -> bool:
    return hasattr(history, "__len__") and not isinstance(history, str)
