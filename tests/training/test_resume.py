"""A run that is stopped and started again is the run that was never stopped, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lrdgraph.models.base import Recommender
from lrdgraph.models.registry import build_model
from lrdgraph.models.sequential import SequentialRecommender
from lrdgraph.splits import split
from lrdgraph.training import trainer
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.state import TrainingState
from lrdgraph.training.trainer import train
from tests.models import shop
from tests.training.worlds import Scripted, parts

TINY = {"hidden_channels": 8, "num_layers": 1, "dropout": 0.3, "max_length": 3, "text": True, "trend": True}
MODELS = {
    "sasrec": TINY | {"text_dropout": 0.2},
    "lrdgraph": TINY
    | {
        "discovery_channels": 4,
        "num_latent": 2,
        "text_neighbours": 3,
        "discovery_weight": 0.5,
        "knowledge_weight": 0.5,
    },
}
SETTINGS = {"epochs": 4, "batch_size": 16, "learning_rate": 0.02, "schedule": "cosine", "warmup": 0.1, "device": "cpu"}


class Stop(Exception):
    """The run is interrupted."""


def run(name: str, folder: Path | None, start: int, stop: int = 0, **more: Any) -> tuple[Recommender, TrainingState]:
    torch.manual_seed(start)
    model = build_model(name, shop.inputs(), MODELS[name])

    def report(entry: dict[str, Any]) -> None:
        if entry["epoch"] == stop:
            raise Stop

    return model, train(model, split(shop.shop()), TrainingSettings(**SETTINGS | more), folder=folder, report=report)


def without_seconds(state: TrainingState) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if "seconds" not in key} for entry in state.log]


def assert_same(one: tuple[Recommender, TrainingState], other: tuple[Recommender, TrainingState]) -> None:
    assert without_seconds(one[1]) == without_seconds(other[1])
    assert one[1].best == other[1].best
    left, right = one[0].state_dict(), other[0].state_dict()
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_stopped_and_started_again_with_the_optimizer_of_compiled_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SequentialRecommender, "compile_parts", lambda self, once=False: None)
    monkeypatch.setattr("shutil.which", lambda name: name)
    whole = run("sasrec", None, start=1, compile=True)
    with pytest.raises(Stop):
        run("sasrec", tmp_path, start=1, stop=2, compile=True)
    assert_same(run("sasrec", tmp_path, start=77, compile=True), whole)


@pytest.mark.parametrize("average", [0.0, 0.8])
@pytest.mark.parametrize("name", MODELS)
def test_stopped_and_started_again(name: str, average: float, tmp_path: Path) -> None:
    whole = run(name, None, start=1, average=average)
    with pytest.raises(Stop):
        run(name, tmp_path, start=1, stop=2, average=average)
    assert_same(run(name, tmp_path, start=77, average=average), whole)


@pytest.mark.parametrize("at", ["best", "last"])
def test_stopped_between_or_before_its_checkpoints(at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(folder: Path) -> tuple[Recommender, TrainingState]:
        model = Scripted(ranks=(4, 3, 2, 1))  # every epoch is the best so far
        settings = TrainingSettings(**SETTINGS | {"average": 0.5})
        return model, train(model, parts(), settings, folder=folder)

    def stop(folder: Path, weights: Any, state: dict[str, Any], **more: Any) -> None:
        if folder.name == at and state["epoch"] == 3:
            raise Stop
        save(folder, weights, state, **more)

    whole, save = line(tmp_path / "whole"), trainer.save_checkpoint
    monkeypatch.setattr(trainer, "save_checkpoint", stop)
    with pytest.raises(Stop):
        line(tmp_path / "stopped")
    monkeypatch.undo()
    again = line(tmp_path / "stopped")
    assert_same(again, whole)
    assert len(again[0].trail) == len(whole[0].trail) / 2, "the first two epochs are not trained again"


def test_the_folder_changes_nothing(tmp_path: Path) -> None:
    assert_same(run("sasrec", tmp_path, start=1), run("sasrec", None, start=1))


def test_another_seed_is_another_run() -> None:
    one, other = run("sasrec", None, start=1), run("sasrec", None, start=1, seed=5)
    assert without_seconds(one[1]) != without_seconds(other[1])
