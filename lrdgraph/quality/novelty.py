"""What discovery says that the graph does not: unconnected pairs of a high posterior which people later walk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.quality.alignment import TOPS
from lrdgraph.quality.hidden import connected
from lrdgraph.splits import Split


@dataclass(frozen=True)
class Novelty:
    """New pairs of one discovered relation, and how many of them are later transitions.

    Attributes:
        latent: its name.
        pairs: how many of the highest posterior are looked at.
        rate: share of them that is a later transition, from i to j.
        control: the same share of random pairs of like popularity, drawn for each of these pairs.
        deviation: standard deviation of the control's share from draw to draw.
        candidates: the same share of all new candidate pairs, whatever their posterior.
    """

    latent: str
    pairs: int
    rate: float
    control: float
    deviation: float
    candidates: float

    @property
    def lift(self) -> float | None:
        """``rate / control``; None where no random pair was ever walked."""
        return self.rate / self.control if self.control else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"lift": self.lift}


def later_transitions(parts: Split) -> Tensor:
    """``(2, n)`` distinct pairs of a validation or test event and the event right before it; evaluation only."""
    pairs = []
    for role in ("validation", "test"):
        targets = parts.targets(role)
        pairs.append(np.stack([targets.events.item[targets.end - 1], targets.item]))
    both = np.concatenate(pairs, axis=1)
    return torch.from_numpy(np.unique(both[:, both[0] != both[1]], axis=1))


def novelty(
    enriched: EnrichedGraph,
    later: Tensor,
    popularity: Tensor,
    *,
    walked: Tensor | None = None,
    tops: Iterable[int] = TOPS,
    window: int = 25,
    draws: int = 200,
    seed: int = 0,
) -> list[Novelty]:
    """How often new pairs of each discovered relation come true, beside random pairs of like popularity.

    New is a candidate pair that no predefined relation between items joins in either direction and that is not among
    ``walked``. For each of those of the highest posterior control pairs are drawn: head and tail each at most
    ``window`` places away in the order of training popularity; those that are not new by the same rule do not count.

    Args:
        enriched: candidate pairs with their posteriors.
        later: ``(2, n)`` from :func:`later_transitions`; no part of any training.
        popularity: ``(N + 1,)`` training counts.
        walked: ``(2, n)`` pairs that training histories hold; given, a pair is new only if training has not seen it.
        tops: how many pairs; fewer where there are fewer.
        window: places in the order of popularity.
        draws: control pairs for each pair.
        seed: of the control.

    Raises:
        ConfigError: window or draws are below 1.
    """
    if window < 1 or draws < 1:
        raise ConfigError(f"window and draws must be 1 or more; got {window} and {draws}.")
    base = enriched.graph.num_items + 1
    walked_key = torch.empty(0, dtype=torch.int64) if walked is None else walked[0] * base + walked[1]
    later_key = later[0] * base + later[1]

    def is_new(pairs: Tensor) -> Tensor:
        joined = torch.from_numpy(connected(enriched.graph, pairs))
        return ~joined & ~torch.isin(pairs[0] * base + pairs[1], walked_key) & (pairs[0] != pairs[1])

    def comes_true(pairs: Tensor) -> Tensor:
        return torch.isin(pairs[0] * base + pairs[1], later_key)

    pairs = enriched.latent_index.cpu()
    kept = is_new(pairs)
    pairs, mixture = pairs[:, kept], enriched.mixture.detach().cpu()[kept]
    if not pairs.size(1):
        return []
    rng = np.random.default_rng(seed)
    true = comes_true(pairs)
    found = []
    for k, latent in enumerate(enriched.latent):
        order = torch.argsort(-mixture[:, k], stable=True)
        for top in tops:
            chosen = order[:top]
            alike = _alike(pairs[:, chosen], popularity, window, draws, rng)  # (2, n, draws)
            flat = alike.flatten(1)
            valid = is_new(flat).view(alike.shape[1:])
            hits = (comes_true(flat).view(alike.shape[1:]) & valid).double().sum(0)
            shares = hits / valid.sum(0).clamp_min(1)
            found.append(
                Novelty(
                    latent.name,
                    len(chosen),
                    float(true[chosen].double().mean()),
                    float(shares.mean()),
                    float(shares.std(correction=0)),
                    float(true.double().mean()),
                )
            )
    return found


def _alike(pairs: Tensor, popularity: Tensor, window: int, draws: int, rng: np.random.Generator) -> Tensor:
    """``(2, n, draws)`` items at most ``window`` places from those of ``pairs (2, n)`` in the order of popularity."""
    ordered = 1 + torch.argsort(popularity[1:], stable=True)
    place = torch.empty(len(popularity), dtype=torch.int64)
    place[ordered] = torch.arange(len(ordered))
    step = torch.from_numpy(rng.integers(-window, window + 1, (*pairs.shape, draws)))
    return ordered[(place[pairs][..., None] + step).clamp(0, len(ordered) - 1)]
