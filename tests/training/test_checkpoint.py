"""Checkpoints: what is saved comes back, what is broken is refused in a sentence, and nothing in them runs."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lrdgraph.errors import DataError
from lrdgraph.training.checkpoint import load_optimizer, load_weights, optimizer_tensors, save_checkpoint, save_tensors
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train
from tests.training.worlds import Scripted, parts

SETTINGS = TrainingSettings(epochs=3, device="cpu", average=0.5)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The folder of a run that was stopped after its first epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(Scripted(), parts(), SETTINGS, folder=tmp_path, report=interrupt)
    return tmp_path


def interrupt(entry: dict[str, object]) -> None:
    raise KeyboardInterrupt


def go_on(folder: Path) -> None:
    train(Scripted(), parts(), SETTINGS, folder=folder)


def test_weights_and_buffers_come_back_bit_by_bit(tmp_path: Path) -> None:
    first, second = net(), net()
    first(torch.randn(9, 3))
    save_checkpoint(tmp_path / "best", first.state_dict(), {"epoch": 1})
    load_weights(second, tmp_path / "best")
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
        assert tensor.dtype == second.state_dict()[name].dtype


def test_an_optimizer_comes_back_bit_by_bit(tmp_path: Path) -> None:
    first, second = net(), net()
    second.load_state_dict(first.state_dict())
    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.1) for model in (first, second)]
    x = torch.randn(9, 3)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(x).pow(3).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(first, optimizers[0])
    second.load_state_dict(first.state_dict())
    save_tensors(optimizer_tensors(optimizers[0]), tmp_path / "optimizer.safetensors")
    load_optimizer(optimizers[1], tmp_path / "optimizer.safetensors")
    step(first, optimizers[0])
    step(second, optimizers[1])
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, net().state_dict(), {})
    with pytest.raises(DataError, match=r"model\.safetensors holds an unknown tensor '1\.bias'"):
        load_weights(nn.Sequential(nn.Linear(3, 4)), tmp_path)
    with pytest.raises(DataError, match=r"model\.safetensors lacks tensor '2\.bias'; it belongs to another model"):
        load_weights(nn.Sequential(*net(), nn.Linear(4, 4)), tmp_path)
    with pytest.raises(DataError, match=r"'0\.weight' has shape \(4, 3\), the model expects \(4, 5\)"):
        load_weights(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), tmp_path)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"best/model\.safetensors does not exist"):
        load_weights(net(), tmp_path / "best")


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    first = net()
    save_checkpoint(tmp_path / "last", first.state_dict(), {"epoch": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(tmp_path / "last", net().state_dict(), {"loss": float("nan")})
    second = net()
    load_weights(second, tmp_path / "last")
    assert torch.equal(second[0].weight, first[0].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def cut_to_half_a_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["model", "optimizer", "average"])
@pytest.mark.parametrize("damage", [cut, cut_to_half_a_header, empty, Path.unlink])
def test_a_damaged_file_is_named(stopped: Path, name: str, damage: Callable[[Path], None]) -> None:
    path = stopped / "last" / f"{name}.safetensors"
    damage(path)
    with pytest.raises(DataError, match=rf"last/{name}\.safetensors (is not a whole safetensors file|does not exist)"):
        go_on(stopped)


@pytest.mark.parametrize("name", ["0.exp_avg", "x.exp_avg", "9.exp_avg", "exp_avg"])
def test_an_optimizer_of_another_model_is_refused(stopped: Path, name: str) -> None:
    save_tensors({name: torch.zeros(5, 5)}, stopped / "last" / "optimizer.safetensors")
    with pytest.raises(DataError, match=rf"optimizer\.safetensors: '{name}' fits no parameter"):
        go_on(stopped)


def test_averages_of_other_settings_are_refused(stopped: Path) -> None:
    save_tensors({"matrix": torch.zeros(1, 1)}, stopped / "last" / "average.safetensors")
    with pytest.raises(DataError, match=r"average\.safetensors lacks tensor 'vector'"):
        go_on(stopped)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "\x80",
        "[]",
        "null",
        '"epoch"',
        "{}",
        '{"epoch": "1", "best": 1.0, "best_epoch": 1, "waited": 0, "log": []}',
        '{"epoch": 1, "best": "inf", "best_epoch": 1, "waited": 0, "log": []}',
        '{"epoch": 1, "best": 1.0, "best_epoch": 1, "waited": 0, "log": "x"}',
    ],
)
def test_a_state_that_is_none_is_refused(stopped: Path, text: str) -> None:
    (stopped / "last" / "state.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"last/state\.json (is not valid JSON|does not hold the state)"):
        go_on(stopped)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("name", ["model", "optimizer", "average"])
def test_a_pickle_in_place_of_tensors_does_not_run(stopped: Path, tmp_path: Path, how: str, name: str) -> None:
    mark, path = tmp_path / "it-ran", stopped / "last" / f"{name}.safetensors"
    if how == "pickle":
        path.write_bytes(pickle.dumps({"weight": Bomb(mark)}))
    else:
        torch.save({"weight": Bomb(mark)}, path)
    with pytest.raises(DataError, match=f"{name}.safetensors is not a whole safetensors file"):
        go_on(stopped)
    assert not mark.exists()


def test_the_bomb_would_go_off(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "it-ran")))
    assert (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("key", ["epoch", "best", "best_epoch", "waited", "log", "new"])
def test_code_in_a_state_does_not_run(stopped: Path, tmp_path: Path, key: str) -> None:
    mark, path = tmp_path / "it-ran", stopped / "last" / "state.json"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    state = json.loads(path.read_text()) | {key: code}
    path.write_text(json.dumps(state))
    if key == "new":
        go_on(stopped)
    else:
        with pytest.raises(DataError, match=r"state\.json does not hold the state"):
            go_on(stopped)
    assert not mark.exists()
