"""Do probabilities mean what they say: reliability curve, expected calibration error, Brier score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lrdgraph.errors import DataError


@dataclass(frozen=True)
class Reliability:
    """Probabilities held against what was so, in bins of equal width; empty bins are left out.

    Attributes:
        stated: mean probability in each bin.
        found: share of outcomes that are true in each bin.
        count: outcomes in each bin.
        ece: ``Σ_b n_b/n |found_b − stated_b|``, the expected calibration error (Naeini et al., AAAI 2015).
        brier: mean squared difference of probability and outcome (Brier, 1950).
        base: Brier score of whoever states the share of true outcomes for all, ``p (1 − p)``.
    """

    stated: tuple[float, ...]
    found: tuple[float, ...]
    count: tuple[int, ...]
    ece: float
    brier: float
    base: float

    def to_json(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Reliability:
        """Read what :meth:`to_json` gave."""
        stated, found, count = (tuple(held[key]) for key in ("stated", "found", "count"))
        return cls(stated, found, count, held["ece"], held["brier"], held["base"])


def reliability(probability: np.ndarray, outcome: np.ndarray, bins: int = 10) -> Reliability:
    """Measure probabilities ``(P,)`` against outcomes ``(P,)`` of 0 and 1, or bool.

    Raises:
        DataError: there are none, or a probability is outside [0, 1].
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if not len(p) or not (p.min() >= 0 and p.max() <= 1):
        raise DataError("Reliability needs at least one probability, and all of them in [0, 1].")
    bin_of = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    held = count > 0
    stated = np.bincount(bin_of, weights=p, minlength=bins)[held] / count[held]
    found = np.bincount(bin_of, weights=y, minlength=bins)[held] / count[held]
    ece = float((count[held] * np.abs(found - stated)).sum() / len(p))
    share = float(y.mean())
    return Reliability(
        tuple(stated.tolist()),
        tuple(found.tolist()),
        tuple(count[held].tolist()),
        ece,
        float(((p - y) ** 2).mean()),
        share * (1 - share),
    )
