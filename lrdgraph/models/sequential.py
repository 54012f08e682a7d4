"""The shell of sequential recommenders: item vectors in, a causal encoder, scores of the next item out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.base import Recommender, dot
from lrdgraph.models.evidence import add_evidence
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.item_encoder import ItemEncoder
from lrdgraph.models.shared_negatives import Candidates, SharedNegatives
from lrdgraph.models.sparse_trend import recent_popularity
from lrdgraph.nn.catalogue_loss import Added, catalogue_cross_entropy
from lrdgraph.nn.losses import sample_loss, shared_cross_entropy
from lrdgraph.nn.rows import take_rows
from lrdgraph.nn.time import GapEmbedding
from lrdgraph.nn.transformer import HistoryTransformer

Evidence = Callable[[Tensor, Tensor], list[Added]]
Time = Literal["request", "history", "none"]
Loss = Literal["cross-entropy", "bce", "gbce", "bpr", "sampled-cross-entropy", "shared-cross-entropy"]


@dataclass(frozen=True)
class ShellSettings:
    """Settings shared by all models on this shell, whichever their encoder.

    Attributes:
        hidden_channels: ``D``.
        dropout: on inputs and in the encoder.
        max_length: ``L``.
        text: whether item vectors read the language vectors.
        text_dropout: on the language vectors.
        use_id: whether items have free vectors.
        time: ``"request"`` reads gaps between events and up to the request, ``"history"`` only up to the last event,
            ``"none"`` no times, but for what ``trend`` reads.
        trend: whether scores read the popularity of each item as it stood at the request.
        loss: ``"cross-entropy"`` over the catalogue, or one that sets the target against ``num_negatives`` others:
            ``"bce"``, ``"gbce"``, ``"bpr"``, ``"sampled-cross-entropy"``; see :mod:`lrdgraph.nn.losses`. For large
            catalogues, ``"shared-cross-entropy"`` ranks all positions of a step among the same ``num_negatives`` drawn
            items and the targets of the batch, and computes vectors of these and of the histories' items alone.
        num_negatives: ``C``, drawn anew for every position and step, uniformly from all items with training events but
            the target; with ``"shared-cross-entropy"`` once for a step, and not only uniformly.
        negatives_power, negatives_uniform: of :class:`lrdgraph.models.shared_negatives.SharedNegatives`.
        sparse_gradients: with ``"shared-cross-entropy"``, tables that hold a row for each item get gradients of the
            rows that a step touched, and Adam leaves the others alone; see
            :class:`lrdgraph.training.lazy_adam.LazyAdam`.
        calibration: ``t`` of ``"gbce"``.
    """

    hidden_channels: Annotated[int, Gt(0)] = 64
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    max_length: Annotated[int, Gt(0)] = 20
    text: bool = True
    text_dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    use_id: bool = True
    time: Time = "request"
    trend: bool = False
    loss: Loss = "cross-entropy"
    num_negatives: Annotated[int, Gt(0)] = 256
    negatives_power: Annotated[float, Ge(0)] = 0.75
    negatives_uniform: Annotated[float, Interval(ge=0, le=1)] = 0.5
    sparse_gradients: bool = False
    calibration: Annotated[float, Interval(ge=0, le=1)] = 0.75


@dataclass(frozen=True)
class SequentialSettings(ShellSettings):
    """The shell with its transformer.

    Attributes:
        num_layers, num_heads: of the transformer.
    """

    num_layers: Annotated[int, Gt(0)] = 2
    num_heads: Annotated[int, Gt(0)] = 2


class SequentialRecommender(Recommender):
    """A causal encoder over item vectors, scored by a dot product and trained at every position.

    Subclasses change what an item vector is (:meth:`item_vectors`), put another encoder in the place of the transformer
    (:meth:`sequence_encoder`), and may add evidence to the scores.

    Attributes:
        positions: whether the encoder needs to be told the position of an event.

    Raises:
        ConfigError: texts are wanted and there are none, or fewer items than negatives have training events.
    """

    name = "sequential"
    positions: ClassVar[bool] = True
    closed: Tensor
    trained: Tensor

    def __init__(self, inputs: ModelInputs, settings: ShellSettings) -> None:
        super().__init__(inputs, settings)
        d = settings.hidden_channels
        self.max_length = settings.max_length
        self.reads_moment = settings.time == "request" or (settings.trend and settings.time == "none")
        text = inputs.need_text(self.name) if settings.text else None
        self.items = ItemEncoder(inputs.popularity, text, d, settings.text_dropout, settings.use_id)
        self.position = nn.Embedding(settings.max_length, d) if self.positions else None
        self.gap = GapEmbedding(d) if settings.time != "none" else None
        self.trend = recent_popularity(inputs.events[1], inputs.events[2], inputs.num_items) if settings.trend else None
        self.encoder = self.sequence_encoder()
        self.bias = nn.Parameter(torch.zeros(inputs.num_items + 1))
        # an item without training events would be a wrong answer everywhere, and learn to be one: it sits out the loss
        closed = torch.zeros(inputs.num_items + 1).masked_fill(inputs.popularity == 0, -torch.inf)
        self.register_buffer("closed", closed, persistent=False)
        self.register_buffer("trained", inputs.popularity.nonzero().squeeze(1), persistent=False)
        self.shared = None
        if settings.loss == "shared-cross-entropy":
            power, uniform = settings.negatives_power, settings.negatives_uniform
            self.shared = SharedNegatives(inputs.popularity, settings.num_negatives, power, uniform)
        elif settings.loss != "cross-entropy" and settings.num_negatives >= len(self.trained):
            raise ConfigError(
                f"Model '{self.name}' draws {settings.num_negatives} negatives, but {len(self.trained)} items have "
                "training events; lower num_negatives or use loss 'cross-entropy'."
            )
        if self.position is not None:
            nn.init.normal_(self.position.weight, std=0.02)

    def sequence_encoder(self) -> nn.Module:
        """What reads a history: ``(B, L, D)`` vectors and ``(B, L)`` bool (real events) → ``(B, L, D)``, causally."""
        settings = self.settings
        return HistoryTransformer(settings.hidden_channels, settings.num_layers, settings.num_heads, settings.dropout)

    def item_vectors(self) -> Tensor:
        """``x̃ (N + 1, D)``, the vectors that histories are read with and candidates are scored with."""
        return self.items()

    def vectors_of(self, nodes: Tensor) -> Tensor:
        """``(n, D)`` of rising items ``(n,)``, of which the first is 0 and stands for padding."""
        return F.pad(self.items.rows(nodes[1:], self.settings.sparse_gradients), (0, 0, 1, 0))

    def compile_parts(self, once: bool = False) -> None:
        if not once:  # the compiler takes longer than an evaluation
            self.encoder.compile()

    def moments(self, batch: Batch) -> Tensor:
        """``(B, L)`` the moment of each request as far as the model may know it."""
        return batch.history_time if self.settings.time == "history" else batch.moment

    def encode(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Query vectors ``(B, L, D)``, one for the request after each column."""
        x = F.dropout(self.read(batch, vectors), self.settings.dropout, self.training)
        return self.encoder(x, batch.history > 0)

    def read(self, batch: Batch, vectors: Tensor) -> Tensor:
        """What the encoder is given of each event: ``(B, L, D)``."""
        x = F.embedding(batch.history, vectors) * vectors.size(1) ** 0.5
        if self.position is not None:
            x = x + self.position.weight[-batch.history.size(1) :]
        if self.gap is not None:
            x = x + self.gap(self.moments(batch) - batch.history_time)
        return x

    def rank_loss(self, batch: Batch, vectors: Tensor, evidence: Evidence | None = None) -> Tensor:
        """The loss of the settings, mean over all positions of the batch that have a target.

        Cross-entropy over the catalogue holds the logits of a block of positions at a time, and takes the gradient on
        the way (:func:`lrdgraph.nn.catalogue_loss.catalogue_cross_entropy`). A sampled loss holds the vectors of
        targets and negatives, ``P × (1 + C) × D``; with evidence all scores.

        Args:
            batch: training histories.
            vectors: ``(N + 1, D)``.
            evidence: given the ``(P, 2)`` row and column of each position and its query ``(P, D)``, says what is added
                to which scores.
        """
        assert batch.target is not None
        columns = batch.target.nonzero()  # (P, 2)
        query = self.encode(batch, vectors)[columns[:, 0], columns[:, 1]]
        moment = self.moments(batch)[columns[:, 0], columns[:, 1]]
        target = batch.target[columns[:, 0], columns[:, 1]]
        if self.settings.loss == "cross-entropy":
            rows = None if self.trend is None else self.trend.rows(moment)
            added = [] if evidence is None else evidence(columns, query)
            return catalogue_cross_entropy(query, vectors, self.bias + self.closed, target, rows, added)
        chosen = torch.cat([target[:, None], self.negatives(target)], dim=1)  # (P, 1 + C)
        if evidence is None:
            scores = self.base_scores(query, moment, vectors, self.bias, chosen)
        else:
            scores = add_evidence(self.base_scores(query, moment, vectors, self.bias), evidence(columns, query))
            scores = scores.gather(1, chosen)
        return sample_loss(self.settings.loss, scores, len(self.trained), self.settings.calibration)

    def shared_loss(
        self, batch: Batch, candidates: Candidates, nodes: Tensor, vectors: Tensor, evidence: Evidence | None = None
    ) -> Tensor:
        """:meth:`rank_loss` among candidates that all positions share, from the vectors of a few items.

        Args:
            batch: training histories.
            candidates: ``C`` items, with all targets among them.
            nodes: ``(n,)`` rising items, 0 first, with all of the histories and candidates among them.
            vectors: ``(n, D)`` of ``nodes``.
            evidence: as for :meth:`rank_loss`, with columns among the candidates instead of items.
        """
        assert batch.target is not None
        columns = batch.target.nonzero()  # (P, 2)
        row, column = columns.T
        local = replace(batch, history=torch.searchsorted(nodes, batch.history))
        query = self.encode(local, vectors)[row, column]
        of_candidates = vectors.index_select(0, torch.searchsorted(nodes, candidates.items))
        bias = take_rows(self.bias, candidates.items, self.settings.sparse_gradients)
        logits = query @ of_candidates.T + bias
        if self.trend is not None:
            logits = logits + self.trend.at(self.moments(batch)[row, column], candidates.items)
        if evidence is not None:
            logits = add_evidence(logits, evidence(columns, query))
        # every target of a position's own row is a candidate whatever was drawn
        own = batch.target[row]  # (P, L)
        position, at = own.nonzero(as_tuple=True)
        known = position * len(candidates.items) + candidates.place(own[position, at])
        return shared_cross_entropy(logits, candidates.place(batch.target[row, column]), candidates.log_q, known)

    def negatives(self, target: Tensor) -> Tensor:
        """``(P, C)`` items with training events, each drawn alike from all of them but ``target (P,)``."""
        shape = (len(target), self.settings.num_negatives)
        drawn = torch.randint(len(self.trained) - 1, shape, device=target.device)
        place = torch.searchsorted(self.trained, target)[:, None]
        return self.trained[drawn + (drawn >= place)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        if self.shared is None:
            total = self.rank_loss(batch, self.item_vectors())
        else:
            assert batch.target is not None
            candidates = self.shared(batch.target[batch.target > 0])
            nodes = touched(batch, candidates)
            total = self.shared_loss(batch, candidates, nodes, self.vectors_of(nodes))
        return {"total": total, "recommendation": total.detach()}

    def base_scores(
        self, query: Tensor, moment: Tensor, vectors: Tensor, bias: Tensor, candidates: Tensor | None = None
    ) -> Tensor:
        """``q · x̃_c + b_c``, plus recent popularity where the model reads it.

        Args:
            query: ``(P, D)``.
            moment: ``(P,)`` of the requests.
            vectors: ``(N + 1, D)``.
            bias: ``(N + 1,)``.
            candidates: as :meth:`Recommender.score`.
        """
        scores = dot(query, vectors, bias, candidates)
        if self.trend is None:
            return scores
        return scores + (self.trend(moment) if candidates is None else self.trend.at(moment, candidates))

    def scoring_vectors(self) -> Tensor:
        """Item vectors, :meth:`kept` between calls."""
        return self.kept("vectors", self.item_vectors)

    def scoring_query(self, batch: Batch) -> Tensor:
        """Query ``(B, D)`` of the request after each history; that of the last batch is kept, as item vectors are."""
        if self.training or torch.is_grad_enabled():
            return self.encode(batch, self.scoring_vectors())[:, -1]
        held, query = self._cache.get("query", (None, torch.empty(0)))
        if held is not batch:
            query = self.encode(batch, self.scoring_vectors())[:, -1]
            self._cache["query"] = batch, query
        return query

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        vectors, query = self.scoring_vectors(), self.scoring_query(batch)
        return self.base_scores(query, self.moments(batch)[:, -1], vectors, self.bias, candidates)


def touched(batch: Batch, candidates: Candidates) -> Tensor:
    """``(n,)`` the items of a step, rising: 0, those of the histories and the candidates."""
    none = candidates.items.new_zeros(1)
    return torch.cat([none, batch.history.flatten(), candidates.items]).unique()
