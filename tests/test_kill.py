"""A run that is killed, wherever that happens, goes on from the last good state and ends as if nothing had been.

A run passes some hundred moments at which a kill could matter: before and after every rename, every flush to disk,
every removal of a folder, and every step of training. Each test kills a process at one of them by SIGKILL, or at any
time at all, and runs the experiment again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from lrdgraph.experiment import evaluate_run, load_run, run_experiment
from tests.experiment.worlds import published, settings

MODELS = ["sasrec", "lrdgraph"]
TRAINING = {"epochs": 3, "average": 0.5, "schedule": "cosine", "warmup": 0.1}

# a server with the imports behind it (torch's optimizers import the last) starts a process in a moment
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(
    ["sklearn.feature_extraction.text", "lrdgraph.experiment.run", "lrdgraph.models.flagship", "torch._dynamo"]
)


class Moments:
    """Counts the moments of a run; at the one that is asked for, the process kills itself."""

    def __init__(self, fatal: int = -1) -> None:
        self.fatal, self.passed = fatal, list[str]()

    def __call__(self, name: str) -> None:
        if len(self.passed) == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed.append(name)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            name = f"{function.__name__} {' '.join(Path(a).name for a in args if isinstance(a, str | Path))}"
            self(f"before {name}")
            value = function(*args, **kwargs)
            self(f"after {name}")
            return value

        return watched


def run(folder: Path, model: str, moments: Moments | None = None) -> list[int]:
    """Run to the end; the epochs that were trained."""
    torch.set_num_threads(1)
    epochs: list[int] = []
    run_experiment(
        settings(folder, model, training=TRAINING),
        folder / "run",
        corpus=published(),
        report=lambda entry: epochs.append(entry["epoch"]),
        step_done=(lambda *_: moments("step")) if moments else None,
    )
    return epochs


def doomed(folder: Path, model: str, fatal: int) -> None:
    """Run in a process of its own, where the functions of the system may be replaced for good."""
    moments = Moments(fatal)
    os.replace, os.fsync, shutil.rmtree = (moments.around(f) for f in (os.replace, os.fsync, shutil.rmtree))
    run(folder, model, moments)


def started(*args: Any) -> BaseProcess:
    process = server.Process(target=doomed, args=args)
    process.start()
    return process


@dataclass(frozen=True)
class Outcome:
    """What a finished run comes to, seconds aside."""

    metrics: dict[str, Any]
    log: list[dict[str, Any]]
    weights: dict[str, list[Any]]

    @classmethod
    def of(cls, folder: Path) -> Outcome:
        evaluate_run(folder / "run", corpus=published())
        result = json.loads((folder / "run" / "result.json").read_text())
        log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
        log = [{key: value for key, value in entry.items() if "seconds" not in key} for entry in log]
        weights = load_run(folder / "run", "cpu").model.state_dict()
        return cls(result["metrics"] | result["buckets"], log, {k: v.tolist() for k, v in weights.items()})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Outcome, list[str], float]]:
    """For each model: the outcome of a run that nothing disturbed, the moments that it passed, and its seconds."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for model in MODELS:
            folder, moments = tmp_path_factory.mktemp(model), Moments()
            for module, name in ((os, "replace"), (os, "fsync"), (shutil, "rmtree")):
                patch.setattr(module, name, moments.around(getattr(module, name)))
            began = time.perf_counter()
            run(folder, model, moments)
            seconds = time.perf_counter() - began
            patch.undo()
            found[model] = (Outcome.of(folder), moments.passed, seconds)
    return found


def assert_ends_as_whole(folder: Path, model: str, whole: dict[str, Any], done: int | None = None) -> None:
    """Run again, after a kill by which ``done`` epochs had been saved."""
    epochs = run(folder, model)
    assert done is None or epochs == list(range(done + 1, TRAINING["epochs"] + 1))
    assert Outcome.of(folder) == whole[model][0]
    names = {path.name for path in (folder / "run").iterdir() if path.is_dir()}
    assert names == {"best", "last", "inputs"}, "nothing is left of what killed writers began"


def test_the_moments_are_those_that_matter(whole: dict[str, Any]) -> None:
    for model in MODELS:
        _, passed, _ = whole[model]
        assert passed.count("step") == 9
        assert sum("last .last.old" in name for name in passed) == 4  # two swaps, each before and after
        assert any("result.json" in name for name in passed)
        assert any("inputs" in name for name in passed)
        assert len(passed) > 100


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("model", MODELS)
def test_killed_at_any_moment(model: str, seed: int, tmp_path: Path, whole: dict[str, Any]) -> None:
    passed = whole[model][1]
    fatal = random.Random(f"{model} {seed}").randrange(len(passed))
    process = started(tmp_path, model, fatal)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    saved = [name for name in passed[: fatal + 1] if re.fullmatch(r"after replace \.last\..*\.tmp last", name)]
    assert_ends_as_whole(tmp_path, model, whole, done=len(saved))


@pytest.mark.parametrize("swap", [0, 1])
def test_killed_between_the_two_renames_of_a_swap(swap: int, tmp_path: Path, whole: dict[str, Any]) -> None:
    passed = whole["sasrec"][1]
    moments = [n for n, name in enumerate(passed) if name == "after replace last .last.old"]
    process = started(tmp_path, "sasrec", moments[swap])
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert json.loads((tmp_path / "run" / ".last.old" / "state.json").read_text())["epoch"] == swap + 1
    assert not (tmp_path / "run" / "last").exists()
    assert_ends_as_whole(tmp_path, "sasrec", whole, done=swap + 1)


def test_killed_again_and_again(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Each process lives for a third of a run; together they finish it."""
    for _ in range(2):
        process = started(tmp_path, "sasrec", len(whole["sasrec"][1]) // 3)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    state = json.loads((tmp_path / "run" / "last" / "state.json").read_text())
    assert 1 <= state["epoch"] <= 3
    assert_ends_as_whole(tmp_path, "sasrec", whole)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_killed_from_outside_at_any_time(share: float, tmp_path: Path, whole: dict[str, Any]) -> None:
    process = started(tmp_path, "lrdgraph", -1)
    while not (tmp_path / "run").exists() and process.is_alive():
        time.sleep(0.005)
    time.sleep(whole["lrdgraph"][2] * share)
    process.kill()
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0), "0 where it was done before it was killed"
    assert_ends_as_whole(tmp_path, "lrdgraph", whole)
