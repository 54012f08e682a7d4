"""Which interactions are learned from, which are chosen by, and which are reported on.

One rule for order: a user's events are sorted by (role, time, position in the source), stably, once. For leave-one-out
and temporal splits role follows time, so this is the order of time with ties broken by the source.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from lrdgraph.corpus import ROLES, TEST, TRAIN, VALIDATION, Corpus
from lrdgraph.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Sequences:
    """Events of all users in one flat array; user ``u`` owns ``offsets[u]:offsets[u + 1]``.

    Attributes:
        item, time: ``(M,)`` int64.
        offsets: ``(U + 2,)`` int64; user 0 is padding and owns nothing.
    """

    item: np.ndarray
    time: np.ndarray
    offsets: np.ndarray

    @property
    def num_users(self) -> int:
        return len(self.offsets) - 2

    @property
    def user(self) -> np.ndarray:
        """User of each event, ``(M,)``."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class Targets:
    """Events to be predicted, each from the events of the same user before it.

    Attributes:
        user, item, time: ``(P,)`` int64 of the target.
        start, end: ``(P,)`` int64; the history is ``events.item[start:end]``.
        tied: ``(P,)`` bool, the target has the time of the event before it.
        candidates: ``(P, C)`` int64 published negatives, or None.
        events: the flat sequences that start and end point into.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    start: np.ndarray
    end: np.ndarray
    tied: np.ndarray
    candidates: np.ndarray | None
    events: Sequences

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, eq=False)
class Split:
    """A corpus's interactions in reading order, each with a role.

    Attributes:
        name: ``"given"``, ``"leave-one-out"`` or ``"temporal"``.
        events: all events, sorted.
        role: ``(M,)`` int8, sorted like the events.
        source: ``(M,)`` int64, each event's row in the corpus.
        num_items: ``N``.
    """

    name: str
    events: Sequences
    role: np.ndarray
    source: np.ndarray
    num_items: int
    _candidates: dict[str, np.ndarray]
    _rank: np.ndarray

    def training(self) -> Sequences:
        """Training events alone; nothing in it depends on a validation or test event."""
        keep = self.role == TRAIN
        counts = np.bincount(self.events.user[keep], minlength=len(self.events.offsets) - 1)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Sequences(self.events.item[keep], self.events.time[keep], offsets)

    def targets(self, role: str) -> Targets:
        """The events of ``"validation"`` or ``"test"`` that have at least one event before them.

        Raises:
            ConfigError: ``role`` is not one of the two.
        """
        if role not in ("validation", "test"):
            raise ConfigError(f"There are no targets for '{role}'; ask for 'validation' or 'test'.")
        user = self.events.user
        at = np.flatnonzero((self.role == ROLES[role]) & (np.arange(len(user)) > self.events.offsets[user]))
        lists = self._candidates.get(role)
        return Targets(
            user=user[at],
            item=self.events.item[at],
            time=self.events.time[at],
            start=self.events.offsets[user[at]],
            end=at,
            tied=self.events.time[at] == self.events.time[at - 1],
            candidates=None if lists is None else lists[self._rank[at]],
            events=self.events,
        )

    def __repr__(self) -> str:
        n = np.bincount(self.role, minlength=3)
        return f"Split({self.name}: {n[TRAIN]:,} train, {n[VALIDATION]:,} validation, {n[TEST]:,} test events)"


def split(corpus: Corpus, how: str = "auto", *, fractions: tuple[float, float] = (0.8, 0.9)) -> Split:
    """Assign a role to every interaction.

    Args:
        corpus: the corpus.
        how: ``"given"`` uses the corpus's own split; ``"leave-one-out"`` tests on each user's last event and validates
            on the one before (users with fewer than three events only train); ``"temporal"`` cuts all users at two
            moments, the quantiles ``fractions`` of all times; ``"auto"`` is given where there is one, else
            leave-one-out.
        fractions: share of interactions before validation and before test, for ``"temporal"``.

    Raises:
        ConfigError: an unknown ``how`` or fractions that do not rise within (0, 1).
        DataError: ``"given"`` is asked of a corpus that publishes no split.
    """
    if how == "auto":
        how = "given" if corpus.split is not None else "leave-one-out"
    if how == "given":
        if corpus.split is None:
            raise DataError(f"Corpus '{corpus.name}' publishes no split; use 'leave-one-out' or 'temporal'.")
        role = corpus.split
    elif how == "leave-one-out":
        role = _leave_one_out(corpus)
    elif how == "temporal":
        role = _temporal(corpus, fractions)
    else:
        raise ConfigError(f"Unknown split '{how}'; known are given, leave-one-out, temporal and auto.")
    order = np.lexsort((corpus.time, role, corpus.user))
    counts = np.bincount(corpus.user, minlength=corpus.num_users + 1)
    events = Sequences(corpus.item[order], corpus.time[order], np.concatenate([[0], np.cumsum(counts)]))
    rank = np.zeros(len(corpus), dtype=np.int64)
    for value in ROLES.values():
        rank[role == value] = np.arange(int((role == value).sum()))
    lists = corpus.candidates if how == "given" else {}
    return Split(how, events, role[order], order, corpus.num_items, lists, rank[order])


def _leave_one_out(corpus: Corpus) -> np.ndarray:
    order = np.lexsort((corpus.time, corpus.user))
    user = corpus.user[order]
    counts = np.bincount(user, minlength=corpus.num_users + 1)
    from_end = np.cumsum(counts)[user] - 1 - np.arange(len(user))
    long_enough = counts[user] >= 3
    role = np.full(len(user), TRAIN, dtype=np.int8)
    role[order] = np.where(
        long_enough & (from_end == 0), TEST, np.where(long_enough & (from_end == 1), VALIDATION, TRAIN)
    )
    return role


def _temporal(corpus: Corpus, fractions: tuple[float, float]) -> np.ndarray:
    low, high = fractions
    if not 0 < low < high < 1:
        raise ConfigError(f"Temporal fractions must rise within (0, 1); got {low} and {high}.")
    if not len(corpus):
        raise DataError(f"{corpus.name} has no interactions to cut in time; check what was left out of it.")
    # "higher" keeps a cut on a time that occurs, and all events of one moment on the same side of it
    first, second = np.quantile(corpus.time, [low, high], method="higher")
    return np.where(corpus.time < first, TRAIN, np.where(corpus.time < second, VALIDATION, TEST)).astype(np.int8)


def targets_hash(corpus: Corpus, targets: Targets) -> str:
    """SHA-256 (hex) over external ids, moments and candidates of all targets; history and graph are no part of it."""
    digest = hashlib.sha256()
    for vocabulary, index in ((corpus.users, targets.user), (corpus.items, targets.item)):
        digest.update("\x1f".join(vocabulary.ids(index)).encode())
    digest.update(np.ascontiguousarray(targets.time, dtype=np.int64).tobytes())
    if targets.candidates is not None:
        listed = pl.concat([pl.Series([""]), corpus.items.series]).gather(targets.candidates.ravel())
        digest.update("\x1f".join(listed).encode())
    return digest.hexdigest()
