"""A recommender whose weights and metrics can be worked out by hand, and the corpus it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.corpus import Corpus
from lrdgraph.models.base import Recommender, pick
from lrdgraph.models.inputs import model_inputs
from lrdgraph.splits import Split, split
from lrdgraph.vocabulary import Vocabulary

USERS, ITEMS = 6, 8


def corpus(length: int = 4) -> Corpus:
    """Everyone takes item 1, then 2, then 3, then 4; the last two are what is validated and tested."""
    return Corpus(
        name="line",
        users=Vocabulary([f"u{n}" for n in range(USERS)], "user"),
        items=Vocabulary([f"i{n}" for n in range(ITEMS)]),
        user=np.repeat(np.arange(1, USERS + 1), length),
        item=np.tile(np.arange(1, length + 1), USERS),
        time=np.tile(np.arange(1, length + 1) * 86_400, USERS),
        fields=pl.DataFrame(),
    )


def parts() -> Split:
    return split(corpus())


@dataclass(frozen=True)
class NoSettings:
    """None at all."""


class Scripted(Recommender):
    """Loss ``slope · (Σ matrix + Σ vector)``, so that Adam moves every weight by the learning rate, no more or less.

    Args:
        ranks: rank of the validation target after each epoch.
        slope: gradient of the loss, one for each epoch (the last holds on).
    """

    Settings = NoSettings

    def __init__(self, ranks: Sequence[int] = (1,), slope: Sequence[float] = (1.0,)) -> None:
        super().__init__(model_inputs(corpus(), parts().training()), NoSettings())
        self.ranks, self.slope, self.now = ranks, slope, 0
        self.matrix = nn.Parameter(torch.zeros(1, 1))
        self.vector = nn.Parameter(torch.zeros(1))
        self.trail: list[float] = []
        self.validated: list[float] = []

    def start_epoch(self, epoch: int) -> None:
        self.now, self.step = epoch, 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        self.trail.append(self.vector.item())
        self.step += 1
        slope = self.slope[min(self.now, len(self.slope) - 1)]
        total = slope * (self.matrix.sum() + self.vector.sum())
        return {"total": total, "steps": torch.tensor(10.0 * self.now + self.step)}

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        self.validated.append(self.vector.item())
        scores = torch.arange(ITEMS + 1).float()
        # items 4 … 8 score as they are called; item 3 comes in just below enough of them
        scores[3] = ITEMS + 1.5 - self.ranks[min(self.now, len(self.ranks) - 1)]
        return pick(scores.expand(len(batch), -1), candidates)
