"""Time one training epoch and one evaluation of RCF + LRD and KDA + LRD, ours against the public code, on one machine.

    python benchmarks/public/speed.py PUBLIC --data ../shared/data/office --out benchmarks/results/speed-public.json

``PUBLIC`` is a checkout of github.com/ysh-1998/LRD, which needs pandas and tqdm. Both sides train with the settings
of its README from the same language vectors, one after the other, each in a process of its own with equally many
threads; ours with its layers compiled, which the first epoch pays for. The clock of the public code leaves out reading
the data and preparing the evaluation; ours leaves out the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.public.theirs import MODELS, ROOT, load, prepare


def public(name: str, code: Path, folder: Path, epochs: int, evaluations: int) -> dict[str, list[float]]:
    """Seconds of each epoch and evaluation of the public code, run in ``folder / "src"``."""
    model, data, runner = load(name, code, folder)
    found: dict[str, list[float]] = {"train": [], "evaluate": [], "loss": [], "NDCG@5": []}
    for epoch in range(epochs):
        began = time.perf_counter()
        found["loss"].append(float(runner.fit(model, data["train"], epoch=epoch + 1)))
        found["train"].append(time.perf_counter() - began)
        if epoch < evaluations:
            began = time.perf_counter()
            found["NDCG@5"].append(float(runner.evaluate(model, data["dev"], [5], ["NDCG", "HR"])["NDCG@5"]))
            found["evaluate"].append(time.perf_counter() - began)
    return found


def ours(name: str, data: Path, vectors: Path, epochs: int) -> dict[str, list[float]]:
    """Seconds of each epoch and evaluation of this library; the experiment files compile its layers."""
    from lrdgraph.experiment.run import run_experiment
    from lrdgraph.experiment.settings import read_experiment

    with tempfile.TemporaryDirectory() as folder:
        settings = read_experiment(
            ROOT / f"benchmarks/experiments/office-{name}-published.toml",
            [f"training.epochs={epochs}", "training.device=cpu", f'text.vectors="{vectors}"'],
            data=str(data),
        )
        run = run_experiment(settings, Path(folder) / "run")
        assert run.state is not None
        log = run.state.log
        found = {"train": [e["seconds"] for e in log], "evaluate": [e["evaluation_seconds"] for e in log]}
        found |= {"loss": [e["loss"]["total"] for e in log]}
        return found | {"NDCG@5": [e["validation"]["candidates-99/NDCG@5"] for e in log]}


def main() -> None:
    """Run both sides of each model and write the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("public", type=Path, help="checkout of the public LRD code")
    parser.add_argument("--data", type=Path, required=True, help="folder of Office in ReChorus format")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--models", nargs="+", default=["rcf-lrd", "kda-lrd"], choices=list(MODELS))
    parser.add_argument("--epochs", type=int, default=2, help="of which the fastest counts, so at least 2")
    parser.add_argument("--evaluations", type=int, default=10**6, help="of the public code, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=["public", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side is not None:
        name = chosen.models[0]
        if chosen.side == "public":
            found = public(name, chosen.public.resolve(), chosen.folder, chosen.epochs, chosen.evaluations)
        else:
            found = ours(name, chosen.data.resolve(), chosen.folder / "vectors.npy", chosen.epochs)
        chosen.out.write_text(json.dumps(found))
        return
    from lrdgraph.experiment.provenance import provenance

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(chosen.data, folder)
        figures: dict[str, Any] = {}
        for model in chosen.models:
            sides = {side: _run(side, model, chosen, folder) for side in ("public", "ours")}
            best = {side: {part: min(found[part]) for part in ("train", "evaluate")} for side, found in sides.items()}
            ratio = {part: best["public"][part] / best["ours"][part] for part in ("train", "evaluate")}
            figures[model] = {"seconds": sides, "fastest": best, "ratio": ratio}
            print(f"{model}: training {ratio['train']:.1f} times, evaluation {ratio['evaluate']:.1f} times as fast")
    record = {"models": figures, "threads": chosen.threads, "epochs": chosen.epochs} | provenance()
    record["machine"]["threads"] = chosen.threads  # of the two sides, not of this process
    chosen.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _run(side: str, model: str, chosen: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    out = folder / f"{side}-{model}.json"
    command = [sys.executable, __file__, str(chosen.public), "--data", str(chosen.data), "--out", str(out)]
    command += [
        "--models",
        model,
        "--epochs",
        str(chosen.epochs),
        "--evaluations",
        str(chosen.evaluations),
        "--side",
        side,
        "--folder",
        str(folder),
    ]
    threads = str(chosen.threads)
    # threads stay awake between short steps, as the guide has it for a machine that nothing else uses
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "GOMP_SPINCOUNT": "20000"}
    subprocess.run(command, check=True, env=os.environ | environment)
    found: dict[str, list[float]] = json.loads(out.read_text())
    return found


if __name__ == "__main__":
    main()
