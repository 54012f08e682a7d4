"""What is written for TensorBoard is what the trainer logged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lrdgraph.errors import MissingExtraError
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.tracking import TensorBoard, scalars
from lrdgraph.training.trainer import train
from tests.training.worlds import Scripted, parts


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag → (step, value) of all event files in a folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_every_epoch_of_a_run_and_of_its_resumption(tmp_path: Path) -> None:
    for epochs in (2, 3):
        with TensorBoard(tmp_path / "board") as report:
            settings = TrainingSettings(epochs=epochs, evaluate_every=2, patience=0, device="cpu")
            state = train(Scripted(ranks=(4, 2, 1)), parts(), settings, folder=tmp_path / "run", report=report)
    found = read_back(tmp_path / "board")
    assert {"loss/total", "loss/steps", "validation/full/MRR", "seconds/training"} <= found.keys()
    assert found.keys() == {tag for entry in state.log for tag in scalars(entry)}
    for tag, series in found.items():
        logged = [(entry["epoch"], scalars(entry)[tag]) for entry in state.log if tag in scalars(entry)]
        assert series == [(step, pytest.approx(value, abs=1e-6)) for step, value in logged], tag
    assert [step for step, _ in found["validation/full/MRR"]] == [2, 3]
    assert [step for step, _ in found["loss/total"]] == [1, 2, 3]


def test_scalars_by_hand() -> None:
    entry = {"epoch": 1, "loss": {"total": 2.0, "discovery/kl": 0.5}, "seconds": 1.5}
    assert scalars(entry) == {"seconds/training": 1.5, "loss/total": 2.0, "loss/discovery/kl": 0.5}
    entry |= {"validation": {"full/MRR": 0.1}, "diagnostics": {"share": 0.3}, "evaluation_seconds": 2.5}
    assert scalars(entry).keys() - {"loss/total", "loss/discovery/kl", "seconds/training"} == {
        *("validation/full/MRR", "diagnostics/share", "seconds/validation"),
    }


def test_without_the_extra_a_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(
        MissingExtraError, match=r"TensorBoard is not installed; .* 'pip install lrdgraph\[tensorboard\]'"
    ):
        TensorBoard(tmp_path)
