"""Render the results of runs as a Markdown table: mean ± standard deviation over seeds.

    python benchmarks/table.py benchmarks/results/office-*.json --role test

Runs of one experiment (equal name) with different seeds make one row; they must share corpus and settings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

METRICS = ("candidates-99/HR@5", "candidates-99/NDCG@5", "candidates-99/NDCG@10", "full/HR@10", "full/NDCG@10")


def read_results(paths: list[Path]) -> dict[str, list[dict[str, Any]]]:
    """Results by experiment name.

    Raises:
        SystemExit: a name stands for runs on different corpora or with different settings.
    """
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        groups[(result := json.loads(path.read_text(encoding="utf-8")))["name"]].append(result)
    for name, results in groups.items():
        if len({(r["corpus"]["fingerprint"], _apart_from_seed(r["settings"])) for r in results}) > 1:
            sys.exit(f"error: the runs of '{name}' differ in corpus or settings; a row may differ in seeds alone.")
        if len({r["seed"] for r in results}) < len(results):
            sys.exit(f"error: two runs of '{name}' have the same seed; keep one of them.")
    return dict(groups)


def _apart_from_seed(settings: dict[str, Any]) -> str:
    training = {k: v for k, v in settings["training"].items() if k not in ("seed", "device")}
    data = {k: v for k, v in settings["data"].items() if k != "source"}
    return json.dumps(settings | {"training": training, "data": data}, sort_keys=True)


def table(groups: dict[str, list[dict[str, Any]]], role: str, metrics: tuple[str, ...]) -> str:
    """A Markdown table with one row for each experiment, best first by the first metric that all rows have."""
    rows = []
    for name, results in groups.items():
        cells = []
        for metric in metrics:
            values = [r["metrics"][role][metric] for r in results if metric in r["metrics"].get(role, {})]
            cells.append(_summary(values))
        seconds = statistics.mean(r["seconds"]["training"] + r["seconds"]["validation"] for r in results)
        memory = max(r["peak_memory_gb"] for r in results)
        rows.append((name, len(results), cells, seconds, memory))
    rows.sort(key=lambda row: -(row[2][1] or row[2][-1] or (0,))[0])
    lines = ["| experiment | seeds | " + " | ".join(metrics) + " | s | GB |", "|---" * (len(metrics) + 4) + "|"]
    for name, seeds, cells, seconds, memory in rows:
        shown = " | ".join(_cell(c) for c in cells)
        lines.append(f"| {name} | {seeds} | {shown} | {seconds:.0f} | {memory:.1f} |")
    return "\n".join(lines)


def _summary(values: list[float]) -> tuple[float, float | None] | None:
    if not values:
        return None
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def _cell(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return "–"
    mean, deviation = value
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def main() -> None:
    """Read the files named on the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--role", default="test", help="validation, test or test@last-event")
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    chosen = parser.parse_args()
    print(table(read_results(chosen.results), chosen.role, tuple(chosen.metrics)))


if __name__ == "__main__":
    main()
