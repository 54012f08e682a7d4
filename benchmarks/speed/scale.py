"""Time and memory of every stage from tables to triples, on made-up shops of 10⁴ to 10⁶ items.

    python -m benchmarks.speed.scale --work runs/scale --out benchmarks/results/scale.json

Ten interactions for each item. Every stage of every size has a process of its own, which reads what earlier stages have
left in ``--work``. A stage that has a figure in ``--out`` is passed over, so that the command can be stopped and given
again; ``--items`` and ``--stages`` choose some. The time of a stage is that of its work, without reading what it works
on; memory is the largest of the process, less what the libraries take before any data are read. Exponents are slopes of
least squares in logarithms; ``last`` is the slope between the two largest sizes, where what does not grow counts least.

Stages: ``synthesize`` writes the tables; ``corpus`` reads and saves them; ``words`` makes language vectors of them by
TF-IDF and its main directions, which the later stages read; ``minilm`` encodes 512 of the titles with the default
language model, whose time for all of them is in proportion and is told as an extrapolation; ``pairs`` finds nearest
texts; ``enrich`` weighs these pairs by the posterior of a DVAE; ``train`` is one epoch of the flagship, without what is
built before it; ``evaluate`` ranks 10,000 users' targets among all items; ``export`` writes triples.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders import load
from lrdgraph.config import override
from lrdgraph.corpus import TEST, VALIDATION, Corpus
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.evaluation.evaluator import evaluate
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.export import export
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.candidates import nearest_text_pairs, union
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.relations import Relation
from lrdgraph.language import TextSettings, encode_items
from lrdgraph.language.text import item_texts
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model
from lrdgraph.splits import Split, Targets, split
from lrdgraph.storage import read_json, write_json
from lrdgraph.synthetic import SyntheticSettings, synthesize
from lrdgraph.training.checkpoint import load_tensors, load_weights, save_checkpoint, save_tensors
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
MODEL: dict[str, Any] = {"text_neighbours": 10, "num_latent": 5, "hidden_channels": 64, "max_length": 20}
"""Settings of the flagship; ``--set loss=...`` adds to them or replaces them."""
TRAINING = TrainingSettings(epochs=1, batch_size=256, metric="full/NDCG@10")
TEXT = TextSettings(model="tfidf-svd", width=128, batch_size=8192, storage="float16")
SAMPLE, VALIDATED, ASKED = 512, 100, 10_000
"""Titles that MiniLM encodes; users that the epoch is validated on, which is not timed; targets that are ranked."""
BAR = 1.15

Work = Callable[[], dict[str, Any]]


class Place:
    """The folder of one size: what its stages leave for each other."""

    def __init__(self, work: Path, items: int, changes: dict[str, Any]) -> None:
        self.folder, self.items, self.model_settings = work / str(items), items, MODEL | changes

    @property
    def near(self) -> int:
        return int(self.model_settings["text_neighbours"])

    def corpus(self) -> Corpus:
        return Corpus.load(self.folder / "corpus")

    def vectors(self, corpus: Corpus) -> np.ndarray:
        return encode_items(corpus, TEXT, self.folder / "vectors")

    def text(self, corpus: Corpus) -> Tensor:
        vectors = self.vectors(corpus)
        table = torch.zeros(len(vectors) + 1, vectors.shape[1])
        table.numpy()[1:] = vectors
        return table

    def inputs(self) -> tuple[ModelInputs, Split]:
        corpus = self.corpus()
        parts = split(corpus)
        graph = build_graph(corpus, min_attribute_items=2)
        return model_inputs(corpus, parts.training(), self.vectors(corpus), graph), parts

    def model(self, inputs: ModelInputs) -> Recommender:
        torch.manual_seed(0)
        return build_model("lrdgraph", inputs, self.model_settings)


def write_tables(place: Place) -> Work:
    """Made-up tables."""
    settings = SyntheticSettings(items=place.items)
    return lambda: {"users": synthesize(place.folder / "tables", settings)["users"]}


def build_corpus(place: Place) -> Work:
    """Tables to a saved corpus."""

    def work() -> dict[str, Any]:
        corpus = load(place.folder / "tables")
        corpus.save(place.folder / "corpus")
        return {"interactions": len(corpus), "triples": len(corpus.triples)}

    return work


def encode_words(place: Place) -> Work:
    """Language vectors without a language model."""
    corpus = place.corpus()
    return lambda: {"vectors": list(place.vectors(corpus).shape)}


def encode_sample(place: Place) -> Work:
    """A sample of the titles through MiniLM."""
    from lrdgraph.language import TextEncoder

    texts = item_texts(place.corpus()).sample(SAMPLE, seed=0).to_list()
    encoder = TextEncoder(TextSettings())
    encoder.encode(texts[:32])

    def work() -> dict[str, Any]:
        encoder.encode(texts)
        return {"encoded": len(texts)}

    return work


def find_pairs(place: Place) -> Work:
    """Nearest texts, in both orders."""
    text = place.text(place.corpus())

    def work() -> dict[str, Any]:
        pairs = union(nearest_text_pairs(text, place.near))
        save_tensors({"pairs": pairs}, place.folder / "pairs.safetensors")
        return {"pairs": pairs.size(1)}

    return work


def weigh_pairs(place: Place) -> Work:
    """Posteriors of a DVAE at its random start, on all pairs."""
    corpus = place.corpus()
    graph, pairs = build_graph(corpus), load_tensors(place.folder / "pairs.safetensors")["pairs"]
    torch.manual_seed(0)
    dvae = RelationDVAE(place.text(corpus), place.model_settings["num_latent"], 32, own_tables=False)

    def posterior(i: Tensor, j: Tensor) -> Tensor:
        return dvae.posterior_of_many(i, j)[:, 1:]

    def work() -> dict[str, Any]:
        mixture = enrich(graph, pairs, posterior).mixture
        save_tensors({"mixture": mixture}, place.folder / "mixture.safetensors")
        return {"pairs": len(mixture)}

    return work


def train_epoch(place: Place) -> Work:
    """One epoch; few users keep a validation event, the others' are never read."""
    inputs, parts = place.inputs()
    role = parts.role.copy()
    late = np.flatnonzero(role == VALIDATION)[VALIDATED:]
    role[late] = TEST
    began = time.perf_counter()
    model = place.model(inputs)
    prepared = round(time.perf_counter() - began, 2)

    def work() -> dict[str, Any]:
        began, used = time.perf_counter(), time.process_time()
        state = train(model, replace(parts, role=role), TRAINING)
        entry = state.log[0]
        other = time.perf_counter() - began - entry["seconds"]
        share = entry["seconds"] / (entry["seconds"] + other)
        save_checkpoint(place.folder / "model", model.state_dict(), {})
        told = {"seconds": entry["seconds"], "cpu_seconds": round((time.process_time() - used) * share, 3)}
        return told | {"prepare_seconds": prepared, "loss": entry["loss"], "parameters": model.num_parameters}

    return work


def rank_targets(place: Place) -> Work:
    """Test targets of some users, spread over all, ranked among all items."""
    inputs, parts = place.inputs()
    model = place.model(inputs)
    load_weights(model, place.folder / "model")
    model.eval()
    every = parts.targets("test")
    chosen = np.unique(np.linspace(0, len(every) - 1, min(ASKED, len(every))).astype(np.int64))
    columns = ("user", "item", "time", "start", "end", "tied")
    targets = Targets(*(getattr(every, name)[chosen] for name in columns), None, every.events)

    def work() -> dict[str, Any]:
        found = evaluate(
            model.score, targets, EvaluationSettings(), max_length=model.max_length, num_items=inputs.num_items
        )
        return {"targets": len(targets), "NDCG@10": found.metrics["full/NDCG@10"]}

    return work


def write_triples(place: Place) -> Work:
    """The three clearest tails of each head and relation."""
    graph = build_graph(place.corpus())
    pairs = load_tensors(place.folder / "pairs.safetensors")["pairs"]
    mixture = load_tensors(place.folder / "mixture.safetensors")["mixture"]
    latent = tuple(Relation(f"latent_{k}", "latent") for k in range(mixture.size(1)))
    enriched = EnrichedGraph(graph, pairs, mixture, latent)

    def work() -> dict[str, Any]:
        to = place.folder / "triples.tsv"
        count = export("triples", enriched, to, provenance={"model": "random"}, threshold=0.0, top_k=3)
        return {"triples": count}

    return work


STAGES: dict[str, Callable[[Place], Work]] = {
    "synthesize": write_tables,
    "corpus": build_corpus,
    "words": encode_words,
    "minilm": encode_sample,
    "pairs": find_pairs,
    "enrich": weigh_pairs,
    "train": train_epoch,
    "evaluate": rank_targets,
    "export": write_triples,
}


def measured(stage: str, place: Place) -> dict[str, Any]:
    """One stage in this process."""
    libraries = _resident()
    work = STAGES[stage](place)
    began, used = time.perf_counter(), time.process_time()
    facts = work()
    told = {"seconds": round(time.perf_counter() - began, 3), "cpu_seconds": round(time.process_time() - used, 3)}
    memory = {"peak_memory_gb": peak_memory(), "libraries_gb": round(libraries, 3)}
    return told | {"memory_gb": round(peak_memory() - libraries, 3)} | memory | facts


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


def fitted(records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Exponents of each stage, and whether all keep to the bar; ``records`` is stage → size → figures."""
    found: dict[str, Any] = {}
    for stage, by_size in records.items():
        done = sorted((int(size), row) for size, row in by_size.items() if "seconds" in row)
        if stage == "minilm":
            rates = [row["seconds"] / row["encoded"] for _, row in done]
            found[stage] = {"seconds_per_text": round(float(np.median(rates)), 5)} if rates else {}
            continue
        if len(done) < 2:
            continue
        sizes = np.log([size for size, _ in done])
        found[stage] = {"sizes": [size for size, _ in done]}
        for name in ("seconds", "cpu_seconds", "memory_gb"):
            values = np.log([max(row[name], 1e-3) for _, row in done])
            slope, last = np.polyfit(sizes, values, 1)[0], (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
            found[stage][name] = {"exponent": round(float(slope), 3), "last": round(float(last), 3)}
    return found


def over_the_bar(exponents: dict[str, Any], bar: float = BAR) -> list[str]:
    """Which exponents of CPU time and memory are larger than they may be."""
    names = ("cpu_seconds", "memory_gb")
    rows = [(stage, name, of.get(name, {}).get("exponent", 0)) for stage, of in exponents.items() for name in names]
    return [f"{stage} {name} {value}" for stage, name, value in rows if value > bar]


def in_a_process(stage: str, size: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """What :func:`measured` finds in a fresh process, or why there is nothing to find."""
    command = [sys.executable, "-m", "benchmarks.speed.scale", "--in-this-process", stage, "--items", str(size)]
    command += ["--work", str(chosen.work), *(word for change in chosen.set for word in ("--set", change))]
    threads = os.environ | {"OMP_NUM_THREADS": str(chosen.threads), "POLARS_MAX_THREADS": str(chosen.threads)}
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=chosen.timeout, env=threads)
    except subprocess.TimeoutExpired:
        return {"left_out": f"took more than {chosen.timeout} s"}
    if done.returncode:
        return {"left_out": f"ended with status {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> None:
    """Measure what has no figure yet, and write all figures with their exponents after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data, a few GB at 10⁶ items")
    parser.add_argument("--out", type=Path, help="the JSON file of the figures")
    parser.add_argument("--items", type=int, nargs="+", default=SIZES)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the flagship")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=3600, help="seconds of one stage")
    parser.add_argument("--in-this-process", choices=STAGES, metavar="STAGE", help="measure it here and print it")
    chosen = parser.parse_args(arguments)
    changes = override({}, [f"model.{change}" for change in chosen.set]).get("model", {})
    if chosen.in_this_process:
        print(json.dumps(measured(chosen.in_this_process, Place(chosen.work, chosen.items[0], changes))))
        return
    held = read_json(chosen.out) if chosen.out and chosen.out.exists() else {}
    records: dict[str, dict[str, Any]] = held.get("records", {})
    for size in chosen.items:
        for stage in chosen.stages:
            by_size = records.setdefault(stage, {})
            if "seconds" in by_size.get(str(size), {}):
                continue
            by_size[str(size)] = in_a_process(stage, size, chosen)
            if "seconds" in by_size[str(size)]:
                by_size[str(size)] |= {"model": MODEL | changes} if stage in ("train", "evaluate") else {}
            print(size, stage, by_size[str(size)], flush=True)
            exponents = fitted(records)
            result = {"records": records, "exponents": exponents, "bar": BAR, "over": over_the_bar(exponents)}
            if chosen.out:
                write_json(chosen.out, result | provenance())


if __name__ == "__main__":
    main()
