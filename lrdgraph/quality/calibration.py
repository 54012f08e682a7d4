"""From a posterior to the probability that a recorded relation holds, for discovered relations that have a counterpart.

A posterior is a share among discovered relations; that a pair has 0.9 does not mean that nine of ten such pairs are
recorded. A calibrated probability does, among pairs of the stated mixture: all recorded links, and so many random pairs
for each. A discovered relation without a predefined counterpart has nothing to be calibrated against and stays an
uncalibrated posterior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.reliability import Reliability, reliability
from lrdgraph.graph.enrichment import Posterior
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.quality.head import labelled_pairs
from lrdgraph.quality.hidden import drawn, pair_key
from lrdgraph.storage import read_json, write_json

FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """A map that never falls from the posterior of one discovered relation to a probability.

    Attributes:
        relation: the predefined counterpart.
        knots: posteriors, rising.
        values: the probability at each knot, never falling; between two it is interpolated, outside it is constant.
        negatives: random pairs for each recorded link, where the probability holds.
        pairs: how many it was fitted on.
        before, after: reliability of the posterior itself and of the probability, on the other pairs.
    """

    relation: str
    knots: tuple[float, ...]
    values: tuple[float, ...]
    negatives: float
    pairs: int
    before: Reliability
    after: Reliability

    def __call__(self, posterior: np.ndarray) -> np.ndarray:
        """Probabilities of posteriors, of any shape."""
        probability: np.ndarray = np.interp(np.asarray(posterior, dtype=np.float64), self.knots, self.values)
        return probability

    def to_json(self) -> dict[str, Any]:
        return {
            "relation": self.relation,
            "knots": list(self.knots),
            "values": list(self.values),
            "negatives": self.negatives,
            "pairs": self.pairs,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        knots, values = _numbers(held["knots"]), _numbers(held["values"])
        if not len(knots) == len(values) > 0:
            raise ValueError("a calibration has one value for each knot")
        _numbers([held["negatives"]])
        before, after = (Reliability.from_json(held[part]) for part in ("before", "after"))
        return cls(held["relation"], knots, values, held["negatives"], held["pairs"], before, after)


def calibrate(
    graph: ItemGraph,
    posterior: Posterior,
    names: Mapping[str, int],
    counterparts: Mapping[str, str],
    *,
    negatives: int = 10,
    share: float = 0.5,
    bins: int = 10,
    seed: int = 0,
) -> dict[str, Calibration]:
    """Isotonic regression of "the counterpart joins the pair" on the posterior, measured on pairs it was not fitted on.

    The pairs are all links of the counterpart between items and random pairs that it does not join, half of them with
    the head and half with the tail of a link. Unordered pairs are parted, so that no pair is on both sides.

    Args:
        graph: recorded links.
        posterior: ``(i (P,), j (P,)) -> (P, K)``.
        names: latent relation → its column of the posterior.
        counterparts: latent relation → predefined relation, from :func:`lrdgraph.quality.alignment.counterparts`.
        negatives: random pairs for each link.
        share: of the pairs that it is fitted on.
        bins: of the reliability curve.
        seed: of random pairs and of the parting.

    Returns:
        Latent relation → calibration, for those that have a counterpart.

    Raises:
        ConfigError: negatives below 1 or a share that leaves one part empty.
    """
    from sklearn.isotonic import IsotonicRegression

    if negatives < 1 or not 0 < share < 1:
        raise ConfigError(f"negatives is {negatives} and share {share}; they must be 1 or more, and between 0 and 1.")
    found = {}
    for latent, relation in counterparts.items():
        pairs, labels = _labelled(graph, relation, negatives, seed)
        q = _column(posterior, pairs, names[latent])
        fitted = drawn(pair_key(pairs, graph.num_rows), torch.ones(len(labels), dtype=torch.bool), share, seed).numpy()
        y = labels.numpy()
        isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(q[fitted], y[fitted])
        knots, values = isotonic.X_thresholds_, isotonic.y_thresholds_
        after = np.interp(q[~fitted], knots, values)
        found[latent] = Calibration(
            relation,
            tuple(float(x) for x in knots),
            tuple(float(x) for x in values),
            float((~labels).sum() / labels.sum()),
            int(fitted.sum()),
            reliability(q[~fitted], y[~fitted], bins),
            reliability(after, y[~fitted], bins),
        )
    return found


def save_calibrations(path: Path, found: Mapping[str, Calibration], provenance: Mapping[str, Any]) -> None:
    """Write calibrations as JSON, with where they come from.

    Args:
        path: the file.
        found: latent relation → calibration.
        provenance: of any content; ``"weights"`` and ``"corpus"`` are what :func:`load_calibrations` compares.
    """
    held = {latent: calibration.to_json() for latent, calibration in found.items()}
    write_json(path, {"format": FORMAT, "calibrations": held, "provenance": dict(provenance)})


def load_calibrations(path: Path, **of: str) -> dict[str, Calibration]:
    """Read what :func:`save_calibrations` wrote: latent relation → a callable from posteriors to probabilities.

    Args:
        path: the file.
        of: what its provenance must say, as ``weights=``, the :func:`lrdgraph.models.serving.weights_hash` of the
            model that it is for, and ``corpus=``, the fingerprint.

    Raises:
        DataError: the file is missing, holds something else, or is that of another model.
    """
    held = read_json(path)
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise DataError(f"{path} holds no calibrations of format {FORMAT}; run 'lrdgraph quality' again.")
    try:
        found = {latent: Calibration.from_json(entry) for latent, entry in held["calibrations"].items()}
        origin = dict(held["provenance"]) if of else {}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path} holds no whole calibrations; run 'lrdgraph quality' again.") from None
    if any(origin.get(key) != value for key, value in of.items()):
        raise DataError(f"{path} is of another run or of earlier weights; make it anew with 'lrdgraph quality'.")
    return found


def _numbers(held: Any) -> tuple[float, ...]:
    if not all(type(value) in (int, float) and math.isfinite(value) for value in held):
        raise ValueError("a knot is no number")
    return tuple(float(value) for value in held)


def _labelled(graph: ItemGraph, relation: str, negatives: int, seed: int) -> tuple[Tensor, Tensor]:
    links = graph.edge_index[:, graph.edges_of(relation)]
    links = links[:, (links <= graph.num_items).all(0)]
    return labelled_pairs(links, graph.num_items, negatives, seed)


def _column(posterior: Posterior, pairs: Tensor, column: int, block: int = 1 << 16) -> np.ndarray:
    with torch.no_grad():
        parts = [
            posterior(pairs[0, start : start + block], pairs[1, start : start + block])[:, column]
            for start in range(0, pairs.size(1), block)
        ]
    found: np.ndarray = torch.cat(parts).cpu().double().numpy().clip(0, 1)
    return found
