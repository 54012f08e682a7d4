"""``lrdgraph evaluate``: a run in, its metrics on validation or test targets out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lrdgraph import distributed
from lrdgraph.cli.console import say
from lrdgraph.cli.metrics import show_buckets, show_metrics
from lrdgraph.errors import DataError


class Role(StrEnum):
    """Which targets."""

    test = "test"
    validation = "validation"


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished run.")],
    split: Annotated[Role, typer.Option(help="Which targets.")],
    data: Annotated[str | None, typer.Option(help="Where the data lie now, if not where they were.")] = None,
    k: Annotated[
        list[int] | None, typer.Option("-k", help="A cut-off beside those of the settings; repeatable.")
    ] = None,
) -> None:
    """Rank the targets of a run.

    The metrics are added to DIR/result.json, and shown by protocol, moment of the request and group of targets.
    """
    need_result(folder)
    from lrdgraph.experiment import evaluate_run
    from lrdgraph.storage import read_json

    with distributed.processes():
        found = evaluate_run(folder, split.value, data=data, ks=k or ())
        result = read_json(folder / "result.json")
        say(f"{result['name']}: {len(found):,} {split.value} targets")
        show_result(result, split.value)
        say(f"added to {folder / 'result.json'}")


def show_result(result: dict[str, Any], role: str) -> None:
    """Print the metrics of one role under both request times, and its buckets."""
    own, held = result["settings"]["evaluation"]["request"], result["metrics"]
    names = {"target": "target's time", "last-event": "last event's time"}
    metrics = {name: held[role if request == own else f"{role}@{request}"] for request, name in names.items()}
    show_metrics(f"{role}, by the moment of the request", metrics)
    show_buckets(f"{role}, by training interactions of the target and by ties in time", result["buckets"][role])


def need_result(folder: Path) -> None:
    """Refuse a folder without a finished run before anything is computed."""
    if not (folder / "result.json").is_file():
        raise DataError(f"{folder} holds no finished run; name a folder that 'lrdgraph train' wrote to its end.")
