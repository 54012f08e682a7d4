"""People and items as vectors: what models that know a person by number share, and matrix factorisation itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.models.base import Recommender, dot
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.negatives import UnseenItems
from lrdgraph.models.registry import register
from lrdgraph.nn.losses import bpr


@dataclass(frozen=True)
class PersonalSettings:
    """Settings of models with a vector for each person.

    Attributes:
        hidden_channels: ``D``.
        max_length: events of a training row; so many recent ones speak for a stranger.
    """

    hidden_channels: Annotated[int, Gt(0)] = 64
    max_length: Annotated[int, Gt(0)] = 50


class PersonalRecommender(Recommender):
    """A table of people and one of items, learnt from all events of each training row, the first among them.

    A stranger (user 0), and a person with fewer than two training events, of whom there is no training row, is the mean
    of the items of the history; without a history, the mean of all people who are known.
    """

    reads_moment = False
    known: Tensor

    def __init__(self, inputs: ModelInputs, settings: PersonalSettings) -> None:
        super().__init__(inputs, settings)
        self.max_length = settings.max_length
        self.people = nn.Embedding(inputs.num_users + 1, settings.hidden_channels)
        self.items = nn.Embedding(inputs.num_items + 1, settings.hidden_channels)
        nn.init.normal_(self.people.weight, std=0.1)
        nn.init.normal_(self.items.weight, std=0.1)
        self.register_buffer(
            "known", torch.bincount(inputs.events[0], minlength=inputs.num_users + 1) >= 2, persistent=False
        )
        self.unseen = UnseenItems(inputs.had[0], inputs.had[1], inputs.num_items)

    def tables(self) -> tuple[Tensor, Tensor]:
        """Vectors of people ``(U + 1, D)`` and items ``(N + 1, D)`` as scores read them."""
        return self.people.weight, self.items.weight

    def scoring_tables(self) -> tuple[Tensor, Tensor]:
        """The same, :meth:`kept` between calls."""
        return self.kept("tables", self.tables)

    def events(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Users and items ``(P,)`` of all events of the rows of a training batch, the last targets included."""
        row, _, item = every_event(batch)
        return batch.user[row], item

    def asking(self, batch: Batch, people: Tensor, items: Tensor) -> Tensor:
        """Vectors ``(B, D)`` of those who ask, strangers included."""
        real = (batch.history > 0)[:, :, None]
        mean = (items[batch.history] * real).sum(1) / real.sum(1).clamp(min=1)
        everyone = people[self.known].sum(0) / self.known.sum().clamp(min=1)
        stranger = torch.where(real.any(1), mean, everyone)
        return torch.where(self.known[batch.user][:, None], people[batch.user], stranger)


def every_event(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and item ``(P,)`` of all events of a training batch; the last targets stand in column ``L``.

    Of a person with several windows, the event between two is the last of one and the first of the next, and is learnt
    twice.
    """
    assert batch.target is not None
    items = torch.cat([batch.history, batch.target[:, -1:]], dim=1)
    row, column = items.nonzero(as_tuple=True)
    return row, column, items[row, column]


@dataclass(frozen=True)
class FactorizationSettings(PersonalSettings):
    """Settings of matrix factorisation.

    Attributes:
        num_negatives: random items for each event, none of which its person has in training.
        l2: weight of ``½·|v|²``, summed over the vectors of an event's person, its item and its negatives.
    """

    num_negatives: Annotated[int, Gt(0)] = 1
    l2: Annotated[float, Ge(0)] = 1e-4


@register("bpr-mf")
class BPRMF(PersonalRecommender):
    """``s(u, c) = p_u · q_c``, learnt so that what a person has scores above what she has not.

    Source: Rendle et al., *BPR: Bayesian Personalized Ranking from Implicit Feedback* (arXiv 1205.2618).
    Negatives come from the whole catalogue.
    """

    Settings = FactorizationSettings

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        people, items = self.tables()
        user, item = self.events(batch)
        drawn = self.unseen(user, self.settings.num_negatives)  # (P, C)
        person = people[user]
        ranking = bpr((person * items[item]).sum(1), (items[drawn] @ person[:, :, None]).squeeze(2))
        # on what is learnt, whatever the tables make of it
        learnt = self.people(user).square().sum() + self.items(item).square().sum() + self.items(drawn).square().sum()
        total = ranking + self.settings.l2 * learnt / (2 * len(user))
        return {"total": total, "recommendation": ranking.detach()}

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        people, items = self.scoring_tables()
        return dot(self.asking(batch, people, items), items, items.new_zeros(len(items)), candidates)
