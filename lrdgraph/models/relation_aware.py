"""Relation-aware attention: the shell of RCF and KDA, with or without latent relations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.discovery.diagnostics import Usage, usage
from lrdgraph.models.base import Recommender
from lrdgraph.models.frozen import train_first
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.item_encoder import ItemEncoder
from lrdgraph.models.latent_relations import LatentRelations, LatentSettings
from lrdgraph.models.negatives import UnseenItems
from lrdgraph.models.triples import ItemValues, Triples, TripleSampler, relation_slots
from lrdgraph.nn.losses import bpr_max
from lrdgraph.nn.relational_attention import RelationMixer, relational_attention

CANDIDATES_AT_ONCE = 704
"""Scored together by a thread: seven lists of a hundred, whose summaries a cache about holds."""
PAIRS_LOOKED_AT = 10_000
"""Pairs of neighbouring events of one user by which the use of states is measured."""


@dataclass(frozen=True)
class RelationAwareSettings(LatentSettings):
    """Settings of RCF and KDA; see :class:`LatentSettings` for those of discovery.

    Attributes:
        hidden_channels: ``D``.
        num_layers, num_heads, dropout: of the self-attention among relations.
        max_length: ``L``.
        pooling: of the relations' summaries.
        text: whether item vectors read the language vectors as well.
        loss: of the recommendation: ``"bpr-max"``, as published, or ``"cross-entropy"`` of the target against the
            negatives.
        num_negatives: random unseen items for each transition.
        knowledge_weight: γ; −1 for triples per training event.
        deviation: of the initial weights.
    """

    hidden_channels: Annotated[int, Gt(0)] = 64
    num_layers: Annotated[int, Gt(0)] = 1
    num_heads: Annotated[int, Gt(0)] = 4
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    max_length: Annotated[int, Gt(0)] = 20
    pooling: Literal["average", "max"] = "average"
    text: bool = False
    loss: Literal["cross-entropy", "bpr-max"] = "cross-entropy"
    num_negatives: Annotated[int, Gt(0)] = 20
    knowledge_weight: float = -1.0
    deviation: Annotated[float, Gt(0)] = 0.01


class RelationAware(Recommender):
    """``s(u, c) = (u + pool_s c_s) · x_c + b_c``, where ``c_s`` is the history as relation ``s`` of ``c`` sees it.

    The relations are a virtual one, the predefined ones and the latent ones. Each lets the candidate attend to the
    history by ``x_h · ((z_s + v_cs) ⊙ x_c)``, with ``v_cs`` the candidate's attribute value, and the summaries attend
    to each other. Written after the public LRD code, with which it agrees number by number
    (``tests/models/test_parity.py``); what a negative may know differs, see
    :class:`lrdgraph.models.negatives.UnseenItems`.

    A stranger has the mean user vector.
    """

    Settings = RelationAwareSettings
    name = "relation-aware"
    learns_last = True
    trained_user: Tensor

    def __init__(self, inputs: ModelInputs, settings: RelationAwareSettings) -> None:
        super().__init__(inputs, settings)
        graph, d = inputs.need_graph(self.name), settings.hidden_channels
        self.max_length = settings.max_length
        self.slots = relation_slots(graph)
        self.num_rows = 1 + len(self.slots.between) + len(self.slots.attribute)
        self.users = nn.Embedding(inputs.num_users + 1, d)
        # an item without events still learns from triples, so every item has a free vector
        text = inputs.need_text(self.name) if settings.text else None
        self.items = ItemEncoder(torch.ones(inputs.num_items + 1), text, d)
        self.values = ItemValues(graph, self.slots.attribute, d)
        self.mixer = RelationMixer(d, settings.num_layers, settings.num_heads, settings.dropout, settings.pooling)
        self.latent = LatentRelations(inputs, settings, self.num_rows, self.name) if settings.num_latent else None
        self.bias = nn.Parameter(torch.zeros(inputs.num_items + 1))
        self._start(settings.deviation)
        rows = [torch.randn(self.num_rows, d) * settings.deviation]
        rows += [] if self.latent is None else [self.latent.initial_vectors(d, settings.deviation)]
        self.relations = nn.Parameter(torch.cat(rows))
        self.triples = TripleSampler(graph, self.slots)
        self.unseen = UnseenItems(inputs.had[0], inputs.had[1], inputs.num_items)
        self.knowledge_weight = settings.knowledge_weight
        if self.knowledge_weight < 0:
            self.knowledge_weight = len(self.triples.head) / max(inputs.events.size(1), 1)
        trained = torch.zeros(inputs.num_users + 1, dtype=torch.bool)
        trained[inputs.events[0]] = True
        self.register_buffer("trained_user", trained, persistent=False)

    def _start(self, deviation: float) -> None:
        """All matrices begin small, as in the public code; the discovery encoder, where it is ours, as it likes."""
        own = self.latent is not None and self.settings.objective != "published"
        skipped = set(self.latent.modules()) if self.latent is not None and own else set()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding) and module not in skipped:
                nn.init.normal_(module.weight, std=deviation)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.normal_(module.bias, std=deviation)

    def compile_parts(self, once: bool = False) -> None:
        self.mixer.compile()

    def event_weight(self, batch: Batch) -> Tensor | None:
        """``(B, L, 1 + R + K)`` what each relation keeps of each event; None for all of it."""
        return None

    def _user_vectors(self, user: Tensor) -> Tensor:
        known = self.trained_user[user][:, None]
        if bool(known.all()):
            return self.users(user)
        return torch.where(known, self.users(user), self.users.weight[self.trained_user].mean(0))

    def _scores(self, batch: Batch, candidates: Tensor, table: Tensor, event_weight: Tensor | None) -> Tensor:
        """``(B, C)`` scores of ``(B, C)`` candidates."""
        vectors = F.embedding(candidates, table)  # (B, C, D)
        pooled = self._pooled(batch, candidates, vectors, table, event_weight)
        return ((self._user_vectors(batch.user)[:, None] + pooled) * vectors).sum(-1) + self.bias[candidates]

    def _pooled(
        self, batch: Batch, candidates: Tensor, vectors: Tensor, table: Tensor, event_weight: Tensor | None
    ) -> Tensor:
        """``(B, C, D)`` what the relations say together of each candidate."""
        alone = (batch.history > 0).sum(1) == 1  # (B,)
        if self._reads_posterior() or not bool(alone.any()):
            return self.mixer(self._summaries(batch, candidates, vectors, table, event_weight))
        # a history of one event looks the same to all candidates, and unweighted the same to all relations
        several, alone = (which.nonzero()[:, 0] for which in (~alone, alone))
        pooled = torch.empty_like(vectors)
        event = F.embedding(batch.history[alone, -1:], table)  # (n, 1, D)
        weight = None if event_weight is None else event_weight.index_select(0, several)
        some = vectors.index_select(0, several)
        summaries = self._summaries(batch.rows(several), candidates[several], some, table, weight)
        if event_weight is None:
            pooled[several], pooled[alone] = self.mixer(summaries), self.mixer(event)[:, None]
            return pooled
        together = torch.cat([summaries.flatten(0, 1), event * event_weight[alone, -1, :, None]])  # (n', S, D)
        found = self.mixer(together)
        pooled[several] = found[: -len(event)].view(-1, *vectors.shape[1:])
        pooled[alone] = found[-len(event) :, None]
        return pooled

    def _reads_posterior(self) -> bool:
        return self.latent is not None and self.settings.read_posterior

    def _summaries(
        self, batch: Batch, candidates: Tensor, vectors: Tensor, table: Tensor, event_weight: Tensor | None
    ) -> Tensor:
        """``(B, C, S, D)`` the history as each relation of each candidate sees it."""
        z, values = self.relations, self.values
        plain, first = self.num_rows - len(self.slots.attribute), self.num_rows
        between, own, latent = (z + values.none).split([plain, first - plain, len(z) - first])
        if self.slots.attribute:
            own = z[plain:first] + values(candidates)
        seen = torch.cat([part * vectors[:, :, None] for part in (between, own, latent)], dim=2)  # (B, C, S, D)
        weight = None if event_weight is None else event_weight.mT[:, None]  # (B, 1, S, L)
        if self.latent is not None and self._reads_posterior():
            posterior = self.latent.posterior(batch.history, candidates).mT  # (B, C, K, L)
            posterior = F.pad(posterior, (0, 0, first, 0), value=1.0)  # (B, C, S, L)
            weight = posterior if weight is None else weight * posterior
        # its gradient is summed faster than that of an index
        return relational_attention(F.embedding(batch.history, table), batch.history > 0, seen, weight)

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        if candidates is None:
            candidates = torch.arange(self.inputs.num_items + 1, device=batch.history.device)
        candidates = candidates.expand(len(batch), -1)
        table, at_once = self.kept("items", self.items), CANDIDATES_AT_ONCE * torch.get_num_threads()
        at_once = max(1, at_once // max(candidates.size(1), 1))
        parts = []
        for start in range(0, len(batch), at_once):
            rows = slice(start, start + at_once)
            some = batch.rows(rows)
            parts.append(self._scores(some, candidates[rows], table, self.event_weight(some)))
        return torch.cat(parts)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.target is not None
        settings, table, target = self.settings, self.items(), batch.target[:, -1]
        candidates = torch.cat([target[:, None], self.unseen(batch.user, settings.num_negatives)], dim=1)
        terms = {"recommendation": self._rank(self._scores(batch, candidates, table, self.event_weight(batch)))}
        total = terms["recommendation"]
        if self.knowledge_weight and len(self.triples.head):
            terms["knowledge"] = self._rank(self._plausibility(self.triples(len(batch), settings.num_negatives), table))
            total = total + self.knowledge_weight * terms["knowledge"]
        joint = settings.discovery_weight and settings.discovery_training == "joint"
        if self.latent is not None and joint:
            negative = self.unseen(batch.user, batch.history.size(1))
            found = self.latent.loss(batch.history, target, negative, table, self.relations)
            total = total + settings.discovery_weight * found.total
            terms |= {f"discovery/{name}": value for name, value in found.terms().items()}
        return {"total": total} | {name: value.detach() for name, value in terms.items()}

    def start_epoch(self, epoch: int) -> None:
        if self.latent is not None and self.settings.discovery_training == "first":
            train_first(self.latent.dvae, self.inputs, epoch)

    def _rank(self, scores: Tensor) -> Tensor:
        """The loss of ``(P, 1 + G)`` scores, the true one in column 0."""
        if self.settings.loss == "bpr-max":
            return bpr_max(scores[:, 0], scores[:, 1:])
        return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=scores.device))

    def _plausibility(self, triples: Triples, table: Tensor) -> Tensor:
        """DistMult scores ``(P, 1 + G)``, ``x_head · ((z_r + v) ⊙ x_tail)``."""
        between = self.relations[triples.relation] + self.values.vectors(triples.value)  # (P, D)
        return (table[triples.head] * between[:, None] * table[triples.tail]).sum(-1)

    def relation_usage(self) -> Usage | None:
        """How the states are used by neighbouring events of training; None where no user has two of them."""
        if self.latent is None:
            return None
        user, item, _ = self.inputs.events[:, self.inputs.events[0].argsort(stable=True)]
        first = (user[1:] == user[:-1]).nonzero().squeeze(1)[:PAIRS_LOOKED_AT]
        if not len(first):
            return None
        i, j = (item[at].to(self.bias.device) for at in (first, first + 1))
        with torch.no_grad():
            return usage(self.latent.dvae.state_posterior(i, j))
