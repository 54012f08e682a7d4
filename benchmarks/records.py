"""What is kept of a run: ``results/NAME-seedN.json`` with its curves, and the ranks of its test targets beside it."""

from __future__ import annotations

import json
import shutil
from itertools import accumulate
from pathlib import Path
from typing import Any

from lrdgraph.config import to_dict
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.saved_ranks import load_ranks
from lrdgraph.experiment import ExperimentSettings, experiment_settings
from lrdgraph.experiment.inputs import load_corpus
from lrdgraph.storage import atomic_file, read_json, write_json

NEEDED = {
    "name",
    "seed",
    "epochs",
    "metrics",
    "buckets",
    "corpus",
    "parameters",
    "seconds",
    "peak_memory_gb",
    "settings",
}


def record_path(results: Path, name: str, seed: int) -> Path:
    """Where the record of a run is kept."""
    return results / f"{name}-seed{seed}.json"


def ranks_path(record: Path) -> Path:
    """Where the ranks of a record are kept."""
    return record.with_suffix(".ranks.parquet")


def keep(run: Path, name: str, record: Path) -> dict[str, Any]:
    """Keep what a finished and evaluated run came to; ranks first, so that a record never lacks them.

    Args:
        run: its folder.
        name: of the row; the experiment file may have another.
        record: where to.

    Raises:
        DataError: the folder lacks a file of a finished, evaluated run.
    """
    result = read_json(run / "result.json") | {"name": name}
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    result["curve"] = curve(log, result["settings"]["training"]["metric"])
    if used := usage(log):
        result["usage"] = used
    if not {"test", "validation"} <= result["metrics"].keys():
        raise DataError(f"{run} was not evaluated on test; evaluate it first.")
    with atomic_file(ranks_path(record)) as temporary:
        shutil.copyfile(run / "ranks-test.parquet", temporary)
    write_json(record, result)
    return result


def curve(log: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The validation metric over epochs, and seconds from the first step to the end of each validation."""
    clock = accumulate(entry["seconds"] + entry.get("evaluation_seconds", 0.0) for entry in log)
    points = [
        (entry["epoch"], entry["validation"][metric], round(seconds, 2))
        for entry, seconds in zip(log, clock, strict=True)
        if "validation" in entry
    ]
    return {"metric": metric} | {
        key: [point[n] for point in points] for n, key in enumerate(("epoch", "value", "seconds"))
    }


def usage(log: list[dict[str, Any]]) -> dict[str, list[float]]:
    """How discovered relations were used after each epoch: perplexity, and information in nats; empty without them."""
    names = ("perplexity", "information")
    held = [entry.get("diagnostics", {}) for entry in log]
    if not log or not all(f"relations/{name}" in figures for figures in held for name in names):
        return {}
    return {name: [round(figures[f"relations/{name}"], 4) for figures in held] for name in names}


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        DataError: it is missing, or is none.
    """
    held = read_json(path)
    if not isinstance(held, dict) or not held.keys() >= NEEDED:
        raise DataError(f"{path} is not the record of a run; restore it, or remove it and run the table again.")
    return held


def evaluations(path: Path, held: dict[str, Any]) -> dict[str, Evaluation]:
    """Test ranks of a record by role, ``"test"`` and the other request time; none where none were kept."""
    if not ranks_path(path).exists():
        return {}
    found = load_ranks(ranks_path(path), experiment_settings(held["settings"]).evaluation)
    return {f"test{suffix}": evaluation for suffix, evaluation in found.items()}


_DECIDE_NOTHING = {("data", "source"), ("training", "device"), ("training", "compile")}


def difference(held: dict[str, Any], wanted: ExperimentSettings, epochs: int = 0) -> str:
    """In which setting that decides a result ``held`` settings differ from those wanted; empty for none.

    A setting that did not exist when they were held had its default. Name, place of the data, device and
    compiler decide nothing; nor does more patience for a run that came to its last epoch without it.

    Args:
        held: settings as they were kept.
        wanted: settings now.
        epochs: how many the run of the held settings came to; 0 where that is not known.
    """
    try:
        was = to_dict(experiment_settings(held))
    except ConfigError as error:
        return f"was run by other code ({str(error).rstrip('.')})"
    now = to_dict(wanted)
    if epochs == was["training"]["epochs"] and 0 < was["training"]["patience"] < wanted.training.patience:
        was["training"]["patience"] = wanted.training.patience
    for section, values in now.items():
        if section == "name" or not isinstance(values, dict):
            continue
        for key, value in values.items():
            before = was[section].get(key)
            if before != value and (section, key) not in _DECIDE_NOTHING:
                return f"has [{section}] {key} = {before!r} where {value!r} is asked for"
    return ""


def stale(path: Path, wanted: ExperimentSettings, fingerprint: str) -> str:
    """Why a record does not stand for a run of these settings on this corpus; empty if it does."""
    held = read_record(path)
    changed = difference(held["settings"], wanted, held["epochs"])
    if changed:
        return changed
    if held["corpus"]["fingerprint"] != fingerprint:
        return f"is of corpus {held['corpus']['fingerprint'][:12]} where {fingerprint[:12]} is given"
    return "" if ranks_path(path).exists() else "has no ranks beside it"


class Fingerprints:
    """Fingerprint of the corpus that settings name; each corpus is read once."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def __call__(self, settings: ExperimentSettings) -> str:
        data = to_dict(settings.data)
        key = json.dumps([data["source"], data["format"], data["options"]], sort_keys=True)
        if key not in self._found:
            self._found[key] = load_corpus(settings).fingerprint
        return self._found[key]
