"""From settings to a folder of results, and back from the folder alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from lrdgraph.batch import target_batch
from lrdgraph.config import to_dict
from lrdgraph.corpus import TRAIN, Corpus, Triples
from lrdgraph.errors import ConfigError, DataError, LrdgraphError
from lrdgraph.evaluation.saved_ranks import load_ranks
from lrdgraph.experiment import evaluate_run, load_run, run_experiment
from lrdgraph.experiment.inputs import build_inputs
from lrdgraph.experiment.settings import experiment_settings
from lrdgraph.splits import split
from lrdgraph.storage import read_json, write_json
from lrdgraph.vocabulary import Vocabulary
from tests.experiment.worlds import MODELS, published, settings
from tests.models import shop

NAMES = {f"{p}/{m}" for p in ("full", "candidates-3") for m in ("HR@5", "NDCG@5", "HR@10", "NDCG@10", "MRR")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is only read, or copied first."""
    folder = tmp_path_factory.mktemp("runs")
    run_experiment(settings(folder), folder / "run", corpus=published())
    return folder / "run"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", MODELS)
def test_train_load_evaluate(name: str, tmp_path: Path) -> None:
    wanted = settings(tmp_path, name)
    run = run_experiment(wanted, tmp_path / "run", corpus=published())
    result = read_json(tmp_path / "run" / "result.json")
    assert result.keys() == {
        *("name", "model", "seed", "metrics", "buckets", "targets", "corpus", "config_hash", "parameters", "epochs"),
        *("best_epoch", "seconds", "peak_memory_gb", "warnings", "settings", "versions", "machine", "commit"),
    }
    assert result["metrics"].keys() == {"validation"}, "test is left to evaluate"
    assert result["metrics"]["validation"].keys() == NAMES
    assert result["targets"] == {}
    assert (result["model"], result["seed"], result["settings"]) == (name, 0, to_dict(wanted))
    assert result["corpus"] == {"name": "shop", "fingerprint": published().fingerprint, "split": "given"}
    assert result["epochs"] == (2 if run.model.trainable else 0)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == list(range(1, result["epochs"] + 1))

    again = load_run(tmp_path / "run", device="cpu")
    assert again.settings == wanted
    assert again.fingerprint == published().fingerprint
    targets = split(published()).targets("test")
    batch = target_batch(targets, np.arange(len(targets)), run.model.max_length)
    with torch.no_grad():
        assert torch.equal(again.model.score(batch), run.model.score(batch))
    assert again.titles == run.titles == published().fields["title"].to_list()

    evaluation = evaluate_run(tmp_path / "run", corpus=published())
    metrics = read_json(tmp_path / "run" / "result.json")["metrics"]
    assert metrics.keys() == {"validation", "test", "test@last-event"}
    assert metrics["test"] == evaluation.metrics
    saved = load_ranks(tmp_path / "run" / "ranks-test.parquet", wanted.evaluation)
    assert {f"test{suffix}": held.metrics for suffix, held in saved.items()} == {
        k: metrics[k] for k in metrics if "test" in k
    }
    assert np.array_equal(saved[""].user, targets.user)
    assert all(found.keys() == NAMES and all(0 <= v <= 1 for v in found.values()) for found in metrics.values())
    evaluate_run(tmp_path / "run", "validation", corpus=published())
    held = read_json(tmp_path / "run" / "result.json")["metrics"]
    assert held["validation"] == pytest.approx(metrics["validation"])
    assert held["test"] == metrics["test"]


def test_a_finished_run_is_not_trained_again(copied: Path, tmp_path: Path) -> None:
    before, epochs = files(copied), []
    held = load_run(copied).settings
    elsewhere = replace(held, data=replace(held.data, source="moved"))
    run_experiment(elsewhere, copied, corpus=published(), report=epochs.append)
    after = files(copied)
    assert epochs == []
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == ["result.json"]
    assert json.loads(before["result.json"])["metrics"] == json.loads(after["result.json"])["metrics"]


@pytest.mark.parametrize(
    ("sections", "changed"),
    [
        ({"training": {"epochs": 1}}, r"\[training\] epochs"),
        ({"training": {"seed": 1}}, r"\[training\] seed"),
        ({"graph": {"inverses": False}}, r"\[graph\] inverses"),
        ({"evaluation": {"ks": [5]}}, r"\[evaluation\] ks"),
        ({"data": {"split": "leave-one-out"}}, r"\[data\] split"),
    ],
)
def test_a_folder_of_other_settings_is_refused(finished: Path, sections: dict[str, Any], changed: str) -> None:
    before = files(finished)
    with pytest.raises(ConfigError, match=f"holds a run with another {changed}; choose another folder or remove it"):
        run_experiment(settings(finished.parent, **sections), finished, corpus=published())
    assert files(finished) == before


def test_more_epochs_are_trained_on(copied: Path, tmp_path: Path) -> None:
    held, epochs = load_run(copied).settings, []
    longer = replace(held, training=replace(held.training, epochs=3))
    run_experiment(longer, copied, corpus=published(), report=epochs.append)
    whole = run_experiment(longer, tmp_path / "whole", corpus=published())
    assert [entry["epoch"] for entry in epochs] == [3]
    for name, tensor in load_run(copied).model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name])
    assert load_run(copied).settings == longer


def test_more_epochs_of_another_schedule_are_another_run(tmp_path: Path) -> None:
    cosine = settings(tmp_path, training={"schedule": "cosine"})
    run_experiment(cosine, tmp_path / "run", corpus=published())
    with pytest.raises(ConfigError, match=r"another \[training\] epochs"):
        run_experiment(
            settings(tmp_path, training={"schedule": "cosine", "epochs": 3}), tmp_path / "run", corpus=published()
        )


def test_further_cut_offs(copied: Path) -> None:
    before = read_json(copied / "result.json")["metrics"]["validation"]
    found = evaluate_run(copied, "validation", corpus=published(), ks=(1, 5))
    after = read_json(copied / "result.json")["metrics"]["validation"]
    assert after == found.metrics
    assert after.keys() - before.keys() == {f"{of}/{m}@1" for of in ("full", "candidates-3") for m in ("HR", "NDCG")}
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate_run(copied, "validation", corpus=published(), ks=(0,))


def test_settings_that_cannot_run_leave_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric 'full/NDCG@7' is not evaluated"):
        run_experiment(settings(tmp_path, training={"metric": "full/NDCG@7"}), tmp_path / "run", corpus=published())
    assert not (tmp_path / "run").exists()
    run_experiment(settings(tmp_path), tmp_path / "run", corpus=published())


def test_where_a_run_is_computed_may_change(copied: Path) -> None:
    held, epochs = load_run(copied).settings, []
    moved = replace(
        held,
        name="other",
        training=replace(held.training, device="auto"),
        evaluation=replace(held.evaluation, batch_size=7),
    )
    run_experiment(moved, copied, corpus=published(), report=epochs.append)
    assert epochs == []


def test_a_run_with_other_language_vectors_is_refused(copied: Path, tmp_path: Path) -> None:
    held = load_run(copied).settings
    vectors, path = np.load(str(held.text.vectors)), tmp_path / "changed.npy"
    here = replace(held, text=replace(held.text, vectors=str(path)))
    about = read_json(copied / "experiment.json")
    about["settings"]["text"]["vectors"] = str(path)
    write_json(copied / "experiment.json", about)
    before = files(copied)
    np.save(path, vectors[::-1])
    with pytest.raises(DataError, match="holds other language vectors than there are now; choose another folder"):
        run_experiment(here, copied, corpus=published())
    assert files(copied) == before
    np.save(path, vectors * (1 + 1e-4))  # as another machine would encode them
    run = run_experiment(here, copied, corpus=published())
    assert torch.equal(run.model.inputs.text, load_run(copied).model.inputs.text)


def test_a_folder_of_another_model_is_refused(finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds a run with another \[model\] "):
        run_experiment(settings(finished.parent, "popularity"), finished, corpus=published())


def test_a_folder_of_another_corpus_is_refused(finished: Path) -> None:
    with pytest.raises(DataError, match="holds a run on another corpus"):
        run_experiment(settings(finished.parent), finished, corpus=shop.shop())


def test_evaluating_on_another_corpus_is_refused(finished: Path) -> None:
    with pytest.raises(DataError, match=r"holds corpus \w{12}, but .* was trained on \w{12}"):
        evaluate_run(finished, corpus=shop.shop())


def test_runs_on_the_same_targets_agree_in_their_hash(finished: Path, tmp_path: Path) -> None:
    def targets(name: str, corpus: Corpus) -> str:
        run_experiment(settings(tmp_path, "popularity"), tmp_path / name, corpus=corpus)
        evaluate_run(tmp_path / name, corpus=corpus)
        return read_json(tmp_path / name / "result.json")["targets"]["test"]

    corpus = published()
    lists = {role: table.copy() for role, table in corpus.candidates.items()}
    lists["test"][0, 0] = lists["test"][0, 0] % 24 + 1
    none = np.zeros(0, dtype=np.int64)
    without = replace(corpus, triples=Triples(none, none, none, ()), attributes=Vocabulary([], "attribute"))
    assert without.fingerprint != corpus.fingerprint
    whole = targets("whole", corpus)
    assert targets("without", without) == whole
    assert targets("candidates", replace(corpus, candidates=lists)) != whole
    assert targets("time", replace(corpus, time=corpus.time + 1)) != whole


def test_a_run_from_before_a_setting_was_there_is_resumed(copied: Path) -> None:
    about = read_json(copied / "experiment.json")
    del about["settings"]["training"]["max_minutes"]
    write_json(copied / "experiment.json", about)
    epochs: list[Any] = []
    run_experiment(load_run(copied).settings, copied, corpus=published(), report=epochs.append)
    assert epochs == []


def test_only_validation_and_test_are_evaluated(finished: Path) -> None:
    with pytest.raises(ConfigError, match="no targets for 'train'"):
        evaluate_run(finished, "train", corpus=published())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(ConfigError, match="run is a file; name a folder for the run"):
        run_experiment(settings(tmp_path), tmp_path / "run", corpus=published())


def test_data_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[data\] source is not set"):
        run_experiment(settings(tmp_path), tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "experiment.json").unlink(), r"experiment\.json does not exist"),
        (lambda f: (f / "experiment.json").write_text("[]"), r"experiment\.json is not the record of a run"),
        (lambda f: (f / "experiment.json").write_text("{"), r"experiment\.json is not valid JSON"),
        (lambda f: (f / "inputs" / "inputs.safetensors").write_bytes(b"x"), r"inputs\.safetensors is not a whole"),
        (lambda f: (f / "inputs" / "items.parquet").write_bytes(b"x"), r"items\.parquet cannot be read"),
        (lambda f: shutil.rmtree(f / "inputs"), r"inputs\.safetensors does not exist"),
        (lambda f: shutil.rmtree(f / "best"), r"best/model\.safetensors does not exist"),
        (lambda f: (f / "result.json").unlink(), r"result\.json does not exist"),
        (lambda f: (f / "result.json").write_text("[]"), r"result\.json is not the result of a run"),
    ],
)
def test_a_damaged_folder_is_named(copied: Path, damage: Any, message: str) -> None:
    damage(copied)
    with pytest.raises(LrdgraphError, match=message):
        evaluate_run(copied, corpus=published())


def test_progress_is_reported(tmp_path: Path) -> None:
    epochs, steps = [], []
    run = run_experiment(
        settings(tmp_path),
        tmp_path / "run",
        corpus=published(),
        report=epochs.append,
        step_done=lambda step, total: steps.append((step, total)),
    )
    assert [entry["epoch"] for entry in epochs] == [1, 2]
    assert steps == [(n, 3) for n in (1, 2, 3)] * 2
    assert repr(run) == f"Run('small' in {tmp_path / 'run'}: {run.model!r})"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": ["A pen", None, ""]}, ["A pen", "i2", "i3"]),
        ({"text": ["long text", "x", "y"], "title": ["a", "b", "c"]}, ["a", "b", "c"]),
        ({"text": ["long text", "x", "y"]}, ["long text", "x", "y"]),
        ({"title": [None, None, None]}, ["i1", "i2", "i3"]),
        ({}, ["i1", "i2", "i3"]),
    ],
)
def test_titles(fields: dict[str, list[str | None]], expected: list[str], tmp_path: Path) -> None:
    table = pl.DataFrame(fields, schema=dict.fromkeys(fields, pl.String))
    corpus = Corpus(
        name="three",
        users=Vocabulary(["u", "v"], "user"),
        items=Vocabulary(["i1", "i2", "i3"]),
        user=np.array([1, 1, 1, 1, 2]),
        item=np.array([1, 2, 3, 1, 2]),
        time=np.arange(5),
        fields=table,
    )
    values = replace(settings(tmp_path, "popularity"), text=replace(settings(tmp_path).text, vectors=None))
    run = run_experiment(values, tmp_path / "run", corpus=corpus)
    assert run.titles == expected
    assert load_run(tmp_path / "run").titles == expected


def test_negatives_know_the_future_only_where_they_are_told(tmp_path: Path) -> None:
    corpus = published()
    parts = split(corpus)
    future = (parts.role != TRAIN).nonzero()[0]
    pairs = set(zip(parts.events.user[future].tolist(), parts.events.item[future].tolist(), strict=True))
    for avoid in ("training", "all"):
        settings = experiment_settings({"model": {"name": "popularity"}, "data": {"negatives_avoid": avoid}})
        had = set(zip(*build_inputs(settings, corpus, parts, tmp_path).had.tolist(), strict=True))
        trained = {*zip(parts.training().user.tolist(), parts.training().item.tolist(), strict=True)}
        assert trained <= had
        assert (pairs <= had) is (avoid == "all")
        assert (had == trained) is (avoid == "training")
