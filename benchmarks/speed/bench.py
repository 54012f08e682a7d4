r"""How fast this machine trains, evaluates, encodes, builds, enriches and exports, beside its own ceiling and others.

    python -m benchmarks.speed.bench --data ../shared/data/office --out benchmarks/results/speed.json \
        --recbole VENV/bin/python --rectools VENV/bin/python --public LRD

Every row has a process of its own, whose peak memory it records. A row that the file already holds with the same
settings is passed over, so a run that was interrupted goes on; ``--again`` measures it anew. Peers are left out where
their interpreter (or the checkout of the public LRD code, which needs pandas and tqdm beside our packages) is not
named. Times are comparable on a quiet machine alone: seconds of the processor stand beside those of the clock, and
where they part the machine was not quiet.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.speed import ceiling
from benchmarks.speed.peers import PEERS, public_speed, run_ours, run_peer
from benchmarks.speed.stages import STAGES
from lrdgraph.config import config_hash, to_dict
from lrdgraph.errors import LrdgraphError
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.experiment.settings import ExperimentSettings, read_experiment
from lrdgraph.storage import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "benchmarks" / "experiments"
EQUAL = Path(__file__).resolve().parent / "sasrec-ml100k.toml"
FULL = "evaluation.protocols=full"
LISTED = "evaluation.protocols=candidates"


class Row(NamedTuple):
    """A stage of an experiment, and how often it is repeated."""

    stage: str
    experiment: Path
    repeats: int
    overrides: tuple[str, ...] = ()


def _office(name: str) -> Path:
    return EXPERIMENTS / f"office-{name}.toml"


ROWS: dict[str, Row] = {
    "train flagship": Row("train", _office("flagship"), 5),
    "train kda-lrd": Row("train", _office("kda-lrd"), 2),
    "train sasrec": Row("train", _office("sasrec"), 5),
    "train sasrec-ml100k": Row("train", EQUAL, 5),
    "train kda-lrd-published": Row("train", _office("kda-lrd-published"), 2),
    "train rcf-lrd-published": Row("train", _office("rcf-lrd-published"), 2),
    "evaluate flagship": Row("evaluate", _office("flagship"), 5, (FULL,)),
    "evaluate kda-lrd": Row("evaluate", _office("kda-lrd"), 1, (LISTED,)),
    "evaluate sasrec": Row("evaluate", _office("sasrec"), 5, (FULL,)),
    "evaluate sasrec-ml100k": Row("evaluate", EQUAL, 5, (FULL,)),
    "evaluate kda-lrd-published": Row("evaluate", _office("kda-lrd-published"), 1, (LISTED,)),
    "evaluate rcf-lrd-published": Row("evaluate", _office("rcf-lrd-published"), 1, (LISTED,)),
    "encode": Row("encode", _office("flagship"), 1),
    "build": Row("build", _office("flagship"), 7),
    "enrich": Row("enrich", _office("flagship"), 7),
    "export": Row("export", _office("flagship"), 5),
}
ALL_CORES = ", all cores"
PUBLIC = ("kda-lrd", "rcf-lrd", f"kda-lrd{ALL_CORES}", f"rcf-lrd{ALL_CORES}")
NAMES = ("ceiling", *ROWS, "peer lrdgraph", *(f"peer {name}" for name in PEERS), *(f"public {name}" for name in PUBLIC))


def asked_of(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """What decides a row, so that a record of it can stand for it."""
    kind, _, which = name.partition(" ")
    if name in ROWS:
        row = ROWS[name]
        held: dict[str, Any] = {"stage": row.stage, "repeats": row.repeats, "settings": _digest(settings_of(row, ""))}
    elif kind == "peer":
        held = {"steps": chosen.steps, "settings": _digest(read_experiment(EQUAL))}
    elif kind == "public":
        model = which.removesuffix(ALL_CORES)
        held = {"settings": _digest(read_experiment(_office(f"{model}-published"))), "epochs": 2}
    else:
        held = {}
    return held | {"threads": threads_of(name, chosen)}


def threads_of(name: str, chosen: argparse.Namespace) -> int:
    """As many as are asked for, or as there are cores where a row says so."""
    return (os.cpu_count() or 1) if name.endswith(ALL_CORES) else chosen.threads


def settings_of(row: Row, data: str) -> ExperimentSettings:
    """Settings of a row's experiment; ``data`` is the folder of Office."""
    named = row.experiment.stem.startswith("office")
    return read_experiment(row.experiment, row.overrides, data=data if named else None)


def _digest(settings: ExperimentSettings) -> str:
    held = to_dict(settings)
    held["data"].pop("source")
    return config_hash(held)


def measure(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """What a row finds, in this process and those that it starts."""
    kind, _, which = name.partition(" ")
    if name == "ceiling":
        found = ceiling.measure()
    elif name in ROWS:
        row = ROWS[name]
        found = STAGES[row.stage](settings_of(row, chosen.data), row.repeats)
    elif name == "peer lrdgraph":
        found = run_ours(read_experiment(EQUAL), steps=chosen.steps, repeats=3)
    elif kind == "peer":
        python = getattr(chosen, which)
        found = run_peer(which, python, read_experiment(EQUAL), steps=chosen.steps, repeats=3, threads=chosen.threads)
    else:
        script = ROOT / "benchmarks" / "public" / "speed.py"
        model, threads = which.removesuffix(ALL_CORES), threads_of(name, chosen)
        found = public_speed(script, chosen.public, chosen.data, model, epochs=2, threads=threads)
    used = resource.getrusage(resource.RUSAGE_SELF)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    beside = kind == "public" or (kind == "peer" and which in PEERS)
    found["peak_memory_gb"] = round(theirs.ru_maxrss * 1024 / 1e9, 3) if beside else peak_memory()
    found["user_cpu_seconds"] = round(used.ru_utime + theirs.ru_utime, 2)
    return found


def in_a_process(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """What :func:`measure` finds in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.speed.bench", "--in-this-process", name, "--out", str(out)]
        command += ["--data", chosen.data, "--threads", str(chosen.threads), "--steps", str(chosen.steps)]
        for other in (*PEERS, "public"):
            command += [f"--{other}", str(given)] if (given := getattr(chosen, other)) else []
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(chosen.threads)})
        found: dict[str, Any] = json.loads(out.read_text())
    return found


def present(name: str, chosen: argparse.Namespace) -> bool:
    """Whether what a row needs was named."""
    kind, _, which = name.partition(" ")
    if kind == "public":
        return chosen.public is not None
    return kind != "peer" or which not in PEERS or getattr(chosen, which) is not None


def held_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Rows that a file of results holds, by name; none where there is no file."""
    return dict(read_json(path)["rows"]) if path.exists() else {}


def bench(chosen: argparse.Namespace) -> int:
    """Measure what is not held yet, writing after each row; gives how many rows failed."""
    failed = 0
    for name in chosen.only or NAMES:
        asked = asked_of(name, chosen)
        rows = held_rows(chosen.out)
        if not present(name, chosen):
            print(f"{name}: left out, what it needs was not named", flush=True)
            continue
        if not chosen.again and rows.get(name, {}).get("asked") == asked:
            print(f"{name}: held", flush=True)
            continue
        try:
            found = in_a_process(name, chosen)
        except subprocess.CalledProcessError as error:
            print(f"{name}: its process ended with status {error.returncode}", file=sys.stderr, flush=True)
            failed += 1
            continue
        about = provenance()
        about["machine"]["threads"] = threads_of(name, chosen)  # of the row, not of this process
        rows[name] = {"asked": asked} | found | about
        write_json(chosen.out, {"rows": {key: rows[key] for key in NAMES if key in rows}})
        print(f"{name}: done in {found['user_cpu_seconds']} s of the processor", flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all rows, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of Office in ReChorus format")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results, which is added to")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="ROW", help=f"these rows alone: {', '.join(NAMES)}")
    parser.add_argument("--again", action="store_true", help="measure rows that are held already")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=245, help="training steps of each peer and ours beside it")
    parser.add_argument("--recbole", type=Path, help="interpreter of an environment with RecBole")
    parser.add_argument("--rectools", type=Path, help="interpreter of an environment with RecTools")
    parser.add_argument("--public", type=Path, help="checkout of github.com/ysh-1998/LRD")
    parser.add_argument("--in-this-process", choices=NAMES, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    try:
        if chosen.in_this_process:
            write_json(chosen.out, measure(chosen.in_this_process, chosen))
            return 0
        return 1 if bench(chosen) else 0
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
