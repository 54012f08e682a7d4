"""The loop step by step: rates, averaged weights, stopping, the best weights, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.splits import split
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.state import TrainingState
from lrdgraph.training.trainer import build_optimizer, device_of, train
from tests.training.worlds import Scripted, corpus, parts


def run(model: Scripted, folder: Path | None = None, *, report=None, **settings: object) -> TrainingState:
    values = {"device": "cpu", "learning_rate": 0.5, "patience": 0, "batch_size": 3} | settings
    return train(model, parts(), TrainingSettings(**values), EvaluationSettings(), folder, report)


def rates(model: Scripted) -> list[float]:
    """How far each step moved a weight whose gradient is always 1: the rate of that step."""
    steps = [before - after for before, after in zip(model.trail, model.trail[1:], strict=False)]
    return [round(step, 5) for step in steps]


def test_a_constant_rate() -> None:
    model = Scripted()
    run(model, epochs=4)
    assert rates(model) == [0.5] * 7  # two batches an epoch


def test_warm_up_then_cosine_by_hand() -> None:
    model = Scripted()
    run(model, epochs=6, warmup=0.25, schedule="cosine")  # 12 steps, of which 3 warm up
    cosine = [0.5 * (0.05 + 0.95 * (1 + math.cos(math.pi * n / 9)) / 2) for n in range(9)]
    expected = [0.5 / 3, 1 / 3, 0.5, *cosine]
    assert rates(model) == pytest.approx(expected[:11], abs=1e-4)
    assert cosine[0] == 0.5
    assert 0.025 < cosine[-1] < 0.05


def test_weight_decay_is_decoupled_and_on_matrices_alone() -> None:
    model = Scripted()
    with torch.no_grad():
        model.matrix.fill_(4.0)
        model.vector.fill_(4.0)
    run(model, epochs=1, batch_size=6, weight_decay=0.1)
    assert model.matrix.item() == pytest.approx(4 * (1 - 0.5 * 0.1) - 0.5)
    assert model.vector.item() == pytest.approx(4 - 0.5)


def test_decay_may_be_on_all_weights_but_never_on_biases() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    found = {}
    for decayed in ("matrices", "weights"):
        optimizer = build_optimizer(model, TrainingSettings(weight_decay=0.1, decayed=decayed))
        held = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
        found[decayed] = {name for name, p in model.named_parameters() if id(p) in held}
    assert found == {"matrices": {"0.weight"}, "weights": {"0.weight", "1.weight"}}


def test_clip_limits_the_norm_over_all_parameters() -> None:
    model, seen = Scripted(slope=(30.0,)), []

    def look(step: int, steps: int) -> None:
        seen.append((step, steps, model.matrix.grad.item(), model.vector.grad.item()))

    settings = TrainingSettings(epochs=1, batch_size=3, clip=2.0, device="cpu")
    train(model, parts(), settings, step_done=look)
    assert [row[:2] for row in seen] == [(1, 2), (2, 2)]
    assert [value for row in seen for value in row[2:]] == pytest.approx([2 / math.sqrt(2)] * 4, rel=1e-4)


def test_averaged_weights_begin_where_training_begins() -> None:
    class Restarted(Scripted):
        def start_epoch(self, epoch: int) -> None:
            super().start_epoch(epoch)
            if not epoch:
                with torch.no_grad():
                    self.vector.fill_(100.0)

    model = Restarted()
    run(model, epochs=1, batch_size=6, average=0.75)
    assert model.validated[-1] == pytest.approx(0.75 * 100.0 + 0.25 * 99.5)


def test_averaged_weights_by_hand() -> None:
    model = Scripted(ranks=(3, 2, 1))
    run(model, epochs=3, batch_size=6, average=0.75)
    weight, average, expected = 0.0, 0.0, []
    for _ in range(3):
        weight -= 0.5
        average = 0.75 * average + 0.25 * weight
        expected.append(average)
    assert model.validated == pytest.approx(expected, rel=1e-5)
    assert model.trail == pytest.approx([0.0, -0.5, -1.0], rel=1e-5), "training goes on from the weights themselves"
    assert model.vector.item() == pytest.approx(expected[-1], rel=1e-5)


def test_stops_early_and_keeps_the_best_weights(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        model = Scripted(ranks=(4, 2, 5, 3, 1))
        state = run(model, folder, epochs=9, batch_size=6, patience=2)
        assert (state.epoch, state.best_epoch, state.waited) == (4, 2, 2)
        assert state.best == pytest.approx(1 / math.log2(3))
        assert model.vector.item() == pytest.approx(-1.0)
        assert not model.training


def test_of_equal_validations_the_first_is_best() -> None:
    assert run(Scripted(ranks=(2, 2, 2)), epochs=3).best_epoch == 1


def test_patience_counts_validations_and_the_last_epoch_is_validated() -> None:
    model = Scripted(ranks=(1, 5, 5, 5, 5, 5, 5))
    state = run(model, epochs=7, evaluate_every=3, patience=0)
    assert [entry["epoch"] for entry in state.log if "validation" in entry] == [3, 6, 7]
    assert run(Scripted(ranks=(1,)), epochs=9, evaluate_every=2, patience=2).epoch == 6


def test_minutes_end_with_a_validation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = iter(range(0, 10_000, 10))  # an epoch takes 10 s, its validation another 10 s
    monkeypatch.setattr("lrdgraph.training.trainer.time.perf_counter", lambda: float(next(clock)))
    state = run(Scripted(ranks=(3, 1, 2)), epochs=9, evaluate_every=2, max_minutes=0.6)
    assert [entry["epoch"] for entry in state.log if "validation" in entry] == [2, 3], "after 10 + 20 + 10 s"
    assert (state.seconds, state.best_epoch) == (50, 2)
    for _ in range(2):  # a run that has had its time has none left when it is started again
        state = run(Scripted(), tmp_path, epochs=9, max_minutes=0.05)
        assert (state.epoch, state.seconds) == (1, 20)


def test_the_log_holds_means_of_every_term() -> None:
    entries = []
    state = run(Scripted(), epochs=2, report=entries.append)
    assert entries == state.log
    assert [entry["loss"]["steps"] for entry in entries] == [1.5, 11.5]
    assert entries[0]["loss"]["total"] == pytest.approx((0 - 2 * 0.5) / 2)
    assert entries[1]["validation"]["full/NDCG@10"] == 1.0


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    first = run(Scripted(ranks=(1, 2, 2, 2)), tmp_path, epochs=9, patience=2)
    model = Scripted(ranks=(1, 2, 2, 2))
    again = run(model, tmp_path, epochs=9, patience=2)
    assert again == first
    assert not model.trail
    assert model.vector.item() == pytest.approx(-1.0)


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DataError, match="The loss is nan in epoch 2; lower .* or set clip"):
        run(Scripted(slope=(1.0, math.nan)), epochs=3)


def test_a_short_warm_up_never_passes_the_peak() -> None:
    model = Scripted()
    run(model, epochs=6, warmup=0.125)  # 12 steps, of which one and a half warm up
    assert rates(model) == pytest.approx([0.33333, *[0.5] * 10])


def test_an_unknown_metric_is_an_error_before_anything_is_trained() -> None:
    model = Scripted()
    with pytest.raises(ConfigError, match=r"metric 'full/NDCG@7' is not evaluated; choose one of .*full/NDCG@10"):
        run(model, epochs=1, metric="full/NDCG@7")
    assert not model.trail


def test_candidates_that_nobody_published_are_an_error_before_anything_is_trained() -> None:
    model = Scripted()
    with pytest.raises(ConfigError, match="publishes no candidate lists"):
        train(model, parts(), TrainingSettings(device="cpu"), EvaluationSettings(protocols="candidates"))
    assert not model.trail


def test_nothing_to_learn_is_an_error() -> None:
    with pytest.raises(DataError, match="no transition to learn"):
        train(Scripted(), split(corpus(length=1)), TrainingSettings(device="cpu"))


def test_compiling_without_a_compiler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="needs a C[+][+] compiler"):
        run(Scripted(), epochs=1, compile=True, device="cpu")


@pytest.mark.parametrize("device", ["cuda", "toaster"])
def test_a_device_that_is_not_there_is_an_error(device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match=f"device '{device}'"):
        device_of(device)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"evaluate_every": 0},
        {"patience": -1},
        {"clip": -1.0},
        {"weight_decay": -0.1},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"warmup": 1.0},
        {"average": -0.1},
        {"seed": -1},
        {"seed": 2**43},
        {"max_minutes": -1.0},
        {"max_minutes": math.nan},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TrainingSettings(**wrong)
