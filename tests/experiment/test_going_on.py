"""A run that is begun again in its folder: what still holds, what is made anew, and who may not begin beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.experiment import evaluate_run, load_run, run_experiment
from lrdgraph.experiment import run as runs
from lrdgraph.language.settings import TextSettings
from lrdgraph.storage import claimed, read_json
from tests.experiment.worlds import published, settings
from tests.models import shop


def test_what_was_measured_of_older_weights_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    run_experiment(settings(tmp_path, training={"epochs": 1}), folder, corpus=published())
    evaluate_run(folder, corpus=published())
    longer = settings(tmp_path, training={"epochs": 4})

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(longer, folder, corpus=published())
    assert (folder / "ranks-test.parquet").exists()
    epochs: list[dict[str, Any]] = []
    run_experiment(longer, folder, corpus=published(), report=epochs.append)
    result = read_json(folder / "result.json")
    assert (epochs, result["epochs"]) == ([], 4), "all was trained before"
    assert result["metrics"].keys() == result["buckets"].keys() == {"validation"}
    assert result["targets"] == {}
    assert not (folder / "ranks-test.parquet").exists()
    evaluate_run(folder, corpus=published())
    before = (folder / "ranks-test.parquet").read_bytes()
    run_experiment(longer, folder, corpus=published())
    assert "test" in read_json(folder / "result.json")["metrics"]
    assert (folder / "ranks-test.parquet").read_bytes() == before


def test_ranks_of_older_weights_go_with_the_training(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_experiment(settings(tmp_path, training={"epochs": 1}), folder, corpus=published())
    evaluate_run(folder, corpus=published())
    run_experiment(settings(tmp_path, training={"epochs": 2}), folder, corpus=published())
    assert read_json(folder / "result.json")["metrics"].keys() == {"validation"}
    assert not (folder / "ranks-test.parquet").exists()


def test_settings_that_fail_in_training_can_be_mended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(DataError, match="The loss is nan in epoch 1"):
        run_experiment(settings(tmp_path, training={"learning_rate": 1e30}), folder, corpus=shop.shop())
    assert (folder / "experiment.json").exists()
    mended = settings(tmp_path, "lrdgraph", training={"epochs": 1})
    run_experiment(mended, folder, corpus=published())
    again = load_run(folder)
    assert (again.settings, again.fingerprint) == (mended, published().fingerprint)


def test_what_a_failed_run_kept_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(DataError, match="The loss is nan"):
        run_experiment(settings(tmp_path, training={"learning_rate": 1e30}), folder, corpus=published())
    before = (folder / "inputs" / "inputs.safetensors").stat().st_size
    textless = replace(settings(tmp_path, "popularity"), text=TextSettings())
    run_experiment(textless, folder, corpus=published())
    assert (folder / "inputs" / "inputs.safetensors").stat().st_size < before, "there are no vectors any more"
    load_run(folder)


def test_two_do_not_train_in_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    holder = "from lrdgraph.storage import claimed; import sys, pathlib\n"
    holder += "with claimed(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(folder)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(root)}
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="run is being trained by another process; wait for it or name another"):
            run_experiment(settings(tmp_path, "popularity"), folder, corpus=published())
        other.communicate(b"")
    assert not folder.exists(), "nothing came into it"
    run_experiment(settings(tmp_path, "popularity"), folder, corpus=published())
    with claimed(folder):
        pass
    assert (folder / "result.json").exists()
