"""Run a table: every row with every seed, each in a process of its own, and keep what came out.

    python benchmarks/run.py benchmarks/tables/office.toml --data ../shared/data/office

Seed 0 of all rows comes first, so that half a table can be read. What is in the results already is passed over; the
same command goes on where it was killed, and may run beside itself: a run that another process is at is left to it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.plan import Row, Table, read_table, select
from benchmarks.processes import NotDone, Processes, ended, terminate_as_interrupt, work_off
from benchmarks.records import Fingerprints, difference, keep, record_path, stale
from lrdgraph.errors import ConfigError, DataError, LrdgraphError
from lrdgraph.experiment import ExperimentSettings
from lrdgraph.storage import read_json


@dataclass(frozen=True)
class Job:
    """One run: a row with a seed.

    Attributes:
        table, row, seed: which.
        settings: all of them.
        data: as given on the command line.
    """

    table: Table
    row: Row
    seed: int
    settings: ExperimentSettings
    data: str | None

    @property
    def name(self) -> str:
        return f"{self.row.name}-seed{self.seed}"

    @property
    def record(self) -> Path:
        return record_path(self.table.results, self.row.name, self.seed)

    def train(self, folder: Path, tensorboard: Path | None) -> list[str]:
        """Words of the command that trains it."""
        words = ["train", str(self.table.file(self.row)), "--out", str(folder), "--seed", str(self.seed)]
        words += ["--data", self.data] if self.data else []
        words += ["--tensorboard", str(tensorboard / self.name)] if tensorboard else []
        return words + [word for change in self.table.changes(self.row) for word in ("--set", change)]


def jobs_of(table: Table, rows: tuple[Row, ...], data: str | None) -> tuple[list[Job], dict[str, str]]:
    """All runs of some rows, seeds outermost; of a model without training, that of the first seed.

    Returns:
        The runs, and why rows have none: row → sentence.
    """
    found: list[tuple[int, Job]] = []
    refused = {}
    for row in rows:
        try:
            for order, seed in enumerate(table.seeds_of(row)):
                found.append((order, Job(table, row, seed, table.experiment(row, data=data, seed=seed), data)))
        except LrdgraphError as error:
            refused[row.name] = str(error).rstrip(".")
    return [job for _, job in sorted(found, key=lambda pair: pair[0])], refused


def attempt(job: Job, run: Processes, fingerprint: str, *, force: bool, tensorboard: Path | None) -> dict[str, Any]:
    """Train and evaluate what is left of a job, and keep its result.

    Raises:
        NotDone: its folder holds another run, or a command failed.
    """
    folder, first = run.runs / job.name, None
    if (folder / "experiment.json").exists():
        about = read_json(folder / "experiment.json")
        other = difference(about["settings"], job.settings)
        other = other or ("is of another corpus" if about["fingerprint"] != fingerprint else "")
        if other and not force:
            raise NotDone(f"{folder} {other}; remove it or use --force")
        first = partial(shutil.rmtree, folder) if other else None
    run(job.name, job.train(folder, tensorboard), evaluation(job, folder), first=first)
    return keep(folder, job.row.name, job.record)


def evaluation(job: Job, folder: Path) -> list[str]:
    """Words of the command that evaluates a job."""
    return ["evaluate", str(folder), "--split", "test"] + (["--data", job.data] if job.data else [])


def sort_out(
    jobs: list[Job], run: Processes, fingerprint: Fingerprints, force: bool
) -> tuple[list[Job], dict[str, str]]:
    """Which jobs are left to run, and why some can be neither run nor passed over.

    With ``force`` a result that does not stand for its job is removed, its run first: whenever this is cut short, the
    same call goes on.
    """
    todo, refused = [], {}
    for job in jobs:
        if job.record.exists():
            try:
                corpus = fingerprint(job.settings)
            except LrdgraphError as error:
                refused[job.name] = str(error).rstrip(".")
                continue
            try:
                why = stale(job.record, job.settings, corpus)
            except DataError as error:
                why = f"cannot be used ({str(error).rstrip('.')})"
            if why and not force:
                refused[job.name] = f"{job.record} {why}; use --force to run it again"
            if not why or not force:
                continue
            try:
                with run.alone(job.name):
                    shutil.rmtree(run.runs / job.name, ignore_errors=True)
                    job.record.unlink()
            except NotDone as error:
                refused[job.name] = str(error)
                continue
        todo.append(job)
    return todo, refused


def run_jobs(
    jobs: list[Job],
    runs: Path,
    *,
    force: bool = False,
    parallel: int = 1,
    hours: float | None = None,
    tensorboard: Path | None = None,
) -> dict[str, str]:
    """Run all jobs that have no result yet.

    Args:
        jobs: in the order in which they are begun.
        runs: folder of their runs.
        force: replace results, and runs, that do not stand for their job.
        parallel: how many run at once.
        hours: after which no run is begun.
        tensorboard: folder of logs for TensorBoard, one below it for each run.

    Returns:
        Why jobs have no result, by name; one that time did not suffice for is none of them.
    """
    began, fingerprint, processes = time.monotonic(), Fingerprints(), Processes(runs)
    todo, failed = sort_out(jobs, processes, fingerprint, force)
    left: list[Job] = []
    print(f"{len(jobs)} runs: {len(jobs) - len(todo) - len(failed)} done, {len(todo)} to do.", flush=True)

    def work(job: Job) -> str | None:
        if hours is not None and time.monotonic() - began >= hours * 3600:
            left.append(job)
            return None
        if job.record.exists():
            return "done by another process"
        start = time.monotonic()
        result = attempt(job, processes, fingerprint(job.settings), force=force, tensorboard=tensorboard)
        metric = result["curve"]["metric"]
        shown = [(role, held[metric]) for role, held in result["metrics"].items() if metric in held]
        values = ", ".join(f"{role} {value:.4f}" for role, value in shown)
        return f"{metric} {values}; {time.monotonic() - start:.0f} s, {result['peak_memory_gb']:.1f} GB"

    failed |= work_off({job.name: partial(work, job) for job in todo}, processes, parallel)
    if left:
        print(f"{len(left)} runs were not begun in {hours} hours; the same command goes on with them.")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the table named on the command line; 0 if every run asked for has its result or time ended first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("--data", help="replaces data.source of every row")
    parser.add_argument("--seeds", type=int, nargs="+", help="replaces those of the table")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these rows alone")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at once")
    parser.add_argument("--hours", type=float, help="begin no run after so many")
    parser.add_argument("--force", action="store_true", help="replace results of other settings, data or code")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="log epochs for TensorBoard")
    chosen = parser.parse_args(arguments)
    terminate_as_interrupt()
    try:
        if chosen.jobs < 1:
            raise ConfigError(f"--jobs is {chosen.jobs}; it must be at least 1.")
        table = read_table(chosen.table)
        table = replace(table, seeds=tuple(chosen.seeds)) if chosen.seeds else table
        jobs, failed = jobs_of(table, select(table.row, chosen.only, table.path), chosen.data)
        more = {"parallel": chosen.jobs, "hours": chosen.hours, "tensorboard": chosen.tensorboard}
        failed |= run_jobs(jobs, chosen.runs, force=chosen.force, **more)
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on.", file=sys.stderr)
        return 130
    return ended(failed)


if __name__ == "__main__":
    sys.exit(main())
