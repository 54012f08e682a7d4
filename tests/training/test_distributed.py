"""Two processes against one: the same losses, weights, ranks and vectors; and what becomes of a run that loses one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrdgraph.cli import main
from lrdgraph.experiment import read_experiment, run_experiment
from lrdgraph.training.checkpoint import load_state
from tests.experiment.worlds import published
from tests.models import shop
from tests.training import together

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LRDGRAPH_TIMEOUT": "60"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes came to, started by torchrun."""
    folder = tmp_path_factory.mktemp("two")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "tests.training.together", str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-5000:]
    assert "arning" not in done.stderr
    assert {path.name for path in (folder / "run").iterdir() if path.is_dir()} == {"best", "last", "inputs"}
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_both_processes_come_to_the_same(two: list[dict[str, Any]]) -> None:
    for name in [*together.MODELS, "encoded", "run", "gradients", "gathered"]:
        assert two[0][name] == two[1][name], name


@pytest.mark.parametrize("name", together.EXACT)
def test_losses_weights_and_metrics_are_those_of_one_process(name: str, two: list[dict[str, Any]]) -> None:
    alone = together.trained(name)
    for epoch, (one, both) in enumerate(zip(alone["loss"], two[0][name]["loss"], strict=True)):
        assert both == pytest.approx(one, rel=1e-5, abs=1e-6), epoch
    assert two[0][name]["validation"] == alone["validation"]
    for key, weights in alone["weights"].items():
        np.testing.assert_allclose(two[0][name]["weights"][key], weights, atol=1e-5, err_msg=key)
    # what the tolerance is worth: another seed misses it by far
    other = together.trained(name, seed=1)
    assert other["loss"][-1] != pytest.approx(alone["loss"][-1], rel=1e-3)


@pytest.mark.parametrize("name", sorted(together.MODELS.keys() - set(together.EXACT)))
def test_losses_that_draw_are_close(name: str, two: list[dict[str, Any]]) -> None:
    seeds = [together.trained(name, seed=seed)["loss"] for seed in range(5)]
    for term in ("total", "recommendation"):
        values = np.array([[entry[term] for entry in losses] for losses in seeds])  # (seeds, epochs)
        found = [entry[term] for entry in two[0][name]["loss"]]
        spread = np.maximum(values.std(0), 0.01 * values.mean(0))
        assert (np.abs(found - values.mean(0)) < 4 * spread).all(), (term, found, values)
    assert two[0][name]["loss"] != together.trained(name)["loss"], "each process has chance of its own"


def test_an_experiment_and_its_evaluation(two: list[dict[str, Any]], tmp_path: Path) -> None:
    assert two[0]["run"] == together.run(tmp_path)


def test_vectors_are_those_of_one_process(two: list[dict[str, Any]], tmp_path: Path) -> None:
    assert two[0]["encoded"] == together.encoded(tmp_path)


def test_sums_of_gradients_by_hand(two: list[dict[str, Any]]) -> None:
    dense, once, never, sparse, sparse_once = two[0]["gradients"]
    assert dense == [1, 3, 5]
    assert once == [[1, 1], [1, 1]]
    assert never is None
    # rank 0 adds 1 to row 1 twice and to row 2, rank 1 adds 2 to row 1 twice and to row 3
    assert sparse == [[0, 0], [6, 6], [1, 1], [2, 2], [0, 0]]
    assert sparse_once == [[0, 0]] * 4 + [[1, 1]]


def test_arrays_of_different_lengths_are_gathered(two: list[dict[str, Any]]) -> None:
    assert two[0]["gathered"] == [[], [0, 1, 2]]


def test_a_name_that_one_process_lacks_is_summed(two: list[dict[str, Any]]) -> None:
    assert two[0]["sums"] == two[1]["sums"] == {"both": 3.0, "first": 5.0, "last": 7.0}


def test_a_batch_needs_a_row_for_each_process(two: list[dict[str, Any]]) -> None:
    assert two[0]["refused"] == two[1]["refused"]
    assert "batch_size 1 makes a batch of 1 histories for 2 processes; raise it" in two[0]["refused"]


# a server with the imports behind it starts a process in a moment
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["lrdgraph.cli.app", "lrdgraph.experiment.run", "torch.distributed", "torch._dynamo"])


def command(place: dict[str, str], said: Path, *words: str) -> None:
    """A process of the command line, in a place that a launcher would give it."""
    os.environ.update(place)
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    sys.exit(main(words))


class Pair:
    """Two processes of the command line, started without torchrun, which would end the other one itself."""

    def __init__(self, folder: Path, *words: str | Path, timeout: int = 60) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LRDGRAPH_TIMEOUT": str(timeout)}
        self.said = [folder / f"said{rank}.txt" for rank in (0, 1)]
        self.processes = [
            server.Process(target=command, args=(place | {"RANK": str(rank)}, said, *map(str, words)))
            for rank, said in enumerate(self.said)
        ]
        for process in self.processes:
            process.start()

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.join()


EXPERIMENT = """
[data]
source = "{folder}/corpus"
[text]
vectors = "{folder}/vectors.npy"
[model]
name = "sasrec"
hidden_channels = 8
num_layers = 1
max_length = 4
[training]
epochs = 40
patience = 0
batch_size = 16
device = "cpu"
"""


def wait_for_epoch(folder: Path, epoch: int, pair: Pair) -> None:
    """Wait for a checkpoint, without touching the folder that is being written."""
    while True:
        assert all(process.is_alive() for process in pair.processes)
        with suppress(OSError, ValueError):
            if json.loads((folder / "last" / "state.json").read_text())["epoch"] >= epoch:
                return
        time.sleep(0.02)


@pytest.mark.parametrize("lost, by", [(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGSTOP)])
def test_a_lost_process_ends_the_run_and_one_process_ends_it(lost: int, by: signal.Signals, tmp_path: Path) -> None:
    published().save(tmp_path / "corpus")
    np.save(tmp_path / "vectors.npy", shop.vectors())
    file, folder = tmp_path / "small.toml", tmp_path / "run"
    file.write_text(EXPERIMENT.format(folder=tmp_path))
    with Pair(tmp_path, "train", file, "--out", folder, timeout=10 if by == signal.SIGSTOP else 60) as pair:
        wait_for_epoch(folder, 3, pair)
        os.kill(pair.processes[lost].pid or 0, by)
        pair.processes[1 - lost].join(timeout=60)
        assert pair.processes[1 - lost].exitcode == 2
        *lines, last = pair.said[1 - lost].read_text().splitlines()
        assert last == (
            f"error: Another process ended or fell silent, so process {1 - lost} of 2 ends too; see what it said, "
            "and run the same command again to go on from the last good state."
        )
        assert any(line.startswith("epoch  3/40") for line in lines) == (lost == 1), "the first process talks"
        assert bool(lines) == (lost == 1)
    state = load_state(folder / "last")
    assert state is not None
    assert 3 <= state["epoch"] < 40
    epochs: list[int] = []
    run = run_experiment(read_experiment(file), folder, report=lambda entry: epochs.append(entry["epoch"]))
    assert epochs == list(range(state["epoch"] + 1, 41))
    assert run.state is not None
    assert [entry["epoch"] for entry in run.state.log] == list(range(1, 41))
