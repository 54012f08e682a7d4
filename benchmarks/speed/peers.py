"""SASRec of others beside ours: equal events, sizes, loss and steps, each in its own environment.

A peer's adapter is a script in ``adapters/`` that its own interpreter runs on a folder. In the folder are

- ``events.csv``: user, item, time and role of every event. Ids are numbers from 1; ``time`` numbers the events in
  reading order, so that ties in time are not broken anew. A user's last event is the test target;
- ``settings.json``: sizes, target positions of a step, how many steps, threads.

The adapter puts there ``found.json``, with a mark at the beginning of each epoch and after every step (seconds, seconds
of the processor, target positions), and ``scores.npy``, which our own evaluator ranks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from lrdgraph.batch import Batch
from lrdgraph.corpus import ROLES
from lrdgraph.errors import DataError
from lrdgraph.evaluation.evaluator import evaluate
from lrdgraph.experiment.inputs import build_inputs, load_corpus
from lrdgraph.experiment.settings import ExperimentSettings
from lrdgraph.models.base import pick
from lrdgraph.models.registry import build_model
from lrdgraph.splits import Split, split
from lrdgraph.storage import read_json, write_json
from lrdgraph.training.trainer import train, validate

ADAPTERS = Path(__file__).resolve().parent / "adapters"
PEERS = {"recbole": "recbole_sasrec.py", "rectools": "rectools_sasrec.py"}
PACKAGES = {"recbole": "recbole", "rectools": "RecTools"}
WARM_UP = 2


def run_peer(
    name: str, python: Path, settings: ExperimentSettings, *, steps: int, repeats: int, threads: int
) -> dict[str, Any]:
    """Train a peer for some steps, evaluate it, and rank its scores.

    Raises:
        DataError: the peer's process failed.
    """
    corpus = load_corpus(settings)
    parts = split(corpus, settings.data.split)
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        write_folder(folder, settings, parts, steps=steps, repeats=repeats, threads=threads)
        # RecBole's checkpoints are its own; threads are set before its libraries are loaded
        own = {"OMP_NUM_THREADS": str(threads), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "CUDA_VISIBLE_DEVICES": ""}
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | own
        command = [str(python.absolute()), str(ADAPTERS / PEERS[name]), str(folder)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise DataError(f"{name} ended with status {done.returncode}: {said}")
        found = read_json(folder / "found.json")
        metrics = rank_scores(np.load(folder / "scores.npy"), settings, parts)
    versions = {package: installed(python, package) for package in (PACKAGES[name], "torch", "numpy")}
    work = len(parts.targets("test")) * corpus.num_items
    return figures(found["marks"], found["evaluation"], work) | {
        "metrics": metrics,
        "parameters": found["parameters"],
        "peer_versions": versions,
        "its_metrics": found.get("its_metrics"),
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint[:12]},
    }


def run_ours(settings: ExperimentSettings, *, steps: int, repeats: int) -> dict[str, Any]:
    """Our SASRec for as many steps as a peer, by the trainer and the evaluator that everything else is run by."""
    corpus = load_corpus(settings)
    parts = split(corpus, settings.data.split)
    torch.manual_seed(settings.training.seed)
    model = build_model(settings.model_name, build_inputs(settings, corpus, parts), settings.model_values)
    positions = len(parts.training().item) - int((np.diff(parts.training().offsets) > 0).sum())
    marks: list[list[float]] = []

    class Enough(Exception):
        """All steps are made."""

    def step_done(step: int, of: int) -> None:
        marks.append([time.perf_counter(), time.process_time(), positions / of])
        if len(marks) == steps:
            raise Enough

    endless = replace(settings.training, epochs=steps + 1, evaluate_every=steps + 1, device="cpu")
    began = [time.perf_counter(), time.process_time(), 0.0]
    with suppress(Enough):
        train(model, parts, endless, settings.evaluation, step_done=step_done)
    evaluation = []
    for _ in range(repeats):
        before = time.perf_counter(), time.process_time()
        metrics = validate(model, parts, "test", settings.evaluation).metrics
        evaluation.append([time.perf_counter() - before[0], time.process_time() - before[1]])
    work = len(parts.targets("test")) * corpus.num_items
    return figures([began, *marks], evaluation, work) | {
        "metrics": metrics,
        "parameters": model.num_parameters,
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint[:12]},
    }


def write_folder(
    folder: Path, settings: ExperimentSettings, parts: Split, *, steps: int, repeats: int, threads: int
) -> None:
    """Events and settings as adapters read them."""
    events = parts.events
    role = np.array(sorted(ROLES, key=lambda name: ROLES[name]))[parts.role]
    table = {"user": events.user, "item": events.item, "time": np.arange(len(events.item)), "role": role}
    pl.DataFrame(table).write_csv(folder / "events.csv")
    model, training = settings.model_values, settings.training
    sequences = parts.training()
    windows = -(-np.maximum(np.diff(sequences.offsets) - 1, 0) // model["max_length"])
    transitions = np.maximum(np.diff(sequences.offsets) - 1, 0).sum()
    asked = {
        "users": sequences.num_users,
        "items": parts.num_items,
        "width": model["hidden_channels"],
        "inner": 2 * model["hidden_channels"],
        "layers": model["num_layers"],
        "heads": model["num_heads"],
        "length": model["max_length"],
        "dropout": model["dropout"],
        "learning_rate": training.learning_rate,
        "positions": round(float(transitions / np.ceil(windows.sum() / training.batch_size))),
        "users_at_once": settings.evaluation.batch_size,
        "steps": steps,
        "repeats": repeats,
        "threads": threads,
        "seed": training.seed,
    }
    write_json(folder / "settings.json", asked)


def figures(marks: list[list[float]], evaluation: list[list[float]], work: int) -> dict[str, Any]:
    """Rates from the marks of a training, its first steps left out, and from the seconds of evaluations.

    Args:
        marks: seconds, processor seconds and positions; 0 positions where an epoch begins.
        evaluation: seconds and processor seconds of each.
        work: users × items of one.
    """
    at = np.array(marks, dtype=float)
    steps = np.flatnonzero(at[:, 2] > 0)
    wall, processor = (at[steps, :2] - at[steps - 1, :2]).T
    positions = at[steps, 2]
    kept = slice(WARM_UP, None) if len(steps) > 2 * WARM_UP else slice(0, None)
    seconds = median(wall for wall, _ in evaluation)
    return {
        "train": {
            "steps": len(steps),
            "positions_per_step": float(positions.mean()),
            "positions_per_second": median((positions / wall)[kept].tolist()),
            "positions_per_cpu_second": median((positions / processor)[kept].tolist()),
            "seconds": float(wall.sum()),
        },
        "evaluate": {
            "users_items": work,
            "seconds": [round(wall, 4) for wall, _ in evaluation],
            "cpu_seconds": [round(processor, 4) for _, processor in evaluation],
            "per_second": work / seconds,
            "per_cpu_second": work / median(processor for _, processor in evaluation),
        },
    }


def rank_scores(scores: np.ndarray, settings: ExperimentSettings, parts: Split) -> dict[str, float]:
    """Test metrics of a peer's ``(U + 1, N + 1)`` scores, by the evaluator that ours are ranked by."""
    held = torch.from_numpy(scores)

    def score(batch: Batch, candidates: Tensor | None) -> Tensor:
        rows = held[batch.user]
        return pick(rows, candidates)

    targets, num_items = parts.targets("test"), parts.num_items
    return evaluate(score, targets, settings.evaluation, max_length=1, num_items=num_items).metrics


def installed(python: Path, package: str) -> str:
    """Version of a package in another environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def public_speed(script: Path, code: Path, data: str, model: str, *, epochs: int, threads: int) -> dict[str, Any]:
    """Both sides of ``benchmarks/public/speed.py`` for one model: the public LRD code and ours with its settings."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, str(script), str(code), "--data", data, "--out", str(out), "--models", model]
        command += ["--epochs", str(epochs), "--evaluations", "1", "--threads", str(threads)]
        subprocess.run(command, check=True)
        found: dict[str, Any] = json.loads(out.read_text())["models"][model]
    return found
