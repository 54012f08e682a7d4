"""What cannot run is told in one sentence, before a record is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.experiment import evaluate_run, load_run, run_experiment
from lrdgraph.training.checkpoint import load_tensors, save_tensors
from tests.experiment.worlds import published, settings


def test_nobody_to_validate_on_leaves_no_record(tmp_path: Path) -> None:
    corpus = published()
    few = replace(corpus, split=None, candidates={}, user=corpus.user[:2], item=corpus.item[:2], time=corpus.time[:2])
    with pytest.raises(DataError, match="'leave-one-out' of shop leaves nobody an event to validate on"):
        run_experiment(settings(tmp_path, data={"split": "leave-one-out"}), tmp_path / "run", corpus=few)
    assert not (tmp_path / "run" / "experiment.json").exists()


def test_other_things_than_settings_and_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs settings, got dict; make them by read_experiment\(path\)"):
        run_experiment({"model": {}}, tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"corpus must be a Corpus, got str; load\(source\) gives one"):
        run_experiment(settings(tmp_path), tmp_path / "run", corpus="movielens-100k")  # type: ignore[arg-type]


def test_data_that_moved_are_asked_for(tmp_path: Path) -> None:
    corpus = published()
    corpus.save(tmp_path / "shop")
    run_experiment(settings(tmp_path, "popularity", data={"source": str(tmp_path / "shop")}), tmp_path / "run")
    (tmp_path / "shop").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"shop does not exist; check the path, or name the data with --data"):
        evaluate_run(tmp_path / "run")
    assert evaluate_run(tmp_path / "run", data=str(tmp_path / "moved")).metrics


@pytest.mark.parametrize("name", ["inputs/raw.csv", "best/photo.jpg", "last/words.txt", "result.json", "log.jsonl"])
def test_what_is_no_run_is_not_replaced(name: str, tmp_path: Path) -> None:
    mine = tmp_path / "project" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    held = name.split("/")[0]
    with pytest.raises(ConfigError, match=rf"project is no run's folder, and training would replace the '{held}'"):
        run_experiment(settings(tmp_path, "popularity"), tmp_path / "project", corpus=published())
    assert [path for path in (tmp_path / "project").rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "years of work"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of the flagship keeps of its inputs; only copied."""
    folder = tmp_path_factory.mktemp("kept")
    run_experiment(settings(folder, "lrdgraph", training={"epochs": 1}), folder / "run", corpus=published())
    return folder / "run"


def tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor] | None) -> Callable[[Path], None]:
    def damage(inputs: Path) -> None:
        held = load_tensors(inputs / "inputs.safetensors")
        value = held.pop(name)
        save_tensors(held if change is None else held | {name: change(value)}, inputs / "inputs.safetensors")

    return damage


def table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda inputs: change(pl.read_parquet(inputs / name)).write_parquet(inputs / name)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (tensor("popularity", None), r"inputs\.safetensors is damaged or of an earlier version; train the run again"),
        (tensor("events", None), r"inputs\.safetensors is damaged or of an earlier version; train the run again"),
        (tensor("popularity", lambda value: value[1:]), "its popularity and its ids do not fit together"),
        (tensor("events", lambda value: value[:2]), "its events and its ids do not fit together"),
        (tensor("text", lambda value: value[1:]), "its language vectors and its ids do not fit together"),
        (tensor("num_users", lambda value: value + 1), "its number of users and its ids do not fit together"),
        (table("items.parquet", lambda items: items.drop("id")), r"items\.parquet has no column 'id'"),
        (table("users.parquet", lambda users: users.rename({"id": "x"})), r"users\.parquet has no column 'id'"),
        (table("items.parquet", lambda items: items.head(3)), "its popularity and its ids do not fit together"),
    ],
)
def test_damaged_inputs_are_named(damage: Callable[[Path], None], message: str, kept: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    damage(run / "inputs")
    with pytest.raises(DataError, match=message):
        load_run(run)
