"""Discovery as a method: trained on what is visible, its posterior and its decoder read as features of a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from lrdgraph.discovery.decoders import DotDecoder
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.fit import discover
from lrdgraph.discovery.pairs import graph_pairs, history_pairs
from lrdgraph.discovery.text_prior import start_from_texts, tables_from_texts
from lrdgraph.errors import ConfigError
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality.features import Family, PairFeatures

Discoverer = Callable[[ModelInputs, Tensor, int], RelationDVAE]
"""``(inputs, pairs (2, P), seed) -> RelationDVAE``, trained on those pairs."""


Pairs = Literal["histories", "graph", "both"]


@dataclass(frozen=True)
class DiscoverySettings:
    """How :func:`train_discovery` trains; see :class:`RelationDVAE` and :func:`lrdgraph.discovery.fit.discover`.

    Attributes:
        pairs: what is explained: pairs of ``"histories"``, the visible edges between items of the ``"graph"``, or
            ``"both"``.
        max_gap: how many events apart the two items of a pair of a history may stand.
        prior: ``"texts"`` (:func:`lrdgraph.discovery.text_prior.start_from_texts`), from which every seed comes to
            much the same relations, and which is blind to what texts keep apart; or ``"uniform"`` with a random start,
            from which each seed finds others.
        tables: ``"random"``, or ``"texts"`` (:func:`lrdgraph.discovery.text_prior.tables_from_texts`).
        num_latent, hidden_channels, free_vectors, encoder, decoder, none_state, beta, num_negatives, random_share: of
            the DVAE.
        epochs, batch_size, learning_rate, table_rate, warm_up: of its training.
    """

    pairs: Pairs = "histories"
    max_gap: int = 3
    prior: Literal["uniform", "texts"] = "texts"
    tables: Literal["random", "texts"] = "random"
    num_latent: int = 5
    hidden_channels: int = 64
    free_vectors: bool = False
    encoder: str = "interaction"
    decoder: str = "distmult"
    none_state: bool = True
    beta: float = 1.0
    num_negatives: int | None = 256
    random_share: float = 0.25
    epochs: int = 8
    batch_size: int = 1024
    learning_rate: float = 0.002
    table_rate: float | None = None
    warm_up: float = 0.0


FROM_BOTH = DiscoverySettings(
    pairs="both",
    max_gap=1,
    prior="uniform",
    tables="texts",
    num_latent=3,
    free_vectors=True,
    num_negatives=None,
    epochs=6,
    batch_size=1024,
    learning_rate=0.001,
    table_rate=0.01,
)
"""A discovery that explains visible edges and transitions, from a decoder that begins as the likeness of texts."""


def train_discovery(
    inputs: ModelInputs, pairs: Tensor, seed: int, settings: DiscoverySettings | None = None
) -> RelationDVAE:
    """A RelationDVAE with tables of its own, from texts and pairs; it reads no edge beside these.

    Args:
        inputs: give language vectors and popularity.
        pairs: ``(2, P)`` that it is trained on.
        seed: of its weights and of all chance in training; torch's own state is left as it was.
        settings: those of the class where None.
    """
    chosen: dict[str, Any] = dict(vars(settings or DiscoverySettings()))
    for name in ("pairs", "max_gap"):
        chosen.pop(name)
    prior, tables = chosen.pop("prior"), chosen.pop("tables")
    names = ("epochs", "batch_size", "learning_rate", "table_rate", "warm_up")
    training = {name: chosen.pop(name) for name in names}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dvae = RelationDVAE(inputs.need_text("discovery"), popularity=inputs.popularity, **chosen)
        if prior == "texts":
            start_from_texts(dvae, pairs)
        if tables == "texts":
            tables_from_texts(dvae)
        discover(dvae, pairs, seed=seed, **training)
    return dvae.eval()


def discovery_features(
    dvae: RelationDVAE, items: Tensor | None = None, relations: Tensor | None = None
) -> dict[str, PairFeatures]:
    """Features of a trained RelationDVAE, each of (i, j) and of (j, i), ``S`` states and ``K`` relations.

    ``posterior`` is ``q(s | i, j)`` and ``q(s | j, i)``, 2 S numbers; ``log-posterior`` their logarithms; ``logits``
    those of the encoder, which are log-posteriors before each pair is normalised. ``decoder`` is ``s(i, r, j)`` and
    ``s(j, r, i)``, 2 K numbers, with the popularity ``log π`` of both items, which the decoder bends; it is left out
    where there are no tables.

    Args:
        dvae: trained.
        items, relations: a recommender's own tables, where the dvae holds none.
    """

    def logits(i: Tensor, j: Tensor) -> Tensor:
        with torch.no_grad():
            return dvae.logits(i, j)

    def log_posterior(i: Tensor, j: Tensor) -> Tensor:
        return logits(i, j).log_softmax(-1)

    found = {
        "posterior": _both(lambda i, j: log_posterior(i, j).exp()),
        "log-posterior": _both(log_posterior),
        "logits": _both(logits),
    }
    if dvae.project is not None or items is not None:
        with torch.no_grad():
            x, z = (table.detach() for table in dvae.tables(items, relations))

        def score(i: Tensor, j: Tensor) -> Tensor:
            if isinstance(dvae.decoder, DotDecoder):
                return torch.einsum("...kd,...d->...k", dvae.decoder.tail_query(x[i][..., None, :], z), x[j])
            return dvae.decoder.score(x[i][..., None, :], z, x[j][..., None, :])

        def decoder(i: Tensor, j: Tensor) -> Tensor:
            popular = torch.broadcast_tensors(dvae.log_popularity[i], dvae.log_popularity[j])
            return torch.cat([_both(score)(i, j), torch.stack(popular, dim=-1)], dim=-1)

        found["decoder"] = decoder
    return found


def settings_pairs(inputs: ModelInputs, pairs: Pairs = "histories", max_gap: int = 3) -> Tensor:
    """``(2, P)`` pairs of training histories, of the visible graph, or those of both.

    Raises:
        ConfigError: only those of the graph are asked for, and it joins no two items.
    """
    found = []
    if pairs != "histories":
        found.append(graph_pairs(inputs.need_graph("discovery")))
        if pairs == "graph" and not found[0].size(1):
            raise ConfigError("The visible graph joins no two items by a predefined relation; set pairs='histories'.")
    if pairs != "graph":
        found.append(history_pairs(inputs.sequences(), max_gap))
    return torch.cat(found, dim=1)


def discovery_family(
    train: Discoverer = train_discovery, max_gap: int = 3, pairs: Pairs = "histories", suffix: str = ""
) -> Family:
    """The family of :func:`discovery_features` of what a trainer makes of the visible inputs.

    Args:
        train: makes a RelationDVAE.
        max_gap, pairs: of :class:`DiscoverySettings`, which pairs it is given.
        suffix: put behind the name of each set of features, to tell two discoveries apart.
    """

    def family(inputs: ModelInputs, seed: int) -> dict[str, PairFeatures]:
        found = discovery_features(train(inputs, settings_pairs(inputs, pairs, max_gap), seed))
        return {name + suffix: features for name, features in found.items()}

    return family


from_both = discovery_family(
    partial(train_discovery, settings=FROM_BOTH), FROM_BOTH.max_gap, FROM_BOTH.pairs, " of both"
)
"""The family of :data:`FROM_BOTH`, its features named ``decoder of both`` and so on."""


def _both(one: PairFeatures) -> PairFeatures:
    """Features of (i, j) beside those of (j, i)."""
    return lambda i, j: torch.cat([one(i, j), one(j, i)], dim=-1)
