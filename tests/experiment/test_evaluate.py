"""A finished run is evaluated: at which time requests are made, and by which layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lrdgraph.errors import DataError
from lrdgraph.evaluation.saved_ranks import load_ranks
from lrdgraph.evaluation.significance import compare
from lrdgraph.experiment import evaluate_run, run_experiment
from lrdgraph.nn.native import find_compiler
from lrdgraph.nn.relation_layers import relation_layers
from lrdgraph.storage import read_json
from lrdgraph.training.trainer import validate
from tests.experiment.worlds import published, settings

TIMED = {"time": "request", "trend": True}


def test_the_moment_of_the_request_changes_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, made = settings(tmp_path), []
    monkeypatch.setattr("lrdgraph.experiment.run.validate", lambda *of: made.append(of) or validate(*of))
    for reads in (False, True):
        wanted = replace(plain, model=plain.model | TIMED) if reads else plain
        folder = tmp_path / f"run-{reads}"
        run_experiment(wanted, folder, corpus=published())
        made.clear()
        evaluate_run(folder, corpus=published())
        assert len(made) == 1 + reads
        metrics = read_json(folder / "result.json")["metrics"]
        assert (metrics["test"] != metrics["test@last-event"]) == reads


def test_validation_and_test_are_not_paired(tmp_path: Path) -> None:
    wanted, folder = settings(tmp_path), tmp_path / "run"
    run_experiment(wanted, folder, corpus=published())
    test, validation = (evaluate_run(folder, role, corpus=published()) for role in ("test", "validation"))
    with pytest.raises(DataError, match="The runs rank different targets"):
        compare([test], [validation], "full/MRR")
    saved = load_ranks(folder / "ranks-test.parquet", wanted.evaluation)
    assert {held.targets for held in saved.values()} == {read_json(folder / "result.json")["targets"]["test"]}
    assert compare([test], [saved[""]], "full/MRR").difference == 0


@pytest.mark.parametrize(("request_time", "other"), [("target", "last-event"), ("last-event", "target")])
def test_the_request_time_of_the_settings_has_the_plain_name(request_time: str, other: str, tmp_path: Path) -> None:
    wanted = settings(tmp_path, evaluation={"request": request_time})
    wanted = replace(wanted, model=wanted.model | TIMED)
    run_experiment(wanted, tmp_path / "run", corpus=published())
    trained = read_json(tmp_path / "run" / "result.json")["metrics"]["validation"]
    evaluate_run(tmp_path / "run", "validation", corpus=published())
    metrics = read_json(tmp_path / "run" / "result.json")["metrics"]
    assert metrics.keys() == {"validation", f"validation@{other}"}
    assert metrics["validation"] == pytest.approx(trained)
    assert metrics[f"validation@{other}"] != metrics["validation"]


def test_compiled_layers_evaluate_and_where_there_is_no_compiler_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(
        settings(tmp_path, training={"compile": True}),
        model={"name": "rcf", "hidden_channels": 8, "num_heads": 2, "max_length": 4},
    )
    run_experiment(wanted, tmp_path / "run", corpus=published())
    layers = "lrdgraph.nn.relational_attention.relation_layers"
    with monkeypatch.context() as patch:
        used = []
        patch.setattr(layers, lambda *of: used.append(of) or relation_layers(*of))
        evaluation = evaluate_run(tmp_path / "run", corpus=published())
        assert used
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("lrdgraph.nn.relational_attention.load_relation_layers", find_compiler)
    monkeypatch.setattr(layers, None)
    assert evaluate_run(tmp_path / "run", corpus=published()).metrics == pytest.approx(evaluation.metrics)
