"""What is timed: the stages of an experiment, each on what the stages before it give. Every function times one.

A stage gives seconds of each repeat, by the wall's clock and by the processor's, how much was done in one, and what
that asks of the machine (:mod:`benchmarks.speed.counting`). What it needs from the stages before is made beforehand.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from benchmarks.speed.counting import Count
from lrdgraph.batch import epoch_order, training_batch, training_instances, training_windows
from lrdgraph.config import to_dict
from lrdgraph.corpus import Corpus
from lrdgraph.experiment.inputs import build_inputs, cache_folder, load_corpus
from lrdgraph.experiment.settings import ExperimentSettings
from lrdgraph.export import export
from lrdgraph.graph.build import build_graph
from lrdgraph.language.cache import encode_items
from lrdgraph.models.base import Recommender
from lrdgraph.models.registry import build_model
from lrdgraph.splits import Split, split
from lrdgraph.training.trainer import train, validate

Found = dict[str, Any]
COUNTED_STEPS = 6
OPERATORS = 14


def train_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Epochs of the trainer after the first, without validation; the steps of one are counted at even distances."""
    corpus, parts = _corpus(settings)
    model = _model(settings, corpus, parts)
    marks: list[tuple[float, float]] = []

    class Enough(Exception):
        """All epochs are made."""

    def step_done(step: int, steps: int) -> None:
        marks.append((time.perf_counter(), time.process_time()))
        if len(marks) == (repeats + 1) * steps:
            raise Enough

    asked = replace(settings.training, epochs=repeats + 2, evaluate_every=repeats + 2, device="cpu")
    began = time.perf_counter()
    with suppress(Enough):
        train(model, parts, asked, settings.evaluation, step_done=step_done)
    steps = len(marks) // (repeats + 1)
    ends = np.array(marks)[steps - 1 :: steps]
    wall, processor = np.diff(ends, axis=0).T.tolist()
    # what a compiler joins is hidden from the count, so that another model is counted, not compiled
    counted, positions = _count_steps(settings, parts, _model(settings, corpus, parts))
    each = [count.total for count in counted]
    found = _timed(wall, processor, {"target positions": positions})
    found |= {"steps": steps, "first_epoch_seconds": round(float(ends[0, 0]) - began, 3)}
    each_step = np.diff(np.array(marks)[steps - 1 :], axis=0)
    found |= dict(zip(("step_seconds", "step_cpu_seconds"), np.median(each_step, axis=0).tolist(), strict=True))
    found["operations"] = mean(work.operations for work in each) * steps
    found["moved"] = mean(work.moved for work in each) * steps
    found["compulsory"] = mean(count.compulsory for count in counted) * steps
    return found | {"operators": _operators(counted, steps)} | _of(corpus, model)


def _count_steps(settings: ExperimentSettings, parts: Split, model: Recommender) -> tuple[list[Count], int]:
    """Some steps of an epoch as the trainer makes them, and the target positions of the whole epoch."""
    sequences, asked = parts.training(), settings.training
    last = model.learns_last
    start, end = (training_instances if last else training_windows)(sequences, model.max_length)
    learnt = np.ones(len(start), dtype=np.int64) if last else end - start
    batches = epoch_order(learnt, asked.batch_size, np.random.default_rng([asked.seed, 1]))
    optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[asked.optimizer](model.parameters())
    found = []
    model.train()
    for place in np.linspace(0, len(batches) - 1, COUNTED_STEPS + 1).astype(int):
        rows = batches[place]
        batch = training_batch(sequences, start[rows], end[rows], model.max_length, last_alone=last)
        with Count() as count:
            optimizer.zero_grad(set_to_none=True)
            model.loss(batch)["total"].backward()
            optimizer.step()
        found.append(count)
    return found[1:], int(learnt.sum())  # the first step makes the optimizer's state


def _operators(counted: list[Count], steps: int) -> dict[str, list[float]]:
    """Calls, operations and bytes of those operators that move most, per epoch."""
    sums: dict[str, np.ndarray] = {}
    for count in counted:
        for name, work in count.by_operator.items():
            sums[name] = sums.get(name, np.zeros(3)) + np.array([work.calls, work.operations, work.moved])
    largest = sorted(sums, key=lambda name: -sums[name][2])
    kept = {name: sums[name] for name in largest[:OPERATORS]}
    kept["others"] = sum((sums[name] for name in largest[OPERATORS:]), np.zeros(3))
    return {name: (values / len(counted) * steps).round().tolist() for name, values in kept.items()}


def evaluate_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Exact ranks of all test targets: seen items left out in full ranking, or the published candidates."""
    corpus, parts = _corpus(settings)
    model = _model(settings, corpus, parts)
    targets = parts.targets("test")
    listed = targets.candidates if settings.evaluation.protocols == "candidates" else None
    items = corpus.num_items if listed is None else listed.shape[1]
    work = {"users × items": len(targets) * items}
    compiled = model.compile_parts if settings.training.compile else None
    found = _repeat(lambda: validate(model, parts, "test", settings.evaluation), repeats, work, compiled)
    return found | _of(corpus, model)


def encode_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Texts of all items to language vectors, from an empty cache, with the reading of the model."""
    corpus = load_corpus(settings)

    def once() -> None:
        with tempfile.TemporaryDirectory() as cache:
            encode_items(corpus, settings.text, cache)

    return _repeat(once, repeats, {"texts": corpus.num_items}) | _of(corpus)


def build_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Triples of a corpus to the graph of predefined relations."""
    corpus = load_corpus(settings)
    asked = to_dict(settings.graph)
    graph = build_graph(corpus, **asked)
    return _repeat(lambda: build_graph(corpus, **asked), repeats, {"edges": graph.num_edges}) | _of(corpus)


def enrich_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Posteriors of all candidate pairs: the graph with its latent edges, off the tape."""
    corpus, model = _flagship(settings)

    def once() -> None:
        with torch.no_grad():
            model.enriched()

    return _repeat(once, repeats, {"candidate pairs": model.pairs.size(1)}) | _of(corpus, model)


def export_stage(settings: ExperimentSettings, repeats: int) -> Found:
    """Every relation of every candidate pair as N-Triples with its posterior, to a file."""
    corpus, model = _flagship(settings)
    with torch.no_grad():
        graph = model.enriched()
    written: list[tuple[int, int]] = []

    def once() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "relations.nt"
            origin = {"model": "flagship", "seed": 0, "corpus": corpus.fingerprint}
            count = export("ntriples", graph, path, provenance=origin, which="all", threshold=0.0, top_k=None)
            written.append((count, path.stat().st_size))

    found = _repeat(once, repeats, {"triples": 0})
    count, size = written[0]
    # numpy and polars write the file without an operator of torch: what must be moved is the file and the weights
    found |= {"amount": {"triples": count}, "moved": size + graph.mixture.nbytes, "file_bytes": size}
    return found | _of(corpus)


STAGES: dict[str, Callable[[ExperimentSettings, int], Found]] = {
    "train": train_stage,
    "evaluate": evaluate_stage,
    "encode": encode_stage,
    "build": build_stage,
    "enrich": enrich_stage,
    "export": export_stage,
}


def _corpus(settings: ExperimentSettings) -> tuple[Corpus, Split]:
    corpus = load_corpus(settings)
    return corpus, split(corpus, settings.data.split, fractions=settings.data.fractions)


def _model(settings: ExperimentSettings, corpus: Corpus, parts: Split) -> Recommender:
    inputs = build_inputs(settings, corpus, parts, cache_folder())
    torch.manual_seed(settings.training.seed)
    return build_model(settings.model_name, inputs, settings.model_values)


def _flagship(settings: ExperimentSettings) -> tuple[Corpus, Any]:
    corpus, parts = _corpus(settings)
    model = _model(settings, corpus, parts)
    model.train()
    model.start_epoch(0)  # posteriors as texts alone have them
    model.eval()
    return corpus, model


def _repeat(
    work: Callable[[], Any], repeats: int, amount: dict[str, int], change: Callable[[], None] | None = None
) -> Found:
    """Count a piece of work once, which warms up, then time it, after a change that leaves the work the same."""
    wall, processor = [], []
    with Count() as count:
        work()
    if change is not None:
        change()
        work()
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    total = count.total
    found = _timed(wall, processor, amount)
    return found | {"operations": total.operations, "moved": total.moved, "compulsory": count.compulsory}


def _timed(wall: list[float], processor: list[float], amount: dict[str, int]) -> Found:
    return {
        "amount": amount,
        "seconds": [round(s, 5) for s in wall],
        "cpu_seconds": [round(s, 5) for s in processor],
        "median_seconds": median(wall),
    }


def _of(corpus: Corpus, model: Recommender | None = None) -> Found:
    found: Found = {"corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint[:12]}}
    return found if model is None else found | {"parameters": model.num_parameters}
