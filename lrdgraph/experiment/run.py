"""Run an experiment into a folder, and read such a folder again.

A run's folder holds ``experiment.json`` (all settings), ``inputs/`` (vocabulary, item fields, language vectors, graph:
all that recommending needs), ``best/`` and ``last/`` (weights), ``log.jsonl``, ``result.json`` and the ranks of every
target that was evaluated.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import torch

from data_loaders import load
from lrdgraph import distributed
from lrdgraph.batch import RequestTime
from lrdgraph.config import config_hash, to_dict
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.saved_ranks import save_ranks
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.experiment.settings import ExperimentSettings, experiment_settings
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.language.vectors import item_vectors
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model, model_class
from lrdgraph.naming.file import FILE, named
from lrdgraph.splits import Split, split, targets_hash
from lrdgraph.storage import atomic_file, atomic_folder, read_json, settle_folder, write_json
from lrdgraph.training.checkpoint import load_tensors, load_weights, save_tensors
from lrdgraph.training.state import TrainingState
from lrdgraph.training.trainer import device_of, train, validate
from lrdgraph.vocabulary import Vocabulary


def cache_folder() -> Path:
    """Where downloads and language vectors are kept: ``$LRDGRAPH_CACHE``, else ``~/.cache/lrdgraph``."""
    return Path(os.environ.get("LRDGRAPH_CACHE") or "~/.cache/lrdgraph").expanduser()


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


def load_corpus(settings: ExperimentSettings) -> Corpus:
    """The corpus that the settings name.

    Raises:
        ConfigError: no source is named. DataError: as the loader.
    """
    if settings.data.source is None:
        raise ConfigError("[data] source is not set; name the data in the file or with --data.")
    return load(settings.data.source, settings.data.format, **settings.data.options)


def build_inputs(
    settings: ExperimentSettings,
    corpus: Corpus,
    parts: Split,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ModelInputs:
    """Graph and language vectors for a model; texts are encoded only if the model reads them."""
    model, values = model_class(settings.model_name), settings.model_values
    reads_text = model.reads_text or values.get("text", False) or values.get("num_latent", 0)
    wanted = bool(reads_text) or settings.text.vectors is not None
    has_text = bool(corpus.fields.width) or settings.text.vectors is not None
    vectors = item_vectors(corpus, settings.text, cache or cache_folder(), progress) if wanted and has_text else None
    graph = build_graph(
        corpus,
        relations=settings.graph.relations,
        exclude=settings.graph.exclude,
        inverses=settings.graph.inverses,
        min_attribute_items=settings.graph.min_attribute_items,
        share=settings.graph.share,
    )
    inputs = model_inputs(corpus, parts.training(), vectors, graph)
    if settings.data.negatives_avoid == "all":
        every = torch.from_numpy(np.stack([parts.events.user, parts.events.item]))
        inputs = replace(inputs, avoided=every)
    return inputs


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
        folder: the run's folder; a run of the same settings found there is resumed, of other settings is refused.
        corpus: spares loading ``data.source``.
        cache: for language vectors; :func:`cache_folder` where None.
        encoding, report, step_done: told of progress in texts, epochs and steps.

    Raises:
        ConfigError: the folder holds a run of other settings, or as :func:`build_inputs`.
        DataError: the corpus is not the one that the folder's run began with.
    """
    folder = Path(folder)
    began, origin = time.perf_counter(), provenance()
    corpus = corpus if corpus is not None else load_corpus(settings)
    with distributed.first_before_others():
        _same_run(folder, settings, corpus)
    parts = split(corpus, settings.data.split, fractions=settings.data.fractions)
    inputs = build_inputs(settings, corpus, parts, cache, encoding)
    if distributed.is_first():
        _save_inputs(folder / "inputs", inputs, corpus)
    torch.manual_seed(settings.training.seed)
    model = build_model(settings.model_name, inputs, settings.model_values)
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
        if not log and path.exists():
            # nothing was trained, so what evaluate added still holds
            held = _result(path)
            for part in ("metrics", "buckets"):
                result[part] = held[part] | result[part]
            result["targets"] = held.get("targets", {})
            result["peak_memory_gb"] = max(result["peak_memory_gb"], held.get("peak_memory_gb", 0.0))
            if model.trainable:
                # what it rests on is what trained it
                result |= {part: held[part] for part in origin if part in held}
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
    inputs, fields = _load_inputs(folder / "inputs")
    model = build_model(settings.model_name, inputs, settings.model_values)
    if model.trainable:
        load_weights(model, folder / "best")
    model.latent_relations = named(model.latent_relations, folder / FILE)
    model.to(device_of(device)).eval()
    return Run(folder, settings, model, fields, about["fingerprint"])


def evaluate_run(
    folder: Path | str, role: str = "test", *, data: str | None = None, corpus: Corpus | None = None
) -> Evaluation:
    """Evaluate a run on ``"validation"`` or ``"test"`` targets and add the metrics to its ``result.json``.

    Metrics under the request time of the settings stand in ``metrics[role]``; those under the other one in
    ``metrics[role + "@last-event"]`` (or ``"@target"``), so that both are always reported. The ranks behind them are
    kept in ``ranks-ROLE.parquet``, and ``targets[role]`` is a hash of who is to be shown what: runs that are equal in
    it can be paired.

    Raises:
        DataError: the corpus at the recorded (or given) source is not the one trained on, or the run has no result.
    """
    with distributed.first_before_others():
        run = load_run(folder)
    corpus, parts = corpus_of(run, data, corpus)
    asked = run.settings.evaluation
    result = _result(run.folder / "result.json")
    found = {}
    for request in get_args(RequestTime):
        suffix = "" if request == asked.request else f"@{request}"
        found[suffix] = validate(run.model, parts, role, replace(asked, request=request))
        result["metrics"][role + suffix] = found[suffix].metrics
        result["buckets"][role + suffix] = found[suffix].buckets
    result.setdefault("targets", {})[role] = targets_hash(corpus, parts.targets(role))
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
    settings = run.settings.data if data is None else replace(run.settings.data, source=data)
    corpus = corpus if corpus is not None else load_corpus(replace(run.settings, data=settings))
    if corpus.fingerprint != run.fingerprint:
        raise DataError(
            f"{settings.source} holds corpus {corpus.fingerprint[:12]}, but {run.folder} was trained on "
            f"{run.fingerprint[:12]}; name that data with --data."
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


def _same_run(folder: Path, settings: ExperimentSettings, corpus: Corpus) -> None:
    path = folder / "experiment.json"
    mine: dict[str, Any] = {"settings": to_dict(settings), "fingerprint": corpus.fingerprint}
    if not path.exists():
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder} is a file; name a folder for the run.")
        write_json(path, mine)
        return
    held = _about(folder)
    # a setting that did not exist yet had its default
    held["settings"] = to_dict(experiment_settings(held["settings"]))
    if held["fingerprint"] != mine["fingerprint"]:
        raise DataError(f"{folder} holds a run on another corpus; choose another folder or remove it.")
    for section, values in mine["settings"].items():
        was = held["settings"].get(section)
        if was != values:
            changed = [k for k in values if was.get(k) != values[k]] if isinstance(values, dict) else [section]
            if set(changed) - {"source"}:
                raise ConfigError(
                    f"{folder} holds a run with another [{section}] {changed[0]}; choose another folder or remove it."
                )


def _save_inputs(folder: Path, inputs: ModelInputs, corpus: Corpus) -> None:
    settle_folder(folder)
    if (folder / "items.parquet").exists():
        return
    with atomic_folder(folder) as out:
        tensors = {"popularity": inputs.popularity, "events": inputs.events}
        tensors |= {"num_users": torch.tensor(inputs.num_users)} | (
            {} if inputs.text is None else {"text": inputs.text}
        )
        save_tensors(tensors, out / "inputs.safetensors")
        table = pl.concat([corpus.items.series.to_frame(), corpus.fields.rename(_field)], how="horizontal")
        table.write_parquet(out / "items.parquet")
        if inputs.graph is not None:
            inputs.graph.save(out / "graph")


def _load_inputs(folder: Path) -> tuple[ModelInputs, pl.DataFrame]:
    settle_folder(folder)
    tensors = load_tensors(folder / "inputs.safetensors")
    if "num_users" not in tensors:
        raise DataError(f"{folder / 'inputs.safetensors'} is of an earlier version; train the run again.")
    try:
        table = pl.read_parquet(folder / "items.parquet")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{folder / 'items.parquet'} cannot be read ({error}); train again or restore it.") from None
    graph = ItemGraph.load(folder / "graph") if (folder / "graph").exists() else None
    items = Vocabulary(table["id"], "item")
    fields = table.drop("id").rename(lambda name: name.removeprefix("field:"))
    users = int(tensors["num_users"])
    return ModelInputs(items, tensors["popularity"], tensors["events"], users, tensors.get("text"), graph), fields


def _field(name: str) -> str:
    return f"field:{name}"
