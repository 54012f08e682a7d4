"""Does discovery find the same relations when it starts anew, and does it find any: agreement beside usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrdgraph.discovery.diagnostics import Usage, usage
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.agreement import adjusted_rand, match
from lrdgraph.language.controls import shuffled
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality.discovered import Discoverer, train_discovery
from lrdgraph.quality.hidden import drawn, pair_key


@dataclass(frozen=True)
class Stability:
    """Trainings that differ in their seed alone, over the same held-out pairs.

    Attributes:
        rand: adjusted Rand index of the likeliest states, of every two trainings.
        matched: mass on which every two agree when their states are matched.
        used: how each training uses its states.
        matches: ``(n − 1, S)`` which state of each later training is each state of the first.
    """

    rand: tuple[float, ...]
    matched: tuple[float, ...]
    used: tuple[Usage, ...]
    matches: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Means, the values of every two trainings, and of each."""
        figures = [found.figures() for found in self.used]
        return {
            "adjusted_rand": mean(self.rand),
            "matched_mass": mean(self.matched),
            "perplexity": mean(found.perplexity for found in self.used),
            "information": mean(found.information for found in self.used),
            "states": len(self.used[0].share),
            "each": {"adjusted_rand": list(self.rand), "matched_mass": list(self.matched), "usage": figures},
        }


def measure_stability(posteriors: Sequence[np.ndarray]) -> Stability:
    """Compare posteriors ``(P, S)`` of the same pairs, one for each training; their rows sum to 1.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(posteriors) < 2:
        raise ConfigError(f"Stability compares at least two seeds; there are {len(posteriors)}.")
    couples = list(combinations(posteriors, 2))
    return Stability(
        rand=tuple(adjusted_rand(a, b) for a, b in couples),
        matched=tuple(match(a, b)[1] for a, b in couples),
        used=tuple(usage(torch.from_numpy(posterior)) for posterior in posteriors),
        matches=tuple(tuple(match(posteriors[0], other)[0].tolist()) for other in posteriors[1:]),
    )


def hold_out(pairs: Tensor, num_items: int, share: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Part training pairs ``(2, P)``: those to train on, and distinct ones that no training sees in either direction.

    Args:
        pairs: of training histories, repeated as often as they occur.
        num_items: ``N``.
        share: of the distinct unordered pairs that are held out.
        seed: decides which.
    """
    held = drawn(pair_key(pairs, num_items + 1), torch.ones(pairs.size(1), dtype=torch.bool), share, seed)
    return pairs[:, ~held], pairs[:, held].unique(dim=1)


def held_out_posterior(
    inputs: ModelInputs,
    train_on: Tensor,
    asked: Tensor,
    seed: int,
    train: Discoverer = train_discovery,
    *,
    control: bool = False,
) -> np.ndarray:
    """State posterior ``(P, S)`` of held-out pairs, after a training of its own.

    Args:
        inputs: what discovery reads.
        train_on, asked: from :func:`hold_out`.
        seed: of the training.
        train: makes a RelationDVAE.
        control: deal the texts to the items at random first, always the same way: what agreement and usage are worth
            when the texts tell nothing of their items.
    """
    if control:
        inputs = replace(inputs, text=shuffled(inputs.need_text("discovery"), seed=0))
    dvae = train(inputs, train_on, seed)
    with torch.no_grad():
        posterior: np.ndarray = dvae.state_posterior(asked[0], asked[1]).double().numpy()
    return posterior
