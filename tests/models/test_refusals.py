"""What a model refuses: settings that mean nothing, and inputs without what it reads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lrdgraph.errors import ConfigError
from lrdgraph.models.registry import build_model
from tests.models import shop
from tests.models.cases import CASES


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sasrec", {"time": "histroy"}),
        ("sasrec", {"dropout": 1.5}),
        ("sasrec", {"hidden_channels": 0}),
        ("sasrec", {"num_heads": 3}),
        ("gru4rec", {"max_length": -3}),
        ("lrdgraph", {"evidence_length": -1}),
        ("lrdgraph", {"discovery_pairs": -5}),
        ("lrdgraph", {"evidence_gate": True, "evidence": False}),
        ("sasrec", {"use_id": False, "text": False}),
        ("lrdgraph", {"use_id": False, "text": False}),
        ("lrdgraph", {"decoder_scale": math.inf}),
        ("lrdgraph", {"decoder_scale": math.nan}),
        ("kda", {"num_latent": -1}),
        ("kda", {"num_heads": 3}),
        ("rcf", {"num_heads": 5}),
        ("kda", {"frequency_points": -1}),
        ("rcf", {"deviation": 0.0}),
    ],
)
def test_a_setting_that_means_nothing_is_refused(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="|".join(values)):
        build_model(name, shop.inputs(), CASES[name]["plain"] | values)


@pytest.mark.parametrize(
    ("name", "lacking", "message"),
    [
        ("lrdgraph", "graph", "'lrdgraph' reads an item graph"),
        ("lrdgraph", "text", "'lrdgraph' reads language vectors"),
        ("text-knn", "text", "'text-knn' reads language vectors"),
        ("cfkg", "graph", "'cfkg' reads an item graph"),
        ("relation-count", "graph", "'relation-count' reads an item graph"),
    ],
)
def test_a_model_says_what_it_lacks(name: str, lacking: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(name, replace(shop.inputs(), **{lacking: None}))


FIRST = {"num_latent": 2, "discovery_training": "first"}
PUBLISHED = {"objective": "published", "none_state": False}


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("kda", FIRST | {"read_posterior": False}, "set read_posterior to true"),
        ("rcf", FIRST | PUBLISHED, "set objective to 'elbo'"),
        ("lrdgraph", FIRST | PUBLISHED | {"discovery_prior": "uniform"}, "set objective to 'elbo'"),
        ("kda", FIRST | {"num_latent": 9}, "discovery_channels of num_latent, 9, or more; it is 8"),
    ],
)
def test_discovery_trained_first_is_trained_as_it_says_and_read(
    name: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(name, shop.inputs(), CASES[name]["plain"] | values)
    build_model(name, shop.inputs(), CASES[name]["plain"] | values | {"discovery_training": "joint"})
