"""Histories as padded tensors: what every recommender reads.

Sequences stand in one flat array; a batch is gathered from it with one index, never collated row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lrdgraph.splits import Sequences, Targets

RequestTime = Literal["target", "last-event"]


@dataclass(frozen=True)
class Batch:
    """``B`` histories of at most ``L`` events, right-aligned: the last column is the most recent, 0 pads the left.

    Attributes:
        user: ``(B,)`` int64, 0 for a person outside the corpus.
        history, history_time: ``(B, L)`` int64 items and seconds.
        target: ``(B, L)`` int64, the item after each column, in training only; 0 where none is learned.
        moment: ``(B, L)`` int64, when a recommendation after each column would be asked for.
    """

    user: Tensor
    history: Tensor
    history_time: Tensor
    moment: Tensor
    target: Tensor | None = None

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, rows: slice | Tensor) -> Batch:
        """Some of its histories, by a slice, a mask ``(B,)`` or positions."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[rows] for k, v in held.items() if v is not None})

    def to(self, device: torch.device | str) -> Batch:
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in moved.items() if v is not None})


def windows(start: np.ndarray, end: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions ``(B, length)`` of the last ``length`` events of ``start:end``, right-aligned, and which are real."""
    at = end[:, None] - length + np.arange(length)[None, :]
    real = at >= start[:, None]
    return np.where(real, at, 0), real


def target_batch(targets: Targets, rows: np.ndarray, length: int, request: RequestTime = "target") -> Batch:
    """Histories of evaluation targets.

    Args:
        targets: what is to be predicted.
        rows: ``(B,)`` positions in ``targets``.
        length: at most this many events, the most recent ones.
        request: the moment of the request is the target's time, as KDA assumes, or that of the last event.
    """
    at, real = windows(targets.start[rows], targets.end[rows], length)
    times = targets.events.time
    moment = targets.time[rows] if request == "target" else times[targets.end[rows] - 1]
    history_time = np.where(real, times[at], 0)
    return history_batch(np.where(real, targets.events.item[at], 0), history_time, moment, targets.user[rows])


def history_batch(history: np.ndarray, history_time: np.ndarray, moment: np.ndarray, user: np.ndarray) -> Batch:
    """A batch from right-aligned ``(B, L)`` arrays and the ``(B,)`` moment of each request."""
    moments = np.concatenate([history_time[:, 1:], np.asarray(moment)[:, None]], axis=1)
    return Batch(
        user=torch.from_numpy(user),
        history=torch.from_numpy(history),
        history_time=torch.from_numpy(history_time),
        moment=torch.from_numpy(np.where(history > 0, moments, 0)),
    )


def training_windows(sequences: Sequences, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut every user's events into windows of at most ``length`` transitions, from the end backwards.

    Returns:
        ``start, end`` ``(W,)``: a window learns the transitions from ``start:end`` to ``start + 1:end + 1``. Each
        transition of each user stands in exactly one window; users with one event have none.
    """
    transitions = np.maximum(np.diff(sequences.offsets) - 1, 0)
    counts = -(-transitions // length)
    user = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    end = sequences.offsets[user + 1] - 1 - nth * length
    return np.maximum(end - length, sequences.offsets[user]), end


def training_instances(sequences: Sequences, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A window for each transition, with all of the history before it, up to ``length`` events.

    Returns:
        ``start, end`` ``(W,)``: the event at ``end`` is learnt from ``start:end``; read them with
        ``training_batch(..., last_alone=True)``.
    """
    at = np.arange(len(sequences.item))
    first = np.repeat(sequences.offsets[:-1], np.diff(sequences.offsets))
    end = at[at > first]
    return np.maximum(end - length, first[end]), end


def epoch_order(lengths: np.ndarray, batch_size: int, rng: np.random.Generator, pool: int = 16) -> list[np.ndarray]:
    """Rows of each batch of one epoch, in random order, with windows of like length together.

    Rows are shuffled, sorted by length within pools of ``pool`` batches, cut so that every batch learns about the same
    number of transitions, and the batches shuffled: little of a batch is padding, and every transition weighs alike.

    Args:
        lengths: ``(W,)`` transitions of each window.
        batch_size: rows per batch on average; ``ceil(W / batch_size)`` batches at most.
        rng: the only source of chance.
        pool: batches that are sorted together.
    """
    order = rng.permutation(len(lengths))
    group = np.arange(len(order)) // (batch_size * pool)
    order = order[np.lexsort((lengths[order], group))]
    steps = -(-len(order) // batch_size)
    learnt = np.cumsum(lengths[order])
    cuts = np.searchsorted(learnt, learnt[-1] * np.arange(1, steps) / steps, side="right")
    batches = [rows for rows in np.split(order, cuts) if len(rows)]
    return [batches[i] for i in rng.permutation(len(batches))]


def training_batch(
    sequences: Sequences, start: np.ndarray, end: np.ndarray, length: int, *, last_alone: bool = False
) -> Batch:
    """Histories with the next item of every column, for windows from :func:`training_windows`.

    Args:
        sequences: training events.
        start, end: ``(B,)`` windows.
        length: ``L`` at most; columns that would be padding in every row are left out.
        last_alone: the last column alone has a target, for windows from :func:`training_instances`.
    """
    at, real = windows(start, end, min(length, int((end - start).max())))
    following = np.where(real, at + 1, 0)
    learnt = real & (np.arange(real.shape[1]) == real.shape[1] - 1) if last_alone else real
    user = np.searchsorted(sequences.offsets, start, side="right") - 1
    return Batch(
        user=torch.from_numpy(user),
        history=torch.from_numpy(np.where(real, sequences.item[at], 0)),
        history_time=torch.from_numpy(np.where(real, sequences.time[at], 0)),
        moment=torch.from_numpy(np.where(real, sequences.time[following], 0)),
        target=torch.from_numpy(np.where(learnt, sequences.item[following], 0)),
    )
