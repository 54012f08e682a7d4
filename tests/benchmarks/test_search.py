"""A search gives every model the same budget, looks at validation alone, and goes on where it was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import search as search_module
from benchmarks.processes import NotDone
from benchmarks.search import main
from benchmarks.space import distributions, read_search
from lrdgraph.errors import ConfigError
from lrdgraph.storage import read_json, write_json
from tests.benchmarks.worlds import write_benchmarks

pytest.importorskip("optuna")

SPACE = """
trials = 5
minutes = 0.5
seed = 3

[space]
"training.learning_rate" = { low = 1e-3, high = 1e-2, log = true }

[[row]]
name = "shop-sasrec"
space = { "model.dropout" = [0.2, 0.4, 0.5], "model.max_length" = { low = 4, high = 8 } }
"""


class Imagined:
    """Instead of training: validation is best where the learning rate is near 5e-3 and dropout is 0.2."""

    heard: list[tuple[str, list[str]]]
    dies_at: str = ""
    diverges_at: str = ""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def __call__(self, name: str, words: list[str]) -> None:
        if name.endswith(self.dies_at or "never"):
            raise KeyboardInterrupt
        type(self).heard.append((name.split("/")[1], words))
        if name.endswith(self.diverges_at or "never"):
            raise NotDone("'lrdgraph train' ended with status 2: The loss is nan in epoch 1", 2)
        changes = dict(word.split("=", 1) for word in words if "=" in word)
        away = abs(float(changes["training.learning_rate"]) - 5e-3) + abs(float(changes["model.dropout"]) - 0.2)
        result = {
            "metrics": {"validation": {"full/NDCG@10": 1 - away}},
            "settings": {"training": {"metric": "full/NDCG@10"}},
            "seconds": {"training": 1.0, "validation": 0.5},
        }
        write_json(self.runs / name / "result.json", result | {"epochs": 3, "best_epoch": 2, "parameters": 9})

    def stop(self) -> None:
        """Nothing runs that could be stopped."""


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> type[Imagined]:
    monkeypatch.setattr(search_module, "Processes", Imagined)
    monkeypatch.setattr(Imagined, "heard", [], raising=False)
    monkeypatch.setattr(Imagined, "dies_at", "")
    monkeypatch.setattr(Imagined, "diverges_at", "")
    return Imagined


def prepare(folder: Path, text: str = SPACE) -> Path:
    folder.mkdir(exist_ok=True)
    write_benchmarks(folder)
    path = folder / "search" / "shop.toml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def call(path: Path, *words: str) -> int:
    return main([str(path), "--runs", str(path.parent.parent / "runs"), *words])


def found(path: Path) -> dict[str, Any]:
    return read_json(path.parent / "results" / "shop-sasrec.json")


def test_every_trial_has_the_budget_and_the_first_the_defaults(imagined: type[Imagined], tmp_path: Path) -> None:
    path = prepare(tmp_path)
    assert call(path) == 0
    held = found(path)
    assert [name for name, _ in imagined.heard] == [f"trial-{n}" for n in range(5)]
    for _, words in imagined.heard:
        assert words[0] == "train"
        assert words[words.index("--seed") + 1] == "3"
        assert "training.max_minutes=0.5" in words
    trials = held["trials"]
    assert trials[0]["values"] == {"training.learning_rate": 0.003, "model.dropout": 0.5, "model.max_length": 6}
    assert len({str(trial["values"]) for trial in trials}) == 5, "no trial repeats another"
    assert all(1e-3 <= trial["values"]["training.learning_rate"] <= 1e-2 for trial in trials)
    best = max(trials, key=lambda trial: trial["validation"])
    assert held["chosen"] == best["values"]
    assert best["validation"] > trials[0]["validation"]
    assert held["budget"] == {"trials": 5, "minutes": 0.5, "seed": 3}
    assert {"versions", "commit", "corpus", "space", "metric", "sampler"} <= held.keys()
    assert not list((tmp_path / "runs").glob("*/trial-*")), "weights of trials are not kept"


@pytest.mark.parametrize("at", ["trial-0", "trial-4"])
def test_a_search_that_is_killed_is_the_search_that_was_not(
    at: str, imagined: type[Imagined], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = prepare(tmp_path / "whole"), prepare(tmp_path / "stopped")
    assert call(whole) == 0
    imagined.heard.clear()
    monkeypatch.setattr(imagined, "dies_at", at)
    assert call(stopped) == 130
    assert not (stopped.parent / "results").exists()
    monkeypatch.setattr(imagined, "dies_at", "")
    assert call(stopped) == 0
    assert [name for name, _ in imagined.heard] == [f"trial-{n}" for n in range(5)], "each is run once"
    assert found(stopped)["trials"] == found(whole)["trials"]


def test_what_was_searched_is_passed_over_until_the_space_changes(imagined: type[Imagined], tmp_path: Path) -> None:
    path = prepare(tmp_path)
    assert call(path) == 0
    imagined.heard.clear()
    assert call(path, "--write") == 0
    assert imagined.heard == []
    assert call(path) == 0, "what was written into the file is searched already"
    assert imagined.heard == []
    path.write_text(SPACE.replace("trials = 5", "trials = 2"))
    before = found(path)
    assert call(path) == 1
    assert (found(path), imagined.heard) == (before, []), "another search stays unless it is told to go"
    assert call(path, "--force") == 0
    assert len(imagined.heard) == 2


def test_the_choice_is_written_into_the_file(imagined: type[Imagined], tmp_path: Path) -> None:
    path = prepare(tmp_path)
    assert call(path, "--write") == 0
    search = read_search(path)
    settings = search.experiment(search.row[0], None)
    chosen = found(path)["chosen"]
    assert (settings.training.learning_rate, settings.model["dropout"], settings.model["max_length"]) == (
        chosen["training.learning_rate"],
        chosen["model.dropout"],
        chosen["model.max_length"],
    )


def test_a_trial_that_diverges_counts_and_is_told(
    imagined: type[Imagined], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prepare(tmp_path)
    monkeypatch.setattr(imagined, "diverges_at", "trial-0")
    assert call(path) == 0
    held = found(path)
    assert "The loss is nan" in held["trials"][0]["failed"]
    assert len(held["trials"]) == 5
    assert held["chosen"] != held["trials"][0]["values"]


def test_no_trial_that_ends_is_an_error(
    imagined: type[Imagined], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepare(tmp_path, SPACE.replace("trials = 5", "trials = 1"))
    monkeypatch.setattr(imagined, "diverges_at", "trial-0")
    assert call(path) == 1
    assert "No trial of shop-sasrec came to a validation; the first says: 'lrdgraph train'" in capsys.readouterr().err
    assert not (path.parent / "results").exists()


def test_a_row_without_a_file_of_its_own_is_not_written(
    imagined: type[Imagined], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SPACE.replace('name = "shop-sasrec"', 'name = "other"\nbase = "shop-sasrec.toml"')
    assert call(prepare(tmp_path, text), "--write") == 2
    assert "other has no file of its own for --write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.droput": [0.0]}, "no setting 'model.droput' to search"),
        ({"dropout": [0.0]}, "no setting 'dropout' to search"),
        ({"model.dropout": [0.1]}, "dropout = 0.5, which its space does not hold; widen"),
        (
            {"training.learning_rate": {"low": 0.01, "high": 0.1}},
            "learning_rate = 0.003, which its space does not hold",
        ),
        ({"training.learning_rate": {"low": 0.01}}, "must be a list, or low and high"),
        ({"training.learning_rate": {"low": 0.01, "high": 0.1, "steps": 3}}, "must be a list, or low and high"),
        ({"training.learning_rate": {"low": 0.0, "high": 0.1, "log": True}}, "must be a list, or low and high"),
        ({"model.dropout": 0.1}, "must be a list, or low and high"),
        ({"model.dropout": []}, "must be a list, or low and high"),
    ],
)
def test_a_wrong_space_is_named(space: dict[str, Any], message: str, tmp_path: Path) -> None:
    search = read_search(prepare(tmp_path))
    with pytest.raises(ConfigError, match=message):
        distributions(space, search.experiment(search.row[0], None), "shop-sasrec")


@pytest.mark.parametrize(("old", "new"), [("trials = 5", "trials = 0"), ("minutes = 0.5", "minutes = 0.0")])
def test_a_budget_of_nothing_is_refused(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one trial, and minutes above 0"):
        read_search(prepare(tmp_path, SPACE.replace(old, new)))


@pytest.mark.slow
def test_a_real_search(tmp_path: Path) -> None:
    path = prepare(tmp_path, SPACE.replace("trials = 5", "trials = 2").replace("minutes = 0.5", "minutes = 0.0001"))
    assert call(path) == 0
    held = found(path)
    assert [trial["epochs"] for trial in held["trials"]] == [1, 1], "the minutes end each after its first epoch"
    assert held["metric"] == "full/NDCG@10"
    assert "test" not in str(held["trials"])
