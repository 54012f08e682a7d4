"""Baselines that need no training: how popular an item is, and how many edges lead to it from the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.base import Recommender, pick
from lrdgraph.models.evidence import (
    Explanation,
    Pairs,
    TypedEvidence,
    add_evidence,
    explanation,
    history_pairs,
    last_columns,
)
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register

TIE_BREAK = 1e-6
"""What the most popular item gains at most; one edge of weight 1 counts 1."""


@dataclass(frozen=True)
class PopularitySettings:
    """Popularity has no settings."""


@register("popularity")
class Popularity(Recommender):
    """``s(u, c)`` is the number of training events of ``c``, the same for everyone."""

    Settings = PopularitySettings
    trainable = False
    reads_moment = False
    max_length = 1
    popularity: Tensor

    def __init__(self, inputs: ModelInputs, settings: PopularitySettings) -> None:
        super().__init__(inputs, settings)
        self.register_buffer("popularity", inputs.popularity, persistent=False)

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        return pick(self.popularity.expand(len(batch), -1), candidates)


@dataclass(frozen=True)
class RelationCountSettings:
    """Settings of the count of edges.

    Attributes:
        relations: names in the item graph, inverses by their own name (``"complement^-1"``); empty for all that join
            items, inverses included.
        tie_break: ``"popularity"`` orders items of one count by their training events, ``"none"`` leaves them tied.
        max_length: how many recent events are counted.
    """

    relations: tuple[str, ...] = ()
    tie_break: Literal["none", "popularity"] = "none"
    max_length: Annotated[int, Gt(0)] = 300


@register("relation-count")
class RelationCount(Recommender):
    """``s(u, c) = Σ_h Σ_r A_r[h, c]``: the edges, by weight, that lead from events of the history to the candidate.

    An event that occurs twice counts twice. It is the evidence of the flagship with nothing learned.

    Raises:
        ConfigError: there is no graph, or none of the relations joins two items.
        UnknownIdError: the graph has no relation of that name.
    """

    Settings = RelationCountSettings
    trainable = False
    reads_moment = False
    tie_break: Tensor

    def __init__(self, inputs: ModelInputs, settings: RelationCountSettings) -> None:
        super().__init__(inputs, settings)
        graph = inputs.need_graph("relation-count")
        self.max_length = settings.max_length
        self.labels = tuple(relation.label for relation in graph.relations)
        names = settings.relations or graph.relations.names
        types = torch.tensor([graph.relations.index(name) for name in names], dtype=torch.int64)
        kept = (graph.edge_index <= inputs.num_items).all(0) & torch.isin(graph.edge_type, types)
        if not bool(kept.any()):
            raise ConfigError(f"No edge of {', '.join(names) or 'the graph'} joins two items; count another relation.")
        self.evidence = TypedEvidence(
            graph.edge_index[:, kept], graph.edge_type[kept], graph.edge_weight[kept], inputs.num_items
        )
        # in float64, where so small an addend still tells every two counts of events apart
        share = inputs.popularity.double() / (1 + inputs.popularity.double().max()) * TIE_BREAK
        used = share if settings.tie_break == "popularity" else torch.zeros_like(share)
        self.register_buffer("tie_break", used, persistent=False)

    def _pairs(self, batch: Batch) -> tuple[Pairs, Tensor]:
        """The events of each history, and ``κ (Q, R)`` of ones."""
        pairs = history_pairs(batch.history, batch.history_time, batch.moment, last_columns(batch))
        return pairs, torch.ones(len(pairs.item), len(self.labels), device=pairs.item.device)

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        start = self.tie_break.expand(len(batch), -1)
        return pick(add_evidence(start, [self.evidence(*self._pairs(batch))]), candidates)

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation:
        pairs, kernel = self._pairs(batch)
        return explanation(pairs, [self.evidence.explain(pairs, kernel, candidates)], self.labels)
