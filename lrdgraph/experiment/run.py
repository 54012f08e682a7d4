"""Run an experiment into a folder, and read such a folder again.

A run's folder holds ``experiment.json`` (all settings), ``inputs/`` (vocabulary, item fields, language vectors, graph:
all that recommending needs), ``best/`` and ``last/`` (weights), ``log.jsonl``, ``result.json`` and the ranks of every
target that was evaluated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import polars as pl
import torch

from lrdgraph import distributed
from lrdgraph.batch import RequestTime
from lrdgraph.config import config_hash, to_dict
from lrdgraph.corpus import Corpus
from lrdgraph.distributed import device_of
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.saved_ranks import save_ranks
from lrdgraph.experiment.inputs import build_inputs, keep_to_text, load_corpus, load_inputs, save_inputs
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.experiment.settings import ExperimentSettings, experiment_settings, other_settings, trains_longer
from lrdgraph.models.base import Recommender
from lrdgraph.models.registry import build_model
from lrdgraph.naming.file import FILE, named
from lrdgraph.splits import Split, split, targets_hash
from lrdgraph.storage import atomic_file, claimed, read_json, settle_folder, write_json
from lrdgraph.training.checkpoint import load_weights
from lrdgraph.training.state import TrainingState
from lrdgraph.training.trainer import chosen_by, train, validate


@dataclass(frozen=True, eq=False)
class Run:
    """A trained model and what it was trained from.

    Attributes:
        folder: where it lies.
        settings: what made it.
        model: with its best weights, in evaluation mode.
        fields: ``N`` rows of item text columns.
        fingerprint: of the corpus.
        state: how training went; None for a model without training.
    """

    folder: Path
    settings: ExperimentSettings
    model: Recommender
    fields: pl.DataFrame
    fingerprint: str
    state: TrainingState | None = None

    @property
    def titles(self) -> list[str]:
        """A readable name for each item, ``N`` of them: its title, else its first text field, else its id."""
        ids = self.model.inputs.items.series
        if not self.fields.width:
            return ids.to_list()
        column = self.fields["title" if "title" in self.fields.columns else self.fields.columns[0]]
        return pl.select(pl.when(column.fill_null("") == "").then(ids).otherwise(column)).to_series().to_list()

    def __repr__(self) -> str:
        return f"Run({self.settings.name!r} in {self.folder}: {self.model!r})"


def run_experiment(
    settings: ExperimentSettings,
    folder: Path | str,
    *,
    corpus: Corpus | None = None,
    cache: Path | None = None,
    encoding: Callable[[int, int], None] | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    step_done: Callable[[int, int], None] | None = None,
) -> Run:
    """Train (or go on training) what the settings describe, and write the result.

    Within :func:`lrdgraph.distributed.processes` every process calls it, with a folder that all of them see; the first
    one writes.

    Args:
        settings: of the experiment.
        folder: the run's folder; a run of the same settings found there is resumed, of other settings is refused. More
            epochs than it had are trained on, where the rate is constant.
        corpus: spares loading ``data.source``.
        cache: for language vectors; :func:`lrdgraph.experiment.inputs.cache_folder` where None.
        encoding, report, step_done: told of progress in texts, epochs and steps.

    Raises:
        ConfigError: the folder holds a run of other settings or what is no run, another process trains in it, or as
            :func:`build_inputs`.
        DataError: the corpus is not the one that the folder's run began with.
    """
    folder = Path(folder)
    if not isinstance(settings, ExperimentSettings):
        raise ConfigError(
            f"run_experiment needs settings, got {type(settings).__name__}; make them by read_experiment(path) or "
            "experiment_settings(values)."
        )
    if not isinstance(corpus, Corpus | None):
        raise ConfigError(f"corpus must be a Corpus, got {type(corpus).__name__}; load(source) gives one.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder for the run.")
    with claimed(folder) if distributed.is_first() else nullcontext():
        return _run(settings, folder, corpus, cache, encoding, report, step_done)


def _run(
    settings: ExperimentSettings,
    folder: Path,
    corpus: Corpus | None,
    cache: Path | None,
    encoding: Callable[[int, int], None] | None,
    report: Callable[[dict[str, Any]], None] | None,
    step_done: Callable[[int, int], None] | None,
) -> Run:
    began, origin = time.perf_counter(), provenance()
    corpus = corpus if corpus is not None else load_corpus(settings)
    with distributed.first_before_others():  # a folder that a kill left half swapped is settled by one
        for name in ("best", "last"):
            settle_folder(folder / name)
    begun = _begun(folder)
    recorded = begun and _recorded(folder, settings, corpus)
    parts = split(corpus, settings.data.split, fractions=settings.data.fractions)
    if not len(parts.targets("validation")):
        raise DataError(
            f"The split '{parts.name}' of {corpus.name} leaves nobody an event to validate on; 'leave-one-out' needs "
            "three events of a person, 'temporal' events on both sides of a cut."
        )
    inputs = build_inputs(settings, corpus, parts, cache, encoding)
    if begun:
        with distributed.first_before_others():
            inputs = keep_to_text(inputs, folder / "inputs")
    torch.manual_seed(settings.training.seed)
    model = build_model(settings.model_name, inputs, settings.model_values)
    if model.trainable:
        chosen_by(settings.training.metric, settings.evaluation, parts)
    distributed.barrier()  # all have read the folder
    if distributed.is_first():
        if not recorded:
            about = {"settings": to_dict(settings), "fingerprint": corpus.fingerprint}
            write_json(folder / "experiment.json", about)
        save_inputs(folder / "inputs", inputs, corpus, anew=not begun)
    prepared = time.perf_counter()
    log: list[dict[str, Any]] = []

    def keep(entry: dict[str, Any]) -> None:
        log.append(entry)
        if report is not None:
            report(entry)

    state = train(model, parts, settings.training, settings.evaluation, folder, keep, step_done)
    validation = validate(model, parts, "validation", settings.evaluation)
    result = {
        "name": settings.name,
        "model": settings.model_name,
        "seed": settings.training.seed,
        "metrics": {"validation": validation.metrics},
        "buckets": {"validation": validation.buckets},
        "targets": {},
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint, "split": parts.name},
        "config_hash": config_hash(to_dict(settings)),
        "parameters": model.num_parameters,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "seconds": {
            "prepare": round(prepared - began, 2),
            "training": round(sum(e["seconds"] for e in state.log), 2),
            "validation": round(sum(e.get("evaluation_seconds", 0.0) for e in state.log), 2),
            "this_process": round(time.perf_counter() - began, 2),
        },
        "peak_memory_gb": peak_memory(),
        "warnings": model.warnings(),
        "settings": to_dict(settings),
    } | origin
    if distributed.is_first():
        with atomic_file(folder / "log.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in state.log), encoding="utf-8")
        path = folder / "result.json"
        held = _result(path) if not log and path.exists() else {}
        if (held.get("epochs"), held.get("best_epoch")) == (state.epoch, state.best_epoch):
            # nothing was trained, so what evaluate added still holds
            for part in ("metrics", "buckets"):
                result[part] = held[part] | result[part]
            result["targets"] = held.get("targets", {})
            result["peak_memory_gb"] = max(result["peak_memory_gb"], held.get("peak_memory_gb", 0.0))
            if model.trainable:
                # what it rests on is what trained it
                result |= {part: held[part] for part in origin if part in held}
        elif begun:
            for role in ("validation", "test"):
                (folder / f"ranks-{role}.parquet").unlink(missing_ok=True)  # they are those of other weights
        write_json(path, result)
    distributed.barrier()
    return Run(folder, settings, model, corpus.fields, corpus.fingerprint, state)


def load_run(folder: Path | str, device: str = "auto") -> Run:
    """A finished or unfinished run's best model, from its folder alone, with the names of its relations there.

    Raises:
        DataError: files are missing, broken or do not fit together.
        ConfigError: the file of names holds what it may not.
    """
    folder = Path(folder)
    about = _about(folder)
    settings = experiment_settings(about["settings"])
    inputs, fields = load_inputs(folder / "inputs")
    model = build_model(settings.model_name, inputs, settings.model_values)
    if model.trainable:
        load_weights(model, folder / "best")
    model.latent_relations = named(model.latent_relations, folder / FILE)
    model.to(device_of(device)).eval()
    return Run(folder, settings, model, fields, about["fingerprint"])


def evaluate_run(
    folder: Path | str,
    role: str = "test",
    *,
    data: str | None = None,
    corpus: Corpus | None = None,
    ks: Sequence[int] = (),
) -> Evaluation:
    """Evaluate a run on ``"validation"`` or ``"test"`` targets and add the metrics to its ``result.json``.

    Metrics under the request time of the settings stand in ``metrics[role]``; those under the other one in
    ``metrics[role + "@last-event"]`` (or ``"@target"``), so that both are always reported. The ranks behind them are
    kept in ``ranks-ROLE.parquet``, and ``targets[role]`` is a hash of who is to be shown what: runs that are equal in
    it can be paired.

    Args:
        folder: of the run.
        role: which targets.
        data: where the corpus lies now; where it lay in training if None.
        corpus: spares loading it.
        ks: cut-offs of HR and NDCG beside those of the settings.

    Raises:
        ConfigError: a cut-off is no whole number of at least 1.
        DataError: the corpus at the recorded (or given) source is not the one trained on, or the run has no result.
    """
    with distributed.first_before_others():
        run = load_run(folder)
    corpus, parts = corpus_of(run, data, corpus)
    asked = run.settings.evaluation
    asked = replace(asked, ks=tuple(dict.fromkeys((*asked.ks, *ks))))
    result = _result(run.folder / "result.json")
    if run.settings.training.compile:
        with suppress(ConfigError):  # where there is no compiler it takes longer
            run.model.compile_parts(once=True)
    found = {"": validate(run.model, parts, role, asked)}
    for request in set(get_args(RequestTime)) - {asked.request}:
        then = replace(asked, request=request)
        reads = run.model.reads_moment
        found[f"@{request}"] = validate(run.model, parts, role, then) if reads else replace(found[""], settings=then)
    targets = targets_hash(corpus, parts.targets(role))
    found = {suffix: replace(evaluation, targets=targets) for suffix, evaluation in found.items()}
    for suffix, evaluation in found.items():
        result["metrics"][role + suffix] = evaluation.metrics
        result["buckets"][role + suffix] = evaluation.buckets
    result.setdefault("targets", {})[role] = targets
    if distributed.is_first():
        save_ranks(run.folder / f"ranks-{role}.parquet", found)
        write_json(run.folder / "result.json", result)
    distributed.barrier()
    return found[""]


def corpus_of(run: Run, data: str | None = None, corpus: Corpus | None = None) -> tuple[Corpus, Split]:
    """The corpus that a run was trained on, read from its recorded (or given) source where None, and its split.

    Raises:
        DataError: it is another corpus.
    """
    settings = run.settings.data
    corpus = corpus if corpus is not None else load_corpus(run.settings, data)
    if corpus.fingerprint != run.fingerprint:
        raise DataError(
            f"{settings.source if data is None else data} holds corpus {corpus.fingerprint[:12]}, but {run.folder} was "
            f"trained on {run.fingerprint[:12]}; name that data with --data."
        )
    return corpus, split(corpus, settings.split, fractions=settings.fractions)


def _result(path: Path) -> dict[str, Any]:
    result = read_json(path)
    if not isinstance(result, dict) or not {"metrics", "buckets"} <= result.keys():
        raise DataError(f"{path} is not the result of a run; remove it and train again to write it anew.")
    return result


def _about(folder: Path) -> dict[str, Any]:
    about = read_json(folder / "experiment.json")
    if not isinstance(about, dict) or not {"settings", "fingerprint"} <= about.keys():
        raise DataError(f"{folder / 'experiment.json'} is not the record of a run; name a folder that train wrote.")
    return about


OWN = ("inputs", "best", "last", "result.json", "log.jsonl")
"""What a run replaces in its folder."""


def _begun(folder: Path) -> bool:
    """Whether the folder holds more of a run than the record of one that ended before its first epoch did.

    Raises:
        ConfigError: it holds something else under a name that a run replaces.
        DataError: its ``experiment.json`` is no record.
    """
    if not (folder / "experiment.json").exists():
        for name in OWN:
            if (folder / name).exists():
                raise ConfigError(
                    f"{folder} is no run's folder, and training would replace the '{name}' there; name another folder."
                )
        return False
    _about(folder)
    # settings that cannot run leave no more than their record: they can be mended, and the folder used
    return any((folder / name).exists() for name in ("best", "last/state.json", "result.json"))


def _recorded(folder: Path, settings: ExperimentSettings, corpus: Corpus) -> bool:
    """Whether the folder's record is that of this run; False where more epochs are to be trained.

    Raises:
        ConfigError, DataError: it is the record of another run.
    """
    held = _about(folder)
    if held["fingerprint"] != corpus.fingerprint:
        raise DataError(f"{folder} holds a run on another corpus; choose another folder or remove it.")
    # a setting that did not exist yet had its default
    before = experiment_settings(held["settings"])
    for section, key in other_settings(before, settings):
        raise ConfigError(f"{folder} holds a run with another [{section}] {key}; choose another folder or remove it.")
    return not trains_longer(before, settings)
