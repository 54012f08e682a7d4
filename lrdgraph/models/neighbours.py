"""Baselines that need no training: what is near the events of a history, by who chose it or by what its text says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.graph.candidates import strongest
from lrdgraph.models.base import Recommender, dot, pick
from lrdgraph.models.evidence import Explanation, Pairs, TypedEvidence, add_evidence, explanation
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class TextKNNSettings:
    """Settings of text nearest neighbours.

    Attributes:
        decay: what an event counts for beside the one after it; 1 counts all alike.
        max_length: how many recent events are read.
    """

    decay: Annotated[float, Gt(0), Le(1)] = 1.0
    max_length: Annotated[int, Gt(0)] = 50


@dataclass(frozen=True)
class ItemKNNSettings(TextKNNSettings):
    """Settings of item-kNN.

    Attributes:
        neighbours: ``k``, how many of the most similar items speak for each event.
        shrinkage: added below the fraction, so that a likeness that rests on few people counts less.
    """

    neighbours: Annotated[int, Gt(0)] = 100
    shrinkage: Annotated[float, Ge(0)] = 10.0


def weighted_events(batch: Batch, decay: float) -> tuple[Pairs, Tensor]:
    """The ``Q`` events of all histories, and what each counts for: ``decay`` to the number of events after it."""
    row, column = (batch.history > 0).nonzero(as_tuple=True)
    gap = batch.moment[row, -1] - batch.history_time[row, column]
    weight = decay ** (batch.history.size(1) - 1 - column)
    return Pairs(row, batch.history[row, column], gap), weight


def nearest_by_people(
    user: np.ndarray, item: np.ndarray, num_items: int, neighbours: int, shrinkage: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The most similar items of each item by the people who chose both: ``|U_i ∩ U_j| / (√(|U_i|·|U_j|) + shrinkage)``.

    Args:
        user, item: ``(M,)`` training events; repetitions count once.
        num_items: ``N``.
        neighbours: ``k``; of equals those with the lower index.
        shrinkage: 0 for the plain cosine.

    Returns:
        ``(2, E)`` from each item to its neighbours, and their similarities ``(E,)`` float32; ``E <= N k``.
    """
    shape = (int(user.max(initial=0)) + 1, num_items + 1)
    chosen = sparse.csr_array((np.ones(len(user), np.float32), (user, item)), shape=shape)
    chosen.sum_duplicates()
    chosen.data[:] = 1
    people = chosen.sum(axis=0)
    by_item = chosen.T.tocsr()
    edges, weights = [np.zeros((2, 0), np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, num_items + 1, _ROWS_AT_ONCE):
        both = (by_item[start : start + _ROWS_AT_ONCE] @ chosen).tocoo()
        source, target = both.row.astype(np.int64) + start, both.col.astype(np.int64)
        likeness = both.data * (source != target) / (np.sqrt(people[source] * people[target]) + shrinkage)
        kept = strongest(source, target, likeness, neighbours)
        edges.append(np.stack([source[kept], target[kept]]))
        weights.append(likeness[kept].astype(np.float32))
    return torch.from_numpy(np.concatenate(edges, axis=1)), torch.from_numpy(np.concatenate(weights))


@register("item-knn")
class ItemKNN(Recommender):
    """``s(u, c) = Σ_h decay^(events after h) · sim(h, c)``, over those ``c`` that are among the neighbours of ``h``.

    Source: Deshpande and Karypis, *Item-Based Top-N Recommendation Algorithms* (TOIS 2004), with the cosine; an event
    that occurs twice counts twice.
    """

    Settings = ItemKNNSettings
    trainable = False
    reads_moment = False

    def __init__(self, inputs: ModelInputs, settings: ItemKNNSettings) -> None:
        super().__init__(inputs, settings)
        self.max_length = settings.max_length
        user, item, _ = inputs.events.numpy()
        edges, weight = nearest_by_people(user, item, inputs.num_items, settings.neighbours, settings.shrinkage)
        self.evidence = TypedEvidence(edges, torch.zeros_like(edges[0]), weight, inputs.num_items)

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        pairs, weight = weighted_events(batch, self.settings.decay)
        start = torch.zeros(len(batch), self.inputs.num_items + 1, device=weight.device)
        return pick(add_evidence(start, [self.evidence(pairs, weight[:, None])]), candidates)

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation:
        """One part for each event that has the candidate among its neighbours."""
        pairs, weight = weighted_events(batch, self.settings.decay)
        return explanation(pairs, [self.evidence.explain(pairs, weight[:, None], candidates)], ("companion",))


@register("text-knn")
class TextKNN(Recommender):
    """``s(u, c) = Σ_h w_h · cos(t_h, t_c) / Σ_h w_h``, with ``w_h = decay^(events after h)``.

    Language vectors are centred over the items that have one; an item without text is like nothing.
    """

    Settings = TextKNNSettings
    trainable = False
    reads_text = True
    reads_moment = False
    text: Tensor
    mean: Tensor

    def __init__(self, inputs: ModelInputs, settings: TextKNNSettings) -> None:
        super().__init__(inputs, settings)
        self.max_length = settings.max_length
        text = inputs.need_text("text-knn").float()
        self.register_buffer("text", text, persistent=False)
        # kept with the model, so that items added later leave the old ones as they were
        self.register_buffer("mean", text[text.norm(dim=1) > 0].mean(0).nan_to_num())

    def directions(self) -> Tensor:
        """Centred language vectors of length 1, ``(N + 1, T)``; zero for an item without text."""

        def centred() -> Tensor:
            described = self.text.norm(dim=1, keepdim=True) > 0
            return F.normalize(self.text - self.mean, dim=1) * described

        return self.kept("directions", centred)

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        direction = self.directions()
        pairs, weight = weighted_events(batch, self.settings.decay)
        query = direction.new_zeros(len(batch), direction.size(1))
        query.index_add_(0, pairs.position, direction[pairs.item] * weight[:, None])
        total = weight.new_zeros(len(batch)).index_add_(0, pairs.position, weight)
        query = query / total.clamp(min=1)[:, None]
        return dot(query, direction, direction.new_zeros(len(direction)), candidates)

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation:
        """One part for every event and candidate; the parts of a candidate add up to its score."""
        direction = self.directions()
        pairs, weight = weighted_events(batch, self.settings.decay)
        total = weight.new_zeros(len(batch)).index_add_(0, pairs.position, weight)
        share = weight / total[pairs.position]
        value = (direction[candidates[pairs.position]] @ direction[pairs.item][:, :, None]).squeeze(2) * share[:, None]
        pair, column = torch.ones_like(value).nonzero(as_tuple=True)
        return explanation(pairs, [(pair, column, torch.zeros_like(pair), value.flatten())], ("lookalike",))
