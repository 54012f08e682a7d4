"""Scores in the two parts that an index can serve: an inner product, and what the edges of the history add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.base import Recommender
from lrdgraph.models.cfkg import BUY, CFKG
from lrdgraph.models.evidence import history_pairs, last_columns
from lrdgraph.models.factorization import BPRMF
from lrdgraph.models.flagship import Flagship
from lrdgraph.models.sequential import SequentialRecommender


@dataclass(frozen=True)
class InnerProduct:
    """``s(u, c) = q(u) · v_c``, but for what edges add to ``c`` and what is the same for all items.

    Attributes:
        items: ``v (N + 1, D')`` as of a moment in seconds; after the last training event where None.
        query: ``B`` histories to ``q (B, D')``.
        neighbours: ``B`` histories to row ``(X,)`` and item ``(X,)`` of every edge that leaves their events; pairs may
            repeat. None for a model whose scores read no edges.
    """

    items: Callable[[int | None], Tensor]
    query: Callable[[Batch], Tensor]
    neighbours: Callable[[Batch], tuple[Tensor, Tensor]] | None = None


def inner_product(model: Recommender) -> InnerProduct:
    """How an index can serve a model.

    Raises:
        ConfigError: the model's score is of another kind. A subclass with a score of its own is another model.
    """
    score = type(model).score
    if isinstance(model, SequentialRecommender) and score in (SequentialRecommender.score, Flagship.score):
        neighbours = partial(_neighbours, model) if isinstance(model, Flagship) and model.settings.evidence else None
        return InnerProduct(partial(_with_bias, model), partial(_encoded, model), neighbours)
    if isinstance(model, BPRMF) and score is BPRMF.score:
        return InnerProduct(lambda _: model.scoring_tables()[1], lambda b: model.asking(b, *model.scoring_tables()))
    if isinstance(model, CFKG) and score is CFKG.score:
        return InnerProduct(lambda _: _with_length(model.items.weight), partial(_translated, model))
    raise ConfigError(
        f"The score of {type(model).__name__} is no inner product of a history and an item, so that an index cannot "
        "serve it; recommend without an index, or serve the flagship, SASRec, TiSASRec, BERT4Rec, GRU4Rec, NARM, "
        "BPR-MF, LightGCN or CFKG."
    )


def _with_bias(model: SequentialRecommender, at: int | None) -> Tensor:
    """``x̃`` with one more column, which the query meets with 1: bias and, where it is read, recent popularity.

    How much each half-life counts is the same for all requests, so that popularity is one number for each item and
    step of time. Moments after the last training event all read the last step.
    """
    column = model.bias
    if model.trend is not None:
        # a moment after every step, where none is asked for
        moment = torch.tensor([2**62 if at is None else at], device=column.device)
        column = column + model.trend(moment)[0]
    return torch.cat([model.scoring_vectors(), column[:, None]], dim=1)


def _encoded(model: SequentialRecommender, batch: Batch) -> Tensor:
    return F.pad(model.scoring_query(batch), (0, 1), value=1)


def _neighbours(model: Flagship, batch: Batch) -> tuple[Tensor, Tensor]:
    length = model.settings.evidence_length
    pairs = history_pairs(batch.history, batch.history_time, model.moments(batch), last_columns(batch), length)
    modules = (model.typed_evidence, model.latent_evidence)
    lists = [module.edges for module in modules if module is not None]
    found = [(edges, *edges.expand(pairs.item)) for edges in lists]
    row = torch.cat([pairs.position[owner] for _, owner, _ in found])
    return row, torch.cat([edges.target[edge] for edges, _, edge in found])


def _with_length(items: Tensor) -> Tensor:
    """``−‖q − e‖² = q · 2e − ‖e‖² − ‖q‖²``, of which the last is the same for all items."""
    return torch.cat([2 * items, -items.square().sum(1, keepdim=True)], dim=1)


def _translated(model: CFKG, batch: Batch) -> Tensor:
    people, items = model.tables()
    return F.pad(model.asking(batch, people + model.relations.weight[BUY], items), (0, 1), value=1)
