"""Small made-up targets and scorers, and the slow reference they are ranked by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lrdgraph.batch import Batch
from lrdgraph.evaluation import EvaluationSettings
from lrdgraph.splits import Sequences, Targets


def make_targets(seed: int, users: int, items: int, width: int = 9, longest: int = 9) -> Targets:
    """One target a user, the last of 2 … ``longest`` events; items repeat in histories and in candidate lists."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(2, longest + 1, users)
    offsets = np.concatenate([[0, 0], np.cumsum(counts)])
    events = Sequences(rng.integers(1, items + 1, counts.sum()), np.arange(counts.sum()) * 10, offsets)
    end = offsets[2:] - 1
    return Targets(
        user=np.arange(1, users + 1),
        item=events.item[end],
        time=events.time[end],
        start=offsets[1:-1],
        end=end,
        tied=rng.random(users) < 0.3,
        candidates=rng.integers(0, items + 1, (users, width)) if width else None,
        events=events,
    )


class Table:
    """Scores from a ``(users + 1, N + 1)`` table; remembers the widths it was asked for."""

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.widths: list[int] = []

    def __call__(self, batch: Batch, candidates: Tensor | None) -> Tensor:
        scores = self.table[batch.user]
        if candidates is not None:
            scores = scores[:, candidates] if candidates.dim() == 1 else scores.gather(1, candidates)
        self.widths.append(scores.shape[1])
        return scores


def coarse(seed: int, users: int, items: int, levels: int = 4) -> Table:
    """Random scores of a few levels, so that many tie."""
    generator = torch.Generator().manual_seed(seed)
    return Table(torch.randint(0, levels, (users + 1, items + 1), generator=generator).float())


def slow_ranks(table: Tensor, targets: Targets, settings: EvaluationSettings, num_items: int) -> dict[str, list[float]]:
    """Ranks by loops over users and items, from the words of the documentation."""
    share = {"optimistic": 0.0, "realistic": 0.5, "pessimistic": 1.0}[settings.ties]
    ranks: dict[str, list[float]] = {"full": [], "candidates": []}
    for p in range(len(targets)):
        score = table[targets.user[p]].tolist()
        target = int(targets.item[p])
        seen = set(targets.events.item[targets.start[p] : targets.end[p]].tolist()) if settings.filter_seen else set()
        fields = {"full": [i for i in range(1, num_items + 1) if i != target and i not in seen]}
        if targets.candidates is not None:
            fields["candidates"] = [i for i in targets.candidates[p].tolist() if i != 0]
        for name, competitors in fields.items():
            rank = 1.0
            for item in competitors:
                if score[item] > score[target]:
                    rank += 1
                elif score[item] == score[target]:
                    rank += share
            ranks[name].append(rank)
    return ranks
