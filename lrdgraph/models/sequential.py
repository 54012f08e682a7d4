"""The shell of sequential recommenders: item vectors in, a causal encoder, scores of the next item out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.models.base import Recommender, dot, pick
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.item_encoder import ItemEncoder
from lrdgraph.models.trend import RecentPopularity
from lrdgraph.nn.losses import full_cross_entropy
from lrdgraph.nn.time import GapEmbedding
from lrdgraph.nn.transformer import CausalTransformer

Evidence = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SequentialSettings:
    """Settings shared by all models on this shell.

    Attributes:
        hidden_channels: ``D``.
        num_layers, num_heads: of the transformer.
        dropout: on inputs and in the transformer.
        max_length: ``L``.
        text: whether item vectors read the language vectors.
        text_dropout: on the language vectors.
        use_id: whether items have free vectors.
        time: ``"request"`` reads gaps between events and up to the request, ``"history"`` only up to the last event,
            ``"none"`` no times.
        trend: whether scores read the popularity of each item as it stood at the request.
    """

    hidden_channels: int = 64
    num_layers: int = 2
    num_heads: int = 2
    dropout: float = 0.5
    max_length: int = 20
    text: bool = True
    text_dropout: float = 0.0
    use_id: bool = True
    time: str = "request"
    trend: bool = False


class SequentialRecommender(Recommender):
    """A causal transformer over item vectors, scored by a dot product and trained at every position.

    Subclasses change what an item vector is (:meth:`item_vectors`) and may add evidence to the scores.
    """

    name = "sequential"
    closed: Tensor

    def __init__(self, inputs: ModelInputs, settings: SequentialSettings) -> None:
        super().__init__(inputs, settings)
        d = settings.hidden_channels
        self.max_length = settings.max_length
        text = inputs.need_text(self.name) if settings.text else None
        self.items = ItemEncoder(inputs.popularity, text, d, settings.text_dropout, settings.use_id)
        self.position = nn.Embedding(settings.max_length, d)
        self.gap = GapEmbedding(d) if settings.time != "none" else None
        self.trend = RecentPopularity(inputs.events[1], inputs.events[2], inputs.num_items) if settings.trend else None
        self.encoder = CausalTransformer(d, settings.num_layers, settings.num_heads, settings.dropout)
        self.bias = nn.Parameter(torch.zeros(inputs.num_items + 1))
        # an item without training events would be a wrong answer everywhere, and learn to be one: it sits out the loss
        closed = torch.zeros(inputs.num_items + 1).masked_fill(inputs.popularity == 0, -torch.inf)
        self.register_buffer("closed", closed, persistent=False)
        nn.init.normal_(self.position.weight, std=0.02)

    def item_vectors(self) -> Tensor:
        """``x̃ (N + 1, D)``, the vectors that histories are read with and candidates are scored with."""
        return self.items()

    def compile_parts(self) -> None:
        self.encoder.compile()

    def moments(self, batch: Batch) -> Tensor:
        """``(B, L)`` the moment of each request as far as the model may know it."""
        return batch.history_time if self.settings.time == "history" else batch.moment

    def encode(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Query vectors ``(B, L, D)``, one for the request after each column."""
        x = F.embedding(batch.history, vectors) * vectors.size(1) ** 0.5
        x = x + self.position.weight[-batch.history.size(1) :]
        if self.gap is not None:
            x = x + self.gap(self.moments(batch) - batch.history_time)
        return self.encoder(F.dropout(x, self.settings.dropout, self.training), batch.history > 0)

    def rank_loss(self, batch: Batch, vectors: Tensor, evidence: Evidence | None = None) -> Tensor:
        """Cross-entropy over the catalogue, mean over all positions of the batch that have a target.

        Args:
            batch: training histories.
            vectors: ``(N + 1, D)``.
            evidence: adds to the ``(P, N + 1)`` scores, given them and the ``(P, 2)`` row and column of each position.
        """
        assert batch.target is not None
        columns = batch.target.nonzero()  # (P, 2)
        query = self.encode(batch, vectors)[columns[:, 0], columns[:, 1]]
        moment = self.moments(batch)[columns[:, 0], columns[:, 1]]
        logits = self.base_scores(query, moment, vectors, self.bias + self.closed)
        if evidence is not None:
            logits = evidence(logits, columns)
        target = batch.target[columns[:, 0], columns[:, 1]]
        return full_cross_entropy(logits, target)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        total = self.rank_loss(batch, self.item_vectors())
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
        return scores if self.trend is None else scores + pick(self.trend(moment), candidates)

    def scoring_vectors(self) -> Tensor:
        """Item vectors, kept between calls while the model is in evaluation mode without gradients."""
        if self.training or torch.is_grad_enabled():
            return self.item_vectors()
        if "vectors" not in self._cache:
            self._cache["vectors"] = self.item_vectors()
        return self._cache["vectors"]

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        vectors = self.scoring_vectors()
        query = self.encode(batch, vectors)[:, -1]
        return self.base_scores(query, self.moments(batch)[:, -1], vectors, self.bias, candidates)
