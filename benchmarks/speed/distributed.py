"""Training, ranking and encoding by one process and by several, at the same batches.

    python -m benchmarks.speed.distributed --data ../shared/data/office --out benchmarks/results/speed-distributed.json

Experiments are trained with their own settings but for dropout, which is 0 so that the losses can be compared, and for
the number of epochs; what is told is the median over epochs after the first. A process computes with one thread. The
ratio is that of throughputs, several processes to one: on a quiet machine with a core for each process it says what a
second process brings, and the load of the machine at the start is recorded beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from lrdgraph import distributed
from lrdgraph.experiment import read_experiment, run_experiment
from lrdgraph.experiment.inputs import load_corpus
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.language import TextSettings, encode_items
from lrdgraph.splits import split
from lrdgraph.storage import write_json

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
ENCODING = "encoding"
CASES = ("office-sasrec", "office-flagship", ENCODING)


def trained(name: str, data: str, epochs: int, folder: Path) -> dict[str, Any]:
    """Seconds and losses of training, and seconds of validation."""
    settings = read_experiment(EXPERIMENTS / f"{name}.toml", data=data)
    settings = replace(
        settings,
        model=settings.model | {"dropout": 0.0},
        training=replace(settings.training, epochs=epochs, patience=0, device="cpu"),
    )
    corpus = load_corpus(settings)
    run = run_experiment(settings, folder, corpus=corpus)
    assert run.state is not None
    parts = split(corpus, settings.data.split)
    transitions = int(np.maximum(np.diff(parts.training().offsets) - 1, 0).sum())
    seconds = [entry["seconds"] for entry in run.state.log]
    validation = [entry["evaluation_seconds"] for entry in run.state.log]
    return {
        "seconds": seconds,
        "transitions_per_second": round(transitions / median(seconds[1:]), 1),
        "validation_seconds": validation,
        "targets_per_second": round(len(parts.targets("validation")) / median(validation[1:]), 1),
        "loss": [entry["loss"]["total"] for entry in run.state.log],
        "metric": [entry["validation"][settings.training.metric] for entry in run.state.log],
        "batch_size": settings.training.batch_size,
    }


def encoded(data: str, folder: Path) -> dict[str, Any]:
    """Seconds of encoding all item texts by the default language model, the loading of the model included."""
    settings = replace(read_experiment(EXPERIMENTS / "office-sasrec.toml", data=data), text=TextSettings(device="cpu"))
    corpus, began = load_corpus(settings), time.perf_counter()
    vectors = encode_items(corpus, settings.text, folder)
    seconds = time.perf_counter() - began
    return {"texts": len(vectors), "seconds": round(seconds, 2), "texts_per_second": round(len(vectors) / seconds, 1)}


def measured(case: str, data: str, epochs: int, folder: Path) -> dict[str, Any]:
    """One case in this process and those beside it."""
    torch.set_num_threads(1)
    with distributed.processes():
        found = encoded(data, folder) if case == ENCODING else trained(case, data, epochs, folder)
        return found | {"processes": distributed.count(), "peak_memory_gb": peak_memory()}


def by_processes(case: str, number: int, words: list[str]) -> dict[str, Any]:
    """Start ``number`` processes at one case; what the first of them told."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)] if number > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        command = [*launch, "-m", "benchmarks.speed.distributed", *words, "--case", case, "--folder", folder]
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
        subprocess.run([sys.executable, *command], env=os.environ | threads, check=True)
        return json.loads(told.read_text(encoding="utf-8"))


def compared(one: dict[str, Any], several: dict[str, Any]) -> dict[str, Any]:
    """Ratios of throughput, and the largest relative difference of a loss and largest difference of a metric."""
    rates = [name for name in one if name.endswith("_per_second")]
    found = {name.replace("_per_second", "_ratio"): round(several[name] / one[name], 3) for name in rates}
    if "loss" in one:
        pairs = zip(one["loss"], several["loss"], strict=True)
        found["loss_difference"] = max(abs(b - a) / abs(a) for a, b in pairs)
        found["metric_difference"] = max(abs(b - a) for a, b in zip(one["metric"], several["metric"], strict=True))
    return found


def main() -> None:
    """Measure all cases and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the Office data")
    parser.add_argument("--out", type=Path, help="the JSON file of the result")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=CASES, action="append", help="leave out the other cases; may be repeated")
    parser.add_argument("--case", choices=CASES, help="measure this one here; started by the command itself")
    parser.add_argument("--folder", type=Path, help="where --case writes")
    chosen = parser.parse_args()
    if chosen.case:
        found = measured(chosen.case, chosen.data, chosen.epochs, chosen.folder / "run")
        if os.environ.get("RANK", "0") == "0":
            write_json(chosen.folder / "told.json", found)
        return
    load, cases = os.getloadavg()[0], {}
    words = ["--data", chosen.data, "--epochs", str(chosen.epochs)]
    for case in chosen.only or CASES:
        runs = {number: by_processes(case, number, words) for number in (1, chosen.processes)}
        cases[case] = {str(number): run for number, run in runs.items()} | compared(*runs.values())
        print(case, {name: value for name, value in cases[case].items() if not isinstance(value, dict)}, flush=True)
    if chosen.out:
        write_json(chosen.out, {"load_before": load, "epochs": chosen.epochs, "cases": cases} | provenance())


if __name__ == "__main__":
    main()
