"""``lrdgraph quality`` on a small shop: what it says, what it writes, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lrdgraph.cli.quality import show_assessment
from lrdgraph.errors import DataError
from lrdgraph.experiment import load_run
from lrdgraph.quality import recovery
from lrdgraph.quality.calibration import load_calibrations
from lrdgraph.quality.report import assess
from lrdgraph.storage import read_json
from tests.cli.conftest import Command
from tests.cli.world import write_experiment


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


def test_the_calibration_is_for_the_run_that_it_was_made_of(
    lrdgraph: Command, run: Path, shop: Path, tmp_path: Path
) -> None:
    assert lrdgraph("quality", run, "--data", shop).status == 0
    words = ("--to", tmp_path / "x.tsv", "--threshold", "0", "--calibration", run / "calibration.json")
    answer = lrdgraph("export", run, *words)
    assert answer.status == 0, answer.err


def test_a_relation_is_hidden_and_ranked(lrdgraph: Command, run: Path, shop: Path) -> None:
    words = ("quality", run, "--data", shop, "--hide", "complement", "--epochs", "1")
    answer = lrdgraph(*words)
    assert answer.status == 2
    assert "'complement' has 24 links, of which a share of 0.05 shows " in answer.err
    assert "raise the share, on the command line with --shown" in answer.err
    assert answer.out == "", "said before anything is assessed"
    answer = lrdgraph(*words, "--shown", "0.5")
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
    answer = lrdgraph("quality", run, "--data", shop, "--hide", "complement", "--hide", "complemnt", "--shown", "0.5")
    assert "no relation 'complemnt'" in answer.err
    assert answer.out == ""
    assert "'--seed'" in lrdgraph("quality", run, "--seed", "-1").err
    assert "share of pairs is 1.5" in lrdgraph("quality", run, "--hide", "complement", "--shown", "1.5").err
    assert not (run / "quality.json").exists()


def test_what_was_found_is_kept_where_the_hidden_part_fails(
    lrdgraph: Command, run: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DataError("The method has diverged.")

    monkeypatch.setattr(recovery, "recover_relation", fails)
    answer = lrdgraph("quality", run, "--data", shop, "--hide", "complement", "--shown", "0.5")
    assert answer.status == 2
    assert read_json(run / "quality.json")["hidden"] == {}
    load_calibrations(run / "calibration.json")


def test_a_graph_without_relations(lrdgraph: Command, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for name in ("interactions.csv", "items.csv"):
        shutil.copy(shop / name, tmp_path / "shop" / name)
    more = "num_latent = 2\ntext_neighbours = 4\ndiscovery_channels = 4"
    experiment = write_experiment(tmp_path / "e.toml", tmp_path / "shop", "lrdgraph", more)
    run = tmp_path / "none"
    assert lrdgraph("train", experiment, "--out", run, "--set", "training.epochs=1").status == 0
    answer = lrdgraph("quality", run)
    assert answer.status == 0, answer.err
    assert "the graph has no predefined relations" in answer.out
    assert "later transitions among the clearest pairs" in answer.out
    assert read_json(run / "quality.json")["alignment"] == []


def test_the_table_says_by_what_a_counterpart_is_chosen(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_run(run).model
    show_assessment(assess(model))
    few = capsys.readouterr().out
    assert "candidate pairs are too few to tell a counterpart from chance by their top 100" in few
    show_assessment(assess(model, tops=(5, 10)))
    assert "by top 10" in " ".join(capsys.readouterr().out.split())


def test_without_a_split_nothing_is_said_of_what_comes_true(run: Path) -> None:
    found = assess(load_run(run).model, tops=(5,))
    assert found.new is None
    assert found.unseen is None
    assert all(set(entry.precision) == {5} for entry in found.alignment)
    assert found.to_json()["new"] is None
