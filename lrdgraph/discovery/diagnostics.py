"""What the posterior is used for: figures for every epoch, and warnings in words when discovery fails."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COLLAPSED = 1.5
SILENT = 0.1


@dataclass(frozen=True)
class Usage:
    """How ``S`` states are used over a set of pairs; information in nats.

    Attributes:
        share: mean posterior of each state, which sum to 1.
        perplexity: ``exp H(mean posterior)``, from 1 (one state for everything) to ``S``.
        entropy: mean entropy of a pair's posterior.
        information: ``I(r; pair) = H(mean posterior) − mean H(posterior)``; 0 when all pairs get the same answer.
    """

    share: tuple[float, ...]
    perplexity: float
    entropy: float
    information: float

    @property
    def largest(self) -> float:
        """Share of the state used most."""
        return max(self.share)

    def figures(self) -> dict[str, float]:
        """All figures by name, for a log."""
        return {
            "perplexity": self.perplexity,
            "entropy": self.entropy,
            "information": self.information,
            "largest_share": self.largest,
        }


def usage(posterior: Tensor) -> Usage:
    """Measure ``(P, S)`` posteriors, "none" included where there is one."""
    with torch.no_grad():
        mean = posterior.double().mean(0)
        spread = _entropy(mean)
        each = float(_entropy(posterior.double()).mean())
    return Usage(tuple(mean.tolist()), float(spread.exp()), each, max(float(spread) - each, 0.0))


def warnings(found: Usage) -> list[str]:
    """Sentences about a collapsed posterior or an encoder that says nothing; empty when neither is so."""
    said = []
    if found.perplexity < COLLAPSED:
        said.append(
            f"The discovered relations have collapsed: perplexity {found.perplexity:.2f}, one state takes "
            f"{found.largest:.0%} of all pairs; lower beta or num_latent, or raise the discovery weight."
        )
    if found.information < SILENT:
        said.append(
            f"The discovery encoder says almost nothing: {found.information:.3f} nat between relation and pair; "
            "check the texts, lower beta, or train longer."
        )
    return said


def clearest_pairs(posterior: Tensor, k: int) -> Tensor:
    """Rows ``(min(k, P), K)`` of the pairs with the largest posterior for each relation, the largest first."""
    return posterior.topk(min(k, len(posterior)), dim=0).indices


def _entropy(distribution: Tensor) -> Tensor:
    return torch.special.entr(distribution).sum(-1)
