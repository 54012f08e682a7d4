"""``lrdgraph quality`` on a small shop: what it says, what it writes, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lrdgraph.experiment import load_run
from lrdgraph.quality import recovery
from lrdgraph.quality.calibration import load_calibrations
from lrdgraph.quality.hidden import hide_relation
from lrdgraph.quality.report import assess
from lrdgraph.storage import read_json
from tests.cli.conftest import Command


@pytest.fixture
def run(discovered: Path, tmp_path: Path) -> Path:
    shutil.copytree(discovered, tmp_path / "run")
    return tmp_path / "run"


def test_it_tells_and_writes(lrdgraph: Command, run: Path, shop: Path) -> None:
    answer = lrdgraph("quality", run, "--data", shop)
    assert answer.status == 0, answer.err
    assert "share of pairs that it joins" in answer.out
    assert "later transitions among the clearest pairs nor in any history" in answer.out
    held = read_json(run / "quality.json")
    assert {entry["latent"] for entry in held["alignment"]} == {"latent_0", "latent_1"}
    assert {entry["relation"] for entry in held["alignment"]} == {"complement", "made_by", "complement^-1"}
    assert held["provenance"]["versions"]["lrdgraph"]
    calibrations = load_calibrations(run / "calibration.json")
    assert set(calibrations) == set(held["counterparts"])
    for name in ("latent_0", "latent_1"):
        assert (f"{name} has no predefined counterpart" in answer.out) == (name not in calibrations)
    for calibration in calibrations.values():
        assert 0 <= calibration(np.array([0.5])) <= 1


def test_a_relation_is_hidden_and_ranked(
    lrdgraph: Command, run: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = lrdgraph("quality", run, "--data", shop, "--hide", "complement", "--epochs", "1")
    assert answer.status == 2
    assert "at least 5 links" in answer.err, "5 % of 24 links are too few to fit on"
    monkeypatch.setattr(
        recovery, "hide_relation", lambda graph, name, shown, seed: hide_relation(graph, name, 0.5, seed)
    )
    answer = lrdgraph("quality", run, "--data", shop, "--hide", "complement", "--epochs", "1")
    assert answer.status == 0, answer.err
    assert "recovery of 'complement', hidden whole" in answer.out
    methods = read_json(run / "quality.json")["hidden"]["complement"]
    assert {"posterior", "decoder", "cosine", "co-occurrence", "random"} < set(methods)
    assert methods["co-occurrence"]["MRR"] > 2 * methods["random"]["MRR"], "each item is bought after the one before it"


def test_it_refuses_other_data_and_models_that_discover_nothing(
    lrdgraph: Command, run: Path, shop: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(shop, other)
    with (other / "triples.tsv").open("a") as file:
        file.write("i1\tcomplement\ti9\n")
    answer = lrdgraph("quality", run, "--data", other)
    assert answer.status == 2
    assert "name that data with --data" in answer.err
    assert "no relation 'complemnt'" in lrdgraph("quality", run, "--data", shop, "--hide", "complemnt").err


def test_without_a_split_nothing_is_said_of_what_comes_true(run: Path) -> None:
    found = assess(load_run(run).model, tops=(5,))
    assert found.new is None
    assert found.unseen is None
    assert all(set(entry.precision) == {5} for entry in found.alignment)
    assert found.to_json()["new"] is None
