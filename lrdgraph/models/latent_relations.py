"""Latent relation discovery for any relation-aware model: it is held, not inherited, and owns no item vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from lrdgraph import distributed
from lrdgraph.discovery.decoders import initial_relations
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.objectives import DiscoveryLoss
from lrdgraph.discovery.pairs import batch_pairs
from lrdgraph.models.frozen import check_first
from lrdgraph.models.inputs import ModelInputs, discovery_text


@dataclass(frozen=True)
class LatentSettings:
    """Settings of discovery in a relation-aware model.

    Attributes:
        num_latent: ``K``; 0 for none.
        objective: ``"elbo"``, or ``"published"`` as in the public LRD code, where predefined relations and a virtual
            one are states as well.
        read_posterior: whether the summary of a latent relation weighs each event by the posterior; the public code's
            recommender never reads it.
        discovery_text: ``"shuffled"`` deals the texts that discovery reads to the items at random (a control).
        discovery_training: ``"joint"``, or ``"first"``: alone, before the first epoch, and then frozen.
        discovery_weight: λ of the joint loss.
        encoder, decoder, discovery_channels: of the DVAE; the published objective has a decoder of its own.
        none_state, beta, discovery_pairs: of the ELBO; pairs that it sees in a step.
        entropy_weight, skip_first: of the published objective: α, and whether the virtual state is left out of it.
    """

    num_latent: Annotated[int, Ge(0)] = 0
    objective: Literal["elbo", "published"] = "elbo"
    read_posterior: bool = True
    discovery_text: Literal["own", "shuffled"] = "own"
    discovery_training: Literal["joint", "first"] = "joint"
    discovery_weight: Annotated[float, Ge(0)] = 0.1
    encoder: str = "interaction"
    decoder: str = "distmult"
    discovery_channels: Annotated[int, Gt(0)] = 32
    none_state: bool = True
    beta: Annotated[float, Ge(0)] = 1.0
    discovery_pairs: Annotated[int, Gt(0)] = 512
    entropy_weight: Annotated[float, Ge(0)] = 0.1
    skip_first: bool = True


class LatentRelations(nn.Module):
    """Discovery beside a model: it gives vectors to begin with, a loss on the model's tables, and posteriors.

    Args:
        inputs: language vectors and popularity.
        settings: with ``num_latent`` above 0.
        num_rows: rows of the model's relation table before the latent ones, the virtual one included.
        model: who asks, for messages.

    Raises:
        ConfigError: there are no texts, or settings contradict each other.
    """

    def __init__(self, inputs: ModelInputs, settings: LatentSettings, num_rows: int, model: str) -> None:
        super().__init__()
        check_first(settings)
        self.settings, self.num_rows = settings, num_rows
        published = settings.objective == "published"
        self.dvae = RelationDVAE(
            discovery_text(inputs, settings.discovery_text, model),
            num_rows + settings.num_latent if published else settings.num_latent,
            settings.discovery_channels,
            encoder=settings.encoder,
            decoder=settings.decoder,
            none_state=settings.none_state and not published,
            beta=settings.beta,
            popularity=inputs.popularity,
            num_negatives=512,
            own_tables=False,
            standardise=not published,
        )

    def initial_vectors(self, hidden_channels: int, deviation: float) -> Tensor:
        """``(K, D)``: each latent relation on dimensions of its own, or random as published."""
        if self.settings.objective == "published":
            return torch.randn(self.settings.num_latent, hidden_channels) * deviation
        return initial_relations(self.settings.num_latent, hidden_channels)

    def loss(
        self, history: Tensor, target: Tensor, negative: Tensor, items: Tensor, relations: Tensor
    ) -> DiscoveryLoss:
        """The discovery loss of (history item, target) pairs.

        Args:
            history: ``(B, L)``, left-padded.
            target: ``(B,)``.
            negative: ``(B, L)`` one random item for each event; only the published objective reads it.
            items: ``(N + 1, D)``.
            relations: ``(1 + R + K, D)``, the whole table.
        """
        if self.settings.objective == "published":
            alpha, skip = self.settings.entropy_weight, self.settings.skip_first
            return self.dvae.published_loss(history, target, negative, items, relations, alpha, skip_first=skip)
        last = torch.zeros_like(history)
        last[:, -1] = target
        i, j = batch_pairs(history, last, distributed.part(self.settings.discovery_pairs))
        return self.dvae.loss(i, j, items, relations[self.num_rows :]).over_all(len(i), target)

    def posterior(self, history: Tensor, candidates: Tensor) -> Tensor:
        """``q(r | h, c)`` ``(B, C, L, K)`` of the latent relations for history ``(B, L)`` and candidates ``(B, C)``."""
        (b, length), c = history.shape, candidates.size(1)
        nodes, where = torch.cat([history, candidates], 1).unique(return_inverse=True)
        left, right, weight = self.dvae.encoder.factors(
            self.dvae.encoder.items(self.dvae.standard(self.dvae.text[nodes]))
        )
        seen = left[where[:, None, :length]] * weight[:, None]  # (B, S, L, F)
        logits = right[where[:, length:]] @ seen.view(b, -1, seen.size(-1)).mT  # (B, C, S·L)
        # a softmax over a handful of states is faster along the events
        posterior = logits.view(b, c, -1, length).softmax(2)
        return posterior[:, :, -self.settings.num_latent :].mT
