"""From the records of a table to its figures: means over seeds, and tests against the reference row."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plan import Row, Table
from benchmarks.records import difference, evaluations, read_record
from lrdgraph.errors import DataError, LrdgraphError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.significance import Comparison, compare, holm

SAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Line:
    """A row with what was run of it.

    Attributes:
        row: of the table.
        paths, records: of its runs, by rising seed.
        expected: how many runs the table asks for.
        problem: why its records cannot be shown, or why it cannot be run; empty where it can.
    """

    row: Row
    paths: tuple[Path, ...]
    records: tuple[dict[str, Any], ...]
    expected: int
    problem: str = ""

    @property
    def label(self) -> str:
        return self.row.label or self.row.name

    @property
    def targets(self) -> set[str]:
        """Hashes of the test targets of its runs."""
        return {record.get("targets", {}).get("test", "") for record in self.records}

    def values(self, role: str, metric: str) -> list[float]:
        """A metric of each run; empty where one of them lacks it."""
        held = [record["metrics"].get(role, {}) for record in self.records]
        return [metrics[metric] for metrics in held] if all(metric in metrics for metrics in held) else []

    def evaluations(self, role: str) -> list[Evaluation]:
        """Ranks of each run; empty where one of them has none."""
        found = [evaluations(path, held).get(role) for path, held in zip(self.paths, self.records, strict=True)]
        return [one for one in found if one is not None] if None not in found else []


@dataclass(frozen=True)
class Gain:
    """A row against its reference in one metric; ``p`` is of the paired t-test, Holm-corrected over the table."""

    comparison: Comparison
    p: float


class Summary:
    """A table and what was run of it.

    Attributes:
        table: the table.
        lines: its rows with their records, in the order of the file.

    Raises:
        DataError: records of one row differ in corpus, or a file is none of a record.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.lines = [_line(table, row) for row in table.row]
        self._gains: dict[str, dict[tuple[str, str], Gain]] = {}

    def shown(self, role: str) -> list[Line]:
        """The rows that were run, in the order in which the table shows them."""
        lines, metric = [line for line in self.lines if line.records], self.table.sort
        worst = [float("-inf")]
        return sorted(lines, key=lambda line: -statistics.mean(line.values(role, metric) or worst)) if metric else lines

    def reference(self, line: Line) -> Line | None:
        """The row that a row is tested against; None for none."""
        name = line.row.against or self.table.reference
        return next((other for other in self.lines if other.row.name == name and other is not line), None)

    def gains(self, role: str) -> dict[tuple[str, str], Gain]:
        """Every row with ranks against its reference, by row and metric; a user's metric is averaged over seeds.

        Raises:
            DataError: runs were evaluated on other targets than those of the reference.
        """
        if role not in self._gains:
            self._gains[role] = self._compare(role)
        return self._gains[role]

    def _compare(self, role: str) -> dict[tuple[str, str], Gain]:
        ranks = {line.row.name: line.evaluations(role) for line in self.lines}
        found: dict[tuple[str, str], Comparison] = {}
        for line in self.lines:
            other, ours = self.reference(line), ranks[line.row.name]
            theirs = ranks[other.row.name] if other else []
            if not other or not ours or not theirs:
                continue
            if line.targets != other.targets:
                raise DataError(f"{line.row.name} and {other.row.name} rank different targets; run one again.")
            # a row may have been ranked under one protocol alone
            for metric in (m for m in self.table.compare if line.values(role, m) and other.values(role, m)):
                found[line.row.name, metric] = compare(ours, theirs, metric, samples=SAMPLES)
        corrected = holm([comparison.p_t for comparison in found.values()])
        return {key: Gain(held, float(p)) for (key, held), p in zip(found.items(), corrected, strict=True)}


def mean_deviation(values: list[float]) -> tuple[float, float | None]:
    """Mean, and the sample's standard deviation where there are two values or more."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def _line(table: Table, row: Row) -> Line:
    try:
        wanted, expected = table.experiment(row), len(table.seeds_of(row))
    except LrdgraphError as error:
        why = str(error).rstrip(".").replace(f"{table.path.parent.parent}/", "")
        return Line(row, (), (), len(table.seeds), why)
    found = [(path, read_record(path)) for path in table.results.glob(f"{row.name}-seed*.json")]
    found.sort(key=lambda pair: pair[1]["seed"])
    for path, held in found:
        settings = held["settings"]
        settings = settings | {"training": settings["training"] | {"seed": wanted.training.seed}}
        if other := difference(settings, wanted, held["epochs"]):
            return Line(row, (), (), expected, f"{path.name} {other}")
    if len({held["corpus"]["fingerprint"] for _, held in found}) > 1:
        raise DataError(f"The runs of '{row.name}' are of different corpora; run all of them on one.")
    return Line(row, tuple(path for path, _ in found), tuple(held for _, held in found), expected)
