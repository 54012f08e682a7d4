"""The shop with a published split and candidates, and experiments on it that take a second."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lrdgraph.corpus import TEST, VALIDATION, Corpus
from lrdgraph.experiment.settings import ExperimentSettings, experiment_settings
from lrdgraph.splits import split
from tests.models import shop

TINY = {"hidden_channels": 8, "num_layers": 1, "max_length": 4}
MODELS: dict[str, dict[str, Any]] = {
    "sasrec": TINY | {"text": True},
    "lrdgraph": TINY | {"discovery_channels": 4, "num_latent": 2, "text_neighbours": 3, "trend": True},
    "popularity": {},
    "relation-count": {},
}


@cache
def published() -> Corpus:
    """The shop's last two events of each person as its own split, with three candidates for each."""
    corpus = shop.shop()
    parts = split(corpus)
    role = np.empty_like(parts.role)
    role[parts.source] = parts.role
    rng = np.random.default_rng(0)
    lists = {
        name: rng.integers(1, 25, (int((role == value).sum()), 3))
        for name, value in {"validation": VALIDATION, "test": TEST}.items()
    }
    return replace(corpus, split=role, candidates=lists)


def settings(folder: Path, model: str = "sasrec", **sections: dict[str, Any]) -> ExperimentSettings:
    """Settings of a small run whose language vectors lie in ``folder``."""
    path = folder / "vectors.npy"
    if not path.exists():
        np.save(path, shop.vectors())
    training = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02, "device": "cpu"} | sections.pop("training", {})
    return experiment_settings(
        {
            "name": "small",
            "text": {"vectors": str(path)},
            "model": {"name": model} | MODELS[model],
            "training": training,
            **sections,
        }
    )
