from __future__ import annotations

import pytest

from benchmarks.speed.distributed import CASES, ENCODING, EXPERIMENTS, compared


def test_ratios_and_differences_by_hand() -> None:
    one = {"transitions_per_second": 100.0, "targets_per_second": 50.0, "loss": [2.0, 1.0], "metric": [0.25, 0.5]}
    two = {"transitions_per_second": 180.0, "targets_per_second": 95.0, "loss": [2.0, 1.01], "metric": [0.24, 0.5]}
    found = compared(one, two)
    assert (found["transitions_ratio"], found["targets_ratio"]) == (1.8, 1.9)
    assert found["loss_difference"] == pytest.approx(0.01)
    assert found["metric_difference"] == pytest.approx(0.01)
    assert compared({"texts_per_second": 4.0}, {"texts_per_second": 6.0}) == {"texts_ratio": 1.5}


def test_experiments_are_there() -> None:
    assert all((EXPERIMENTS / f"{case}.toml").is_file() for case in CASES if case != ENCODING)
