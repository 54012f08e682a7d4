"""Matrix factorisation that related events excite: the shell of SLRC+ and Chorus."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.base import dot, pick
from lrdgraph.models.evidence import EdgeLists, Explanation, Pairs, add_evidence, among, history_pairs, last_columns
from lrdgraph.models.factorization import FactorizationSettings, PersonalRecommender, every_event
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.nn.losses import bpr
from lrdgraph.nn.time import DAY


@dataclass(frozen=True)
class Excitations:
    """What excites candidates: of the events that one relation joins to a candidate, the latest; ``X`` of them.

    Attributes:
        position: ``(X,)`` int64, which of the ``P`` query positions.
        candidate: ``(X,)`` int64 items.
        relation: ``(X,)`` int64 rows of :attr:`LatestEvents.labels`.
        item: ``(X,)`` int64, of the event.
        gap: ``(X,)`` int64 seconds from the event to the request.
    """

    position: Tensor
    candidate: Tensor
    relation: Tensor
    item: Tensor
    gap: Tensor

    def of(self, kept: Tensor) -> Excitations:
        """Some of them, by a mask or positions."""
        return Excitations(
            *(part[kept] for part in (self.position, self.candidate, self.relation, self.item, self.gap))
        )


class LatestEvents(nn.Module):
    """Finds, for each candidate and relation, the latest event of a history that the relation leads from.

    Args:
        graph: of its edges those between items count, inverse ones included.
        repeat: whether an event of the candidate itself counts, as relation 0.
        model: the name an error speaks of.

    Raises:
        ConfigError: no edge joins two items.
    """

    relation: Tensor

    def __init__(self, graph: ItemGraph, repeat: bool, model: str) -> None:
        super().__init__()
        n = graph.num_items
        between = (graph.edge_index <= n).all(0)
        found = graph.edge_type[between].unique()
        if not len(found):
            raise ConfigError(f"Model '{model}' reads relations between items, and no edge of the graph joins two.")
        self.relations = tuple(graph.relations[int(position)] for position in found)
        self.repeat = int(repeat)
        itself = torch.arange(1, n + 1) if repeat else torch.arange(0)
        source, target = torch.cat([itself.expand(2, -1), graph.edge_index[:, between]], dim=1)
        self.edges = EdgeLists(source, target, n)
        row = torch.searchsorted(found, graph.edge_type[between]) + self.repeat
        self.register_buffer("relation", torch.cat([itself * 0, row])[self.edges.order], persistent=False)
        self.num_items = n

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the rows, as a reader sees them."""
        return ("repeat",) * self.repeat + tuple(relation.label for relation in self.relations)

    def forward(self, pairs: Pairs, asked: Tensor | None = None) -> Excitations:
        """Find them for all items, or for rising ``asked = position · (N + 1) + candidate`` ``(K,)`` alone.

        Events of a position are looked at in the order of ``pairs``, whose last is the latest.
        """
        owner, edge = self.edges.expand(pairs.item)
        position, candidate = pairs.position.index_select(0, owner), self.edges.target.index_select(0, edge)
        entry = position * (self.num_items + 1) + candidate
        if asked is not None:
            kept = asked[torch.searchsorted(asked, entry).clamp(max=len(asked) - 1)] == entry
            owner, edge, entry = owner[kept], edge[kept], entry[kept]
        key = entry * len(self.labels) + self.relation.index_select(0, edge)
        key, order = key.sort(stable=True)
        last = order[torch.cat([key[1:] != key[:-1], torch.ones_like(key[:1], dtype=torch.bool)])]
        owner, edge = owner[last], edge[last]
        return Excitations(
            pairs.position[owner], self.edges.target[edge], self.relation[edge], pairs.item[owner], pairs.gap[owner]
        )


@dataclass(frozen=True)
class ExcitationSettings(FactorizationSettings):
    """Settings of SLRC+ and Chorus.

    Attributes:
        days: the unit of time.
    """

    days: Annotated[float, Gt(0)] = 100.0


class ExcitedRecommender(PersonalRecommender):
    """``s(u, c) = p_u · q_c + b_c + Σ_r f_r(Δ_r)``.

    ``Δ_r`` is the time since the latest event of the history that ``r`` joins to ``c``; without one nothing is added.
    Learnt pairwise, from all training events, against items that their person does not have. What relations add can be
    told as reasons.
    """

    reads_moment = True
    name = "excited"
    repeat = False

    def __init__(self, inputs: ModelInputs, settings: ExcitationSettings) -> None:
        super().__init__(inputs, settings)
        self.latest = LatestEvents(inputs.need_graph(self.name), self.repeat, self.name)
        self.bias = nn.Parameter(torch.zeros(inputs.num_items + 1))

    @abstractmethod
    def excite(self, found: Excitations, delta: Tensor, person: Tensor, items: Tensor) -> Tensor:
        """What each of ``X`` events adds to its candidate, ``(X,)``.

        Args:
            found: the events.
            delta: ``(X,)`` time since each, in the unit of the settings.
            person: ``(P, D)`` of each query position.
            items: ``(N + 1, D)``.
        """

    def _excite(self, found: Excitations, person: Tensor, items: Tensor) -> Tensor:
        delta = found.gap.clamp(min=0).to(items.dtype) / (self.settings.days * DAY)
        return self.excite(found, delta, person, items)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        people, items = self.tables()
        row, column, item = every_event(batch)
        user = batch.user[row]
        person = people[user]
        chosen = torch.cat([item[:, None], self.unseen(user, self.settings.num_negatives)], dim=1)  # (P, 1 + C)
        columns = torch.stack([row, column - 1], dim=1)  # what stands before each event; nothing before the first
        pairs = history_pairs(batch.history, batch.history_time, batch.moment, columns)
        rows = torch.arange(len(row), device=row.device)[:, None]
        asked, place = (rows * len(items) + chosen).unique(return_inverse=True)
        found = self.latest(pairs, asked)
        at = torch.searchsorted(asked, found.position * len(items) + found.candidate)
        added = items.new_zeros(len(asked)).index_add(0, at, self._excite(found, person, items))
        vectors = items[chosen]
        scores = (vectors @ person[:, :, None]).squeeze(2) + self.bias[chosen] + added[place]
        ranking = bpr(scores[:, 0], scores[:, 1:])
        learnt = person.square().sum() + vectors.square().sum()
        total = ranking + self.settings.l2 * learnt / (2 * len(user))
        return {"total": total, "recommendation": ranking.detach()}

    def _found(self, batch: Batch) -> Excitations:
        return self.latest(history_pairs(batch.history, batch.history_time, batch.moment, last_columns(batch)))

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        people, items = self.scoring_tables()
        person, found = self.asking(batch, people, items), self._found(batch)
        part = found.position, found.candidate, self._excite(found, person, items)
        return pick(add_evidence(dot(person, items, self.bias, None), [part]), candidates)

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation:
        people, items = self.scoring_tables()
        found = self._found(batch)
        kept, column = among(found.position, found.candidate, candidates)
        found = found.of(kept)
        value = self._excite(found, self.asking(batch, people, items), items)
        return Explanation(found.position, column, found.item, found.relation, found.gap, value, self.latest.labels)


def normal_density(x: Tensor, deviation: Tensor) -> Tensor:
    """Of a normal distribution around 0, for deviations of the shape of ``x``."""
    return torch.exp(-0.5 * (x / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
