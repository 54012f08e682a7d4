"""Are the discovered relations real: held-out recovery and stability, by method and seed, into one result file.

    python benchmarks/relations.py --data ../shared/data/office

What has a record in the result file is passed over, so that the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from data_loaders import load
from lrdgraph.config import config_hash, override, settings
from lrdgraph.corpus import Corpus
from lrdgraph.discovery import RelationDVAE, history_pairs
from lrdgraph.errors import ConfigError, LrdgraphError, nearest
from lrdgraph.experiment.inputs import cache_folder
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.graph.build import build_graph
from lrdgraph.language import TextSettings
from lrdgraph.language.vectors import item_vectors
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.quality.discovered import FROM_BOTH, DiscoverySettings, discovery_family, from_both, train_discovery
from lrdgraph.quality.features import (
    Family,
    cooccurrence_features,
    joined,
    popularity_features,
    random_features,
    text_features,
)
from lrdgraph.quality.kge import EmbeddingSettings, embedding_family
from lrdgraph.quality.recovery import recover_pairs, recover_relation
from lrdgraph.quality.stability import held_out_posterior, hold_out, measure_stability
from lrdgraph.splits import split
from lrdgraph.storage import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "relations-office.json"
FORMAT = 1
HIDDEN = ("complement", "substitute")


class Trainer:
    """Discovery on histories, trained once for each seed: it reads no edge, so that it is the same in all tasks."""

    def __init__(self, chosen: DiscoverySettings) -> None:
        self.settings = chosen
        self._kept: dict[int, RelationDVAE] = {}

    def __call__(self, inputs: ModelInputs, pairs: Tensor, seed: int) -> RelationDVAE:
        if seed not in self._kept:
            self._kept[seed] = train_discovery(inputs, pairs, seed, self.settings)
        return self._kept[seed]


def families(discovery: DiscoverySettings, embedding: EmbeddingSettings) -> dict[str, tuple[Family, dict[str, Any]]]:
    """Every family with the settings that decide its figures, by name."""
    histories = discovery_family(Trainer(discovery), discovery.max_gap)
    return {
        "discovery": (beside_cosine(histories), asdict(discovery)),
        "discovery-both": (beside_cosine(from_both), asdict(FROM_BOTH)),
        "text": (text_features, {}),
        "co-occurrence": (beside_cosine(cooccurrence_features), {}),
        "popularity": (popularity_features, {}),
        "random": (random_features, {}),
        "distmult": (beside_cosine(embedding_family("DistMult", embedding)), asdict(embedding)),
        "complex": (beside_cosine(embedding_family("ComplEx", embedding)), asdict(embedding)),
    }


def beside_cosine(family: Family) -> Family:
    """The features of a family, and once more with the cosine of the texts beside them.

    Of an encoder the log-posterior stands for its other readings.
    """

    def both(inputs: ModelInputs, seed: int) -> dict[str, Any]:
        found, cosine = family(inputs, seed), text_features(inputs)["cosine"]
        wanted = [name for name in found if not name.startswith(("posterior", "logits"))]
        return found | {f"{name} + cosine": joined(found[name], cosine) for name in wanted}

    return both


def stability(inputs: ModelInputs, seeds: Sequence[int], discovery: DiscoverySettings) -> dict[str, Any]:
    """Agreement over seeds on held-out pairs, with own and with shuffled texts."""
    pairs = history_pairs(inputs.sequences(), discovery.max_gap)
    train_on, asked = hold_out(pairs, inputs.num_items)
    train = partial(train_discovery, settings=discovery)
    found: dict[str, Any] = {"pairs": asked.size(1)}
    for name, control in (("own texts", False), ("shuffled texts", True)):
        posteriors = [held_out_posterior(inputs, train_on, asked, seed, train, control=control) for seed in seeds]
        found[name] = measure_stability(posteriors).to_json()
    return found


def jobs(
    inputs: ModelInputs, seeds: Sequence[int], discovery: DiscoverySettings, embedding: EmbeddingSettings
) -> dict[str, tuple[dict[str, Any], Callable[[], Any]]]:
    """What there is to run, by key ``task/family/seed``, each with the settings that decide it; seeds outermost."""
    known = families(discovery, embedding)
    found: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {}
    for seed in seeds:
        for name, (family, chosen) in known.items():
            found[f"pairs/{name}/{seed}"] = chosen, partial(recover_pairs, inputs, [family], seed=seed)
            for relation in HIDDEN:
                run = partial(recover_relation, inputs, relation, [family], seed=seed)
                found[f"{relation}/{name}/{seed}"] = chosen, run
    chosen = asdict(discovery) | {"seeds": list(seeds)}
    found["stability/discovery/all"] = chosen, partial(stability, inputs, seeds, discovery)
    return found


def inputs_of(corpus: Corpus, text: TextSettings, cache: Path) -> ModelInputs:
    """What methods may read: training events, texts, and the whole graph, of which the tasks hide their part."""
    vectors = item_vectors(corpus, text, cache)
    return model_inputs(corpus, split(corpus).training(), vectors, build_graph(corpus))


def read_result(path: Path, corpus: Corpus) -> dict[str, Any]:
    """The result file, or an empty one.

    Raises:
        ConfigError: it holds another corpus or another format.
    """
    about = {"format": FORMAT, "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint}}
    if not path.exists():
        return about | {"records": {}}
    held: dict[str, Any] = read_json(path)
    if not isinstance(held, dict) or {key: held.get(key) for key in about} != about:
        raise ConfigError(f"{path} holds results of another corpus or format; name another file with --out.")
    return held


def run_jobs(todo: dict[str, tuple[dict[str, Any], Callable[[], Any]]], path: Path, corpus: Corpus, force: bool) -> int:
    """Run what has no record, and write the file after each.

    Returns:
        How many were run.

    Raises:
        ConfigError: a record is of other settings, and ``force`` is not set.
    """
    result = read_result(path, corpus)
    done = 0
    for key, (chosen, run) in todo.items():
        digest = config_hash(chosen)
        held = result["records"].get(key)
        if held is not None and held["settings_hash"] != digest and not force:
            raise ConfigError(f"{path} holds {key} of other settings; use --force to run it again.")
        if held is not None and held["settings_hash"] == digest:
            continue
        began = time.perf_counter()
        metrics = run()
        seconds = round(time.perf_counter() - began, 1)
        record = {"settings": chosen, "settings_hash": digest, "metrics": metrics, "seconds": seconds}
        result = read_result(path, corpus)
        result["records"][key] = record | {"peak_memory_gb": peak_memory()} | provenance()
        write_json(path, result)
        done += 1
        print(f"{key}: {seconds:.0f} s", flush=True)
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all that is asked for; 0 if every job has its record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="task or family; both where two are named")
    parser.add_argument("--discovery", nargs="+", default=[], metavar="KEY=VALUE", help="settings of discovery")
    parser.add_argument("--embedding", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the embeddings")
    parser.add_argument("--force", action="store_true", help="replace records of other settings")
    chosen = parser.parse_args(arguments)
    try:
        discovery = settings(DiscoverySettings, _values(chosen.discovery), "--discovery")
        embedding = settings(EmbeddingSettings, _values(chosen.embedding), "--embedding")
        corpus = load(chosen.data)
        inputs = inputs_of(corpus, TextSettings(), cache_folder())
        todo = _chosen(jobs(inputs, chosen.seeds, discovery, embedding), chosen.only or ())
        done = run_jobs(todo, chosen.out, corpus, chosen.force)
        print(f"{len(todo)} asked for, {done} run, {len(todo) - done} were there; in {chosen.out}")
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _values(assignments: Sequence[str]) -> dict[str, Any]:
    return override({"at": {}}, [f"at.{one}" for one in assignments])["at"]


def _chosen(every: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Jobs whose task or family is named; of a task and a family those of both."""
    parts = [key.split("/") for key in every]
    tasks, names = ({part[n] for part in parts} for n in (0, 1))
    for word in words:
        if word not in tasks | names:
            known = ", ".join(sorted(tasks | names))
            raise ConfigError(f"There is no task or method '{word}'{nearest(word, tasks | names)}; known are {known}.")
    wanted = [set(words) & known or known for known in (tasks, names)]
    return {
        key: job for key, job in every.items() if all(p in w for p, w in zip(key.split("/")[:2], wanted, strict=True))
    }


if __name__ == "__main__":
    sys.exit(main())
