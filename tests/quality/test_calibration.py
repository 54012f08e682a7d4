"""Posteriors become probabilities that hold on pairs they were not fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.quality.calibration import Calibration, calibrate, load_calibrations, save_calibrations
from lrdgraph.storage import read_json, write_json
from tests.quality.worlds import graph_of

ITEMS = 120


@pytest.fixture(scope="module")
def world() -> tuple[ItemGraph, Tensor]:
    """Links whose chance is the square of a posterior: the posterior says too much."""
    generator = torch.Generator().manual_seed(0)
    posterior = torch.rand(ITEMS + 1, ITEMS + 1, generator=generator)
    joins = torch.rand(ITEMS + 1, ITEMS + 1, generator=generator) < posterior**2
    joins[0], joins[:, 0] = False, False
    joins.fill_diagonal_(False)
    return graph_of({"r": joins.nonzero().tolist()}, ITEMS), posterior


@pytest.fixture(scope="module")
def found(world: tuple[ItemGraph, Tensor]) -> dict[str, Calibration]:
    graph, posterior = world
    return calibrate(graph, lambda i, j: posterior[i, j][:, None], {"latent_0": 0}, {"latent_0": "r"}, negatives=2)


def test_probabilities_hold_and_the_posterior_did_not(found: dict[str, Calibration]) -> None:
    held = found["latent_0"]
    assert held.relation == "r"
    assert held.after.ece < 0.03 < held.before.ece
    assert held.after.brier < held.before.brier
    assert held.after.brier < held.after.base
    np.testing.assert_allclose(held.after.stated, held.after.found, atol=0.1)


def test_the_map_never_falls_and_keeps_within_its_ends(found: dict[str, Calibration]) -> None:
    values = found["latent_0"](np.linspace(-1, 2, 200).reshape(2, 100))
    assert values.shape == (2, 100)
    assert (np.diff(values.ravel()) >= 0).all()
    assert (values.min(), values.max()) == (found["latent_0"].values[0], found["latent_0"].values[-1])
    assert 0 <= values.min() <= values.max() <= 1


def test_it_is_the_isotonic_regression_of_scikit_learn() -> None:
    x, y = np.array([0.1, 0.2, 0.3, 0.6, 0.9]), np.array([0, 1, 0, 1, 1])
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    curve = reliability_of_nothing()
    ours = Calibration("r", tuple(theirs.X_thresholds_), tuple(theirs.y_thresholds_), 1.0, 5, curve, curve)
    new = np.array([0.0, 0.15, 0.25, 0.45, 0.7, 1.0])
    np.testing.assert_allclose(ours(new), theirs.predict(new))
    assert ours(np.array([0.25])) == pytest.approx(0.5), "0.2 and 0.3 are pooled"


def test_the_ratio_is_stated_as_it_is(world: tuple[ItemGraph, Tensor]) -> None:
    graph, posterior = world
    few, many = (
        calibrate(graph, lambda i, j: posterior[i, j][:, None], {"l": 0}, {"l": "r"}, negatives=n)["l"] for n in (1, 6)
    )
    # links and self pairs among the random ones are left out
    assert 0.4 < few.negatives < 1
    assert many.negatives == pytest.approx(6 * few.negatives, rel=0.1)
    assert float(many(np.array(0.5))) < float(few(np.array(0.5)))


def test_relations_without_a_counterpart_have_none(world: tuple[ItemGraph, Tensor]) -> None:
    graph, posterior = world
    assert calibrate(graph, lambda i, j: posterior[i, j][:, None], {"latent_0": 0, "latent_1": 0}, {}) == {}


def test_there_and_back(found: dict[str, Calibration], tmp_path: Path) -> None:
    save_calibrations(tmp_path / "calibration.json", found, {"seed": 0})
    assert load_calibrations(tmp_path / "calibration.json") == found


@pytest.mark.parametrize("text", ["[]", '{"format": 1}', '{"format": 1, "calibrations": {"a": {"relation": "r"}}}'])
def test_broken_files_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(DataError, match="run 'lrdgraph quality' again"):
        load_calibrations(tmp_path / "calibration.json")


@pytest.mark.parametrize(
    ("knots", "values"),
    [(["a", "b"], [0.0, 1.0]), ([0.0, None], [0.0, 1.0]), ([0.0], [0.0, 1.0]), ([], []), (0.5, 0.5), ([True], [1.0])],
)
def test_knots_that_are_no_numbers_are_refused(
    knots: object, values: object, found: dict[str, Calibration], tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    save_calibrations(path, found, {})
    held = read_json(path)
    held["calibrations"]["latent_0"] |= {"knots": knots, "values": values}
    write_json(path, held)
    with pytest.raises(DataError, match="no whole calibrations; run 'lrdgraph quality' again"):
        load_calibrations(path)


def test_those_of_another_model_are_refused(found: dict[str, Calibration], tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save_calibrations(path, found, {"weights": "abc", "corpus": "def"})
    assert load_calibrations(path, weights="abc", corpus="def") == found
    for of in ({"weights": "abd", "corpus": "def"}, {"weights": "abc", "corpus": "de"}):
        with pytest.raises(DataError, match="of another run or of earlier weights; make it anew with 'lrdgraph qual"):
            load_calibrations(path, **of)


def test_settings_are_checked(world: tuple[ItemGraph, Tensor]) -> None:
    for wrong in ({"negatives": 0}, {"share": 1.0}):
        with pytest.raises(ConfigError, match="they must be"):
            calibrate(world[0], lambda i, j: torch.ones(len(i), 1), {"l": 0}, {"l": "r"}, **wrong)


def reliability_of_nothing():
    from lrdgraph.evaluation.reliability import reliability

    return reliability(np.array([0.5]), np.array([1]))
