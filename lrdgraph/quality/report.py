"""The discovered relations of a trained model, assessed: alignment, novelty, calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.pairs import history_pairs
from lrdgraph.errors import ConfigError
from lrdgraph.export.registry import discovered
from lrdgraph.models.base import Recommender
from lrdgraph.quality.alignment import TOPS, Alignment, align, counterparts, telling_top
from lrdgraph.quality.calibration import Calibration, calibrate
from lrdgraph.quality.novelty import Novelty, later_transitions, novelty
from lrdgraph.splits import Split


@dataclass(frozen=True)
class Assessment:
    """What is known of each discovered relation.

    Attributes:
        alignment: beside every predefined relation.
        top: how many pairs of the highest posterior decide on counterparts; None where there are too few pairs.
        counterparts: latent → predefined relation, for those that have one.
        new: pairs that the graph does not join, and how many come true; None without later events.
        unseen: the same of pairs that no training history holds either; None without later events.
        calibrations: latent relation → calibration, for those that have a counterpart.
    """

    alignment: list[Alignment]
    top: int | None
    counterparts: dict[str, str]
    new: list[Novelty] | None
    unseen: list[Novelty] | None
    calibrations: dict[str, Calibration]

    def to_json(self) -> dict[str, Any]:
        def rows(found: Iterable[Alignment | Novelty] | None) -> list[dict[str, Any]] | None:
            return None if found is None else [entry.to_json() for entry in found]

        return {
            "alignment": rows(self.alignment),
            "top": self.top,
            "counterparts": self.counterparts,
            "new": rows(self.new),
            "unseen": rows(self.unseen),
            "calibration": {name: found.to_json() for name, found in self.calibrations.items()},
        }


def assess(
    model: Recommender,
    parts: Split | None = None,
    *,
    tops: Iterable[int] = TOPS,
    least_lift: float = 2.0,
    negatives: int = 10,
    seed: int = 0,
) -> Assessment:
    """Assess the discovered relations of a model.

    Args:
        model: one with discovered relations.
        parts: the split it was trained on; its validation and test events say what comes true, and nothing else.
        tops, least_lift: see :func:`lrdgraph.quality.alignment.align` and
            :func:`lrdgraph.quality.alignment.counterparts`.
        negatives: see :func:`lrdgraph.quality.calibration.calibrate`.
        seed: of controls and random pairs.

    Raises:
        ConfigError: the model has discovered no relations.
    """
    enriched = discovered(model)
    dvae = getattr(model, "discovery", None)
    if not isinstance(dvae, RelationDVAE):
        raise ConfigError(f"{type(model).__name__} gives no posterior of any pair; use a model such as 'lrdgraph'.")
    tops = tuple(tops)
    alignment = align(enriched, tops)
    between = (model.inputs.need_graph("assessment").relations[k].name for k in _between_items(model))
    found = counterparts(alignment, between, least_lift=least_lift)
    new = unseen = None
    if parts is not None:
        later, popularity = later_transitions(parts), model.inputs.popularity.cpu()
        new = novelty(enriched, later, popularity, tops=tops, seed=seed)
        unseen = novelty(enriched, later, popularity, walked=_transitions(model), tops=tops, seed=seed)
    device = dvae.text.device
    calibrations = calibrate(
        enriched.graph,
        lambda i, j: dvae.posterior(i.to(device), j.to(device)),
        {relation.name: k for k, relation in enumerate(enriched.latent)},
        found,
        negatives=negatives,
        seed=seed,
    )
    return Assessment(alignment, telling_top(tops, enriched.num_pairs, least_lift), found, new, unseen, calibrations)


def _between_items(model: Recommender) -> list[int]:
    """Relations that join items; of inverses those that are not of attributes."""
    graph = model.inputs.need_graph("assessment")
    between = (graph.edge_index <= graph.num_items).all(0)
    return torch.unique(graph.edge_type[between]).tolist()


def _transitions(model: Recommender) -> Tensor:
    """Distinct consecutive items of training histories, ``(2, n)``."""
    return history_pairs(model.inputs.sequences(), max_gap=1).unique(dim=1)
