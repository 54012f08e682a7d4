"""Search settings with an equal budget for every model, on validation alone, and keep every trial.

    python benchmarks/search.py benchmarks/search/office.toml --data ../shared/data/office --only office-sasrec

A model's first trial has the settings of its file; the others are chosen by TPE (Bergstra et al., 2011) as Optuna has
it. A trial that its minutes cut short counts with its best validation so far. The same command goes on where it was
killed; what was searched already, in the same space from the same settings, is passed over.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.plan import select
from benchmarks.processes import NotDone, Processes, ended, terminate_as_interrupt, work_off
from benchmarks.records import Fingerprints
from benchmarks.space import Search, Searched, distributions, read_search
from benchmarks.write_back import assignments, write_back
from lrdgraph.config import config_hash, to_dict
from lrdgraph.errors import ConfigError, DataError, LrdgraphError, MissingExtraError
from lrdgraph.experiment.provenance import provenance
from lrdgraph.storage import read_json, write_json

RANDOM = 4


def search_row(
    search: Search, row: Searched, data: str | None, run: Processes, fingerprint: Fingerprints, force: bool = False
) -> str:
    """Search one row and keep what was found; gives a sentence.

    Args:
        search, row, data, run, fingerprint: what is searched, where, and how.
        force: whether a search of something else is replaced.

    Raises:
        ConfigError: its file or space is wrong.
        NotDone: a run was stopped, or failed for another reason than its settings; or there is another search.
        DataError: no trial came to a validation.
    """
    settings, space = search.experiment(row, data), search.space_of(row)
    choices, present = distributions(space, settings, row.name)
    fixed = to_dict(settings) | {"data": to_dict(settings.data) | {"source": None}}
    for name in space:
        # what is searched may be written into the file later: the search is still the same
        del fixed[name.partition(".")[0]][name.partition(".")[2]]
    about = {"space": space, "settings": fixed, "fingerprint": fingerprint(settings), "trials": search.trials}
    digest, path = config_hash(about), search.results / f"{row.name}.json"
    if path.exists() and read_json(path).get("search") == digest:
        return "searched already"
    if path.exists() and not force:
        raise NotDone(f"{path} holds a search of other data, settings or space; use --force to replace it")
    trials = _trials(search, row, data, run, run.runs / f"{row.name}-{digest[:12]}", choices, present)
    best = max((t for t in trials if "failed" not in t), key=lambda t: t["validation"], default=None)
    if best is None:
        raise DataError(f"No trial of {row.name} came to a validation; the first says: {trials[0]['failed']}")
    result = {
        "name": row.name,
        "search": digest,
        "metric": settings.training.metric,
        "budget": {"trials": search.trials, "minutes": search.minutes, "seed": search.seed},
        "sampler": f"TPE of optuna {version('optuna')}, of which {RANDOM} trials, the first included, are no guide",
        "space": space,
        "chosen": best["values"],
        "trials": trials,
        "settings": fixed,
        "corpus": about["fingerprint"],
    }
    write_json(path, result | provenance())
    first, chosen = trials[0].get("validation", float("nan")), ", ".join(assignments(best["values"]))
    return f"{settings.training.metric} {first:.4f} → {best['validation']:.4f} with {chosen}"


def _trials(
    search: Search,
    row: Searched,
    data: str | None,
    run: Processes,
    folder: Path,
    choices: dict[str, Any],
    present: dict[str, Any],
) -> list[dict[str, Any]]:
    """All trials of a row, those that an earlier process left included, by number."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}", study_name=row.name, direction="maximize", load_if_exists=True
    )
    if not study.trials:
        study.enqueue_trial(present)
    for number in range(search.trials):
        # a sampler for each trial, so that a search that goes on is the search that was never stopped
        study.sampler = optuna.samplers.TPESampler(seed=search.seed + number, n_startup_trials=RANDOM)
        if len(study.trials) <= number or study.trials[number].state == TrialState.WAITING:
            study.ask(choices)
        trial = study.trials[number]
        if trial.state != TrialState.RUNNING:
            continue
        values = {name: _short(value) for name, value in trial.params.items()}
        try:
            if values.keys() != choices.keys():
                raise NotDone("it was killed while its values were drawn", 2)
            found = _trial(search, row, data, run, folder / f"trial-{number}", values)
        except NotDone as error:
            if error.status != 2:
                raise
            found = {"failed": str(error)}
        study.set_user_attr(f"trial-{number}", {"values": values} | found)
        if "failed" in found:
            study.tell(number, state=TrialState.FAIL)
        else:
            study.tell(number, found["validation"])
        shutil.rmtree(folder / f"trial-{number}", ignore_errors=True)
    return [study.user_attrs[f"trial-{number}"] for number in range(search.trials)]


def _trial(
    search: Search, row: Searched, data: str | None, run: Processes, folder: Path, values: dict[str, Any]
) -> dict[str, Any]:
    words = ["train", str(search.file(row)), "--out", str(folder), "--seed", str(search.seed)]
    words += ["--data", data] if data else []
    for change in (*search.changes(row), *assignments(values)):
        words += ["--set", change]
    run(str(folder.relative_to(run.runs)), words)
    result = read_json(folder / "result.json")
    seconds = result["seconds"]["training"] + result["seconds"]["validation"]
    kept = {key: result[key] for key in ("epochs", "best_epoch", "parameters")}
    metric = result["settings"]["training"]["metric"]
    return {"validation": result["metrics"]["validation"][metric]} | kept | {"seconds": round(seconds, 1)}


def _short(value: Any) -> Any:
    """Three digits of a number are all that a search can mean."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Search the rows of the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("search", type=Path)
    parser.add_argument("--data", help="replaces data.source of every row")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these rows alone")
    parser.add_argument("--runs", type=Path, default=Path("runs/search"), help="folder of the trials")
    parser.add_argument("--jobs", type=int, default=1, help="how many rows at once")
    parser.add_argument("--force", action="store_true", help="replace searches of other data, settings or space")
    parser.add_argument("--write", action="store_true", help="put what was chosen into the experiment files")
    chosen = parser.parse_args(arguments)
    terminate_as_interrupt()
    try:
        if find_spec("optuna") is None:
            raise MissingExtraError("A search needs optuna; install it with 'pip install lrdgraph[benchmarks]'.")
        if chosen.jobs < 1:
            raise ConfigError(f"--jobs is {chosen.jobs}; it must be at least 1.")
        search = read_search(chosen.search)
        rows = select(search.row, chosen.only, search.path)
        for row in rows if chosen.write else ():
            if row.base or row.set:
                raise ConfigError(f"{row.name} has no file of its own for --write; put its choice in by hand.")
        run, fingerprint = Processes(chosen.runs), Fingerprints()
        tasks = {
            row.name: partial(search_row, search, row, chosen.data, run, fingerprint, chosen.force) for row in rows
        }
        failed = work_off(tasks, run, chosen.jobs)
        for row in rows if chosen.write else ():
            if row.name not in failed:
                write_back(search.file(row), read_json(search.results / f"{row.name}.json")["chosen"])
                print(f"{search.file(row)} written")
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on.", file=sys.stderr)
        return 130
    return ended(failed)


if __name__ == "__main__":
    sys.exit(main())
