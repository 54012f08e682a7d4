"""Settings of an experiment: every key is checked before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrdgraph.config import to_dict
from lrdgraph.errors import ConfigError
from lrdgraph.experiment.settings import ExperimentSettings, experiment_settings, read_experiment
from lrdgraph.models.registry import model_class
from lrdgraph.training.settings import TrainingSettings


def test_nothing_given_is_every_default() -> None:
    found = experiment_settings({})
    assert found.model == {"name": "lrdgraph"} | to_dict(model_class("lrdgraph").Settings())
    assert found.training == TrainingSettings()
    assert (found.name, found.model_name) == ("experiment", "lrdgraph")
    assert "name" not in found.model_values


def test_what_is_given_stands_and_the_rest_is_default() -> None:
    found = experiment_settings(
        {
            "name": "mine",
            "data": {"source": "somewhere", "fractions": [0.7, 0.8]},
            "graph": {"relations": ["complement"]},
            "model": {"name": "sasrec", "dropout": 0.25},
            "training": {"epochs": 3, "learning_rate": 1},
            "evaluation": {"ks": [1, 20]},
        }
    )
    assert found.data.source == "somewhere"
    assert found.data.fractions == (0.7, 0.8)
    assert found.graph.relations == ("complement",)
    assert found.model_values["dropout"] == 0.25
    assert found.model_values["num_layers"] == 2
    assert found.training.epochs == 3
    assert found.training.batch_size == 128
    assert found.evaluation.ks == (1, 20)


@pytest.mark.parametrize("name", ["lrdgraph", "sasrec", "popularity", "relation-count"])
def test_settings_survive_being_written(name: str) -> None:
    first = experiment_settings({"model": {"name": name}, "data": {"source": "a", "options": {"folder": "b"}}})
    second = experiment_settings(to_dict(first))
    assert second == first
    assert isinstance(second, ExperimentSettings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainning": {"epochs": 3}}, r"no setting 'trainning' \(did you mean 'training'\?\)"),
        ({"epochs": 3}, "The experiment has no setting 'epochs'"),
        ({"data": {"sourse": "x"}}, r"\[data\] has no setting 'sourse' \(did you mean 'source'\?\)"),
        ({"text": {"modell": "x"}}, r"\[text\] has no setting 'modell' \(did you mean 'model'\?\)"),
        ({"graph": {"inverse": True}}, r"\[graph\] has no setting 'inverse' \(did you mean 'inverses'\?\)"),
        ({"training": {"epoch": 3}}, r"\[training\] has no setting 'epoch' \(did you mean 'epochs'\?\)"),
        ({"evaluation": {"k": [5]}}, r"\[evaluation\] has no setting 'k'"),
        (
            {"model": {"name": "sasrec", "droput": 0.1}},
            r"\[model\] has no setting 'droput' \(did you mean 'dropout'\?\)",
        ),
        ({"model": {"name": "sasrec", "evidence": True}}, r"\[model\] has no setting 'evidence'"),
        ({"model": {"name": "sasrek"}}, r"no model 'sasrek' \(did you mean 'sasrec'\?\)"),
        ({"model": {"dropout": 0.1}}, r"\[model\] needs a name"),
        ({"model": {"name": 3}}, r"\[model\] needs a name"),
        ({"model": "sasrec"}, r"\[model\] must be a section of settings, got 'sasrec'"),
        ({"model": 3}, r"\[model\] must be a section of settings, got 3"),
        ({"data": 3}, r"\[data\] must be a section of settings, got 3"),
        ({"data": {"split": "random"}}, r"\[data\] 'split' must be .*got 'random'"),
        ({"data": {"fractions": [0.8]}}, r"\[data\] .*fractions"),
        ({"training": {"epochs": 2.5}}, r"\[training\] 'epochs' must be an integer, got 2.5"),
        ({"training": {"epochs": "3"}}, r"\[training\] 'epochs' must be an integer, got '3'"),
        ({"training": {"epochs": 0}}, r"\[training\] epochs is 0; it must be at least 1"),
        ({"training": {"schedule": "linear"}}, r"\[training\] 'schedule' must be 'constant' or 'cosine', got 'linear'"),
        ({"evaluation": {"ks": []}}, r"\[evaluation\] ks is"),
        ({"name": 3}, "'name' must be a string, got 3"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        experiment_settings(values)


def test_a_file_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "my-run.toml"
    path.write_text('[data]\nsource = "there"\n[model]\nname = "sasrec"\n[training]\nepochs = 9\n')
    found = read_experiment(path)
    assert (found.name, found.data.source, found.training.epochs, found.training.seed) == ("my-run", "there", 9, 0)
    found = read_experiment(path, ["training.epochs=2", "model.dropout=0.1"], data="here", seed=4)
    assert (found.data.source, found.training.epochs, found.training.seed) == ("here", 2, 4)
    assert found.model_values["dropout"] == 0.1
    bare = tmp_path / "bare.toml"
    bare.write_text('name = "other"\n')
    found = read_experiment(bare, data="here", seed=4)
    assert (found.name, found.data.source, found.training.seed) == ("other", "here", 4)


@pytest.mark.parametrize("text", ["data = 3", "training = 3", "model = 3"])
def test_a_section_that_is_none_stays_an_error_under_overrides(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="must be a section of settings, got 3"):
        read_experiment(path, data="here", seed=4)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        read_experiment(tmp_path / "none.toml")


def test_a_file_is_read_and_overrides_are_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a mapping of sections, got str; a file is read by read_experiment"):
        experiment_settings("first.toml")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"got the string 'training\.epochs=5': put it into a list"):
        read_experiment(tmp_path / "first.toml", "training.epochs=5")
