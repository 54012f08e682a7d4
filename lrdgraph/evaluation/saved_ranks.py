"""Ranks of every target in a file of a few kilobytes, from which any metric and any paired test can be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from lrdgraph.batch import RequestTime
from lrdgraph.errors import DataError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.parquet import read_parquet
from lrdgraph.storage import atomic_file


def save_ranks(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write the ranks of evaluations of the same ``P`` targets, by suffix (``""``, ``"@last-event"``).

    A column ``"full"`` or ``"candidates-99@last-event"`` holds twice the rank, which is whole where ties count by
    half; ``user_step`` holds differences of the users, which take no space where each user has one target. The hash of
    the targets stands in the file's metadata.

    Raises:
        DataError: the evaluations differ in their targets.
    """
    users = [evaluation.user for evaluation in evaluations.values()]
    targets = {evaluation.targets for evaluation in evaluations.values()}
    if len(targets) > 1 or not all(np.array_equal(user, users[0]) for user in users):
        raise DataError(f"{path.name} cannot hold ranks of different targets; save them to files of their own.")
    columns = {"user_step": np.diff(users[0], prepend=0)}
    for suffix, evaluation in evaluations.items():
        columns |= {f"{protocol}{suffix}": _smallest(2 * rank) for protocol, rank in evaluation.ranks.items()}
    with atomic_file(path) as temporary:
        table = pl.DataFrame(columns)
        about = {"targets": targets.pop()}
        table.write_parquet(temporary, compression="zstd", compression_level=19, statistics=False, metadata=about)


def load_ranks(path: Path, settings: EvaluationSettings) -> dict[str, Evaluation]:
    """Evaluations that :func:`save_ranks` wrote, by suffix; buckets are left out.

    Args:
        path: the file.
        settings: that the ranks were made with; the request time of a suffix replaces theirs.

    Raises:
        DataError: the file is missing or is none of ranks.
    """
    table, about = read_parquet(path, "evaluate the run again"), pl.read_parquet_metadata(path)
    if "user_step" not in table.columns or table.width < 2:
        raise DataError(f"{path} is no file of ranks: it has the columns {', '.join(table.columns)}; restore it.")
    user = np.cumsum(table["user_step"].to_numpy())
    ranks: dict[str, dict[str, np.ndarray]] = {}
    for name in table.columns[1:]:
        protocol, at, request = name.partition("@")
        ranks.setdefault(at + request, {})[protocol] = table[name].to_numpy() / 2
    targets = about.get("targets", "")  # files were once written without
    return {
        suffix: Evaluation(
            held, user, {}, replace(settings, request=cast(RequestTime, suffix[1:])) if suffix else settings, targets
        )
        for suffix, held in ranks.items()
    }


def _smallest(doubled: np.ndarray) -> np.ndarray:
    return doubled.astype(np.min_scalar_type(int(doubled.max())))
