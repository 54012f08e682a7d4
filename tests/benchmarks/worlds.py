"""A folder of benchmarks: experiments on the small shop, a table of them, and made-up results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plan import Row, Table, read_table
from benchmarks.processes import NotDone, Processes
from benchmarks.records import ranks_path, record_path
from lrdgraph.cli import main
from lrdgraph.config import to_dict
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.saved_ranks import save_ranks
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.storage import write_json
from tests.cli.world import write_experiment, write_shop

SHOP = """
title = "A shop"
metrics = ["full/HR@10", "full/NDCG@10"]
compare = ["full/NDCG@10"]
reference = "shop-sasrec"
seeds = [0, 1]

[[row]]
name = "shop-popularity"
label = "Popularity"

[[row]]
name = "shop-sasrec"

[[row]]
name = "shop-sasrec-short"
base = "shop-sasrec.toml"
set = ["training.epochs=1"]
label = "SASRec, one epoch"
"""
POPULARITY = '[data]\nsource = "{data}"\n[model]\nname = "popularity"\n'


def write_benchmarks(folder: Path, table: str = SHOP) -> Path:
    """Experiments on the shop and a table of them; gives the table's path."""
    data = write_shop(folder / "shop")
    experiments = folder / "experiments"
    experiments.mkdir()
    write_experiment(experiments / "shop-sasrec.toml", data)
    (experiments / "shop-popularity.toml").write_text(POPULARITY.format(data=data))
    path = folder / "tables" / "shop.toml"
    path.parent.mkdir()
    path.write_text(table)
    (folder / "results").mkdir()
    return path


class InProcess(Processes):
    """Runs commands as the tests' own process does, and counts them; can fail by order."""

    broken: str = ""

    def __init__(self, runs: Path) -> None:
        super().__init__(runs)
        type(self).done: list[tuple[str, str]] = []

    def __call__(self, name: str, *commands: list[str], first: Callable[[], None] | None = None) -> None:
        with self.alone(name):
            if first is not None:
                first()
            for words in commands:
                if self.broken == name or main(words):
                    raise NotDone(f"'lrdgraph {words[0]}' ended with status 2: it is broken", 2)
                type(self).done.append((name, words[0]))


def made_up(path: Path) -> Table:
    """The table of a path, with results of four users whose ranks are chosen by hand."""
    table = read_table(path)
    reference, better, plain = table.row[:3]
    for seed, ranks in enumerate(([1, 3, 11, 11], [1, 1, 11, 11])):
        write_made_up(table, reference, seed, ranks)
    for seed, ranks in enumerate(([1, 1, 3, 1], [1, 1, 3, 11])):
        write_made_up(table, better, seed, ranks)
    write_made_up(table, plain, 0, [3, 3, 3, 3], saved=False)
    return table


def write_made_up(
    table: Table, row: Row, seed: int, ranks: list[int], saved: bool = True, **more: Any
) -> dict[str, Any]:
    """A record whose metrics follow from ``ranks``, one target a user; the last two of them are tied in time."""
    tied = np.array([False, False, True, True])
    groups = {"tied": tied, "untied": ~tied}
    evaluation = Evaluation({"full": np.array(ranks, float)}, np.arange(1, 5), groups, EvaluationSettings())
    path = record_path(table.results, row.name, seed)
    record = {
        "name": row.name,
        "model": "popularity",
        "seed": seed,
        "metrics": {"validation": evaluation.metrics, "test": evaluation.metrics},
        "buckets": {"test": evaluation.buckets},
        "targets": {"test": "a" * 64},
        "corpus": {"name": "shop", "fingerprint": "f" * 64, "split": "leave-one-out"},
        "parameters": 1234,
        "epochs": 2,
        "seconds": {"training": 10.0 + 2 * seed, "validation": 1.0},
        "peak_memory_gb": 0.5 + seed,
        "settings": to_dict(table.experiment(row, seed=seed)),
        "curve": {"metric": "full/NDCG@10", "epoch": [1, 2], "value": [0.1, 0.2], "seconds": [5.0, 10.0]},
        "machine": {"platform": "Linux", "processors": 2, "threads": 1, "gpu": None},
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
        "commit": "0123456789abcdef+changes",
    } | more
    write_json(path, record)
    if saved:
        save_ranks(ranks_path(path), {"": evaluation})
    return record
