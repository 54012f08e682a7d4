"""Requests answered with an index of item vectors against those that score the whole catalogue: recall and time.

    python -m benchmarks.speed.serving RUN --data ../shared/data/office --requests 300

``RUN`` is the folder of a trained run, whose test histories ask, all at the last moment of the corpus. Then an
untrained flagship of a made-up catalogue asks the same of more items: vectors in clusters of about a hundred, bias,
recent popularity, and forty edges from each item to items of its own cluster and of others. Recall is the share of the
exact ten that come back. A request is timed alone, all ways in turn, on as many threads as torch has; the first ones
are not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lrdgraph.batch import Batch
from lrdgraph.experiment import load_run
from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.experiment.run import corpus_of
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.recommend import Recommendation, recommend
from lrdgraph.models.registry import build_model
from lrdgraph.models.serving import ItemIndex, build_index, recommend_with
from lrdgraph.storage import write_json
from lrdgraph.vocabulary import Vocabulary

RESULT = Path(__file__).resolve().parents[1] / "results" / "serving.json"
K = 10
HITS = (10, 50, 200)
KINDS = ("flat", "ivf", "hnsw")
WARM_UP = 10
DAY = 86_400
CLUSTER, EDGES, RELATIONS, EVENTS, DAYS = 100, 40, 4, 10, 1_000


@dataclass(frozen=True)
class Requests:
    """Histories of external ids with their times, and the moment of each request."""

    histories: list[list[str]]
    times: list[list[int]]
    at: list[int]


def of_run(folder: Path, data: str | None, number: int) -> tuple[Recommender, Requests, Requests]:
    """A run's model, test histories asked at the corpus's last moment, and the same asked at their targets' times."""
    run = load_run(folder, device="cpu")
    corpus, parts = corpus_of(run, data)
    targets = parts.targets("test")
    rows = np.random.default_rng(0).choice(len(targets), min(number, len(targets)), replace=False)
    spans = [slice(targets.start[row], targets.end[row]) for row in rows]
    histories = [corpus.items.ids(targets.events.item[span]) for span in spans]
    times = [targets.events.time[span].tolist() for span in spans]
    last = Requests(histories, times, [int(corpus.time.max())] * len(rows))
    return run.model, last, Requests(histories, times, targets.time[rows].tolist())


def made_up(items: int, number: int) -> tuple[Recommender, Requests]:
    """An untrained flagship whose item vectors stand in clusters, and histories that mostly stay in one."""
    rng = np.random.default_rng(0)
    clusters = items // CLUSTER
    cluster = rng.integers(clusters, size=items + 1)
    members = np.argsort(cluster[1:], kind="stable") + 1
    first = np.searchsorted(cluster[members], np.arange(clusters + 1))

    def of_clusters(wanted: np.ndarray) -> np.ndarray:
        low, high = first[wanted], np.maximum(first[wanted + 1], first[wanted] + 1)
        return members[np.minimum(rng.integers(low, high), items - 1)]

    source = np.repeat(np.arange(1, items + 1), EDGES)
    stays = rng.random(len(source)) < 0.5
    target = of_clusters(np.where(stays, cluster[source], rng.integers(clusters, size=len(source))))
    kind = rng.integers(RELATIONS, size=len(source))
    edges = np.unique(np.stack([kind, source, target])[:, source != target], axis=1)
    popular = rng.zipf(1.5, items).clip(max=10_000).astype(float)
    item = rng.choice(items, EVENTS * items, p=popular / popular.sum()) + 1
    when = np.sort(rng.integers(DAYS * DAY, size=len(item)))
    users = max(1, len(item) // 10)
    ids = Vocabulary([f"i{n}" for n in range(1, items + 1)])
    relations = RelationVocabulary(Relation(f"relation {n}") for n in range(RELATIONS))
    kinds, pairs = torch.from_numpy(edges[0]), torch.from_numpy(edges[1:])
    graph = ItemGraph(pairs, kinds, torch.ones(len(kinds)), relations, ids, Vocabulary([], "attribute"))
    events = torch.from_numpy(np.stack([rng.integers(1, users + 1, len(item)), item, when]))
    counts = torch.from_numpy(np.bincount(item, minlength=items + 1).astype(np.float32))
    torch.manual_seed(0)
    settings = {"num_latent": 0, "text": False, "trend": True}
    model = build_model("lrdgraph", ModelInputs(ids, counts, events, users, None, graph), settings).eval()
    with torch.no_grad():
        width = model.settings.hidden_channels
        centres = torch.nn.functional.normalize(torch.randn(clusters, width), dim=1)
        vectors = centres[cluster] + 0.5 * torch.randn(items + 1, width) / width**0.5
        model.items.free.weight.copy_(vectors * torch.exp(0.2 * torch.randn(items + 1, 1)))
        model.bias.normal_(std=0.3)
    at_home = np.repeat(rng.integers(clusters, size=number)[:, None], 20, axis=1)
    stays = rng.random(at_home.shape) < 0.7
    visited = of_clusters(np.where(stays, at_home, rng.integers(clusters, size=at_home.shape)))
    now = int(when[-1]) + 30 * DAY
    ago = np.sort(rng.integers(200 * DAY, size=visited.shape), axis=1)[:, ::-1]
    histories = [ids.ids(row) for row in visited]
    return model, Requests(histories, (now - ago).tolist(), [now] * number)


def recall(exact: list[list[Recommendation]], found: list[list[Recommendation]]) -> float:
    """Share of the exact answers' items that were found, mean over requests."""
    both = [{one.item for one in a} & {one.item for one in b} for a, b in zip(exact, found, strict=True)]
    return float(np.mean([len(same) / len(a) for same, a in zip(both, exact, strict=True)]))


def quality(index: ItemIndex, asked: Requests, exact: list[list[Recommendation]]) -> list[dict[str, Any]]:
    """Recall and the mean number of rescored items, by the number of hits."""
    rows = []
    for hits in HITS:
        counts: list[float] = []

        def found(batch: Batch, number: int, hits: int = hits, counts: list[float] = counts) -> torch.Tensor:
            items = index.candidates(batch, max(hits, number))
            counts.extend((items > 0).sum(1).tolist())
            return items

        answers = recommend(index.model, asked.histories, asked.times, asked.at, K, candidates=found)
        rows.append({"hits": hits, "recall@10": round(recall(exact, answers), 4), "rescored": round(np.mean(counts))})
    return rows


def timed(ways: dict[str, Callable[..., Any]], asked: Requests) -> dict[str, dict[str, float]]:
    """Milliseconds of one request by each way, median and 95th percentile, and of processor time."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    used: dict[str, list[float]] = {name: [] for name in ways}
    for history, times, at in zip(asked.histories, asked.times, asked.at, strict=True):
        for name, way in ways.items():
            began, cpu = time.perf_counter(), time.process_time()
            way([history], [times], at, K)
            wall[name].append(time.perf_counter() - began)
            used[name].append(time.process_time() - cpu)
    return {
        name: {
            "median_ms": round(1e3 * float(np.median(wall[name][WARM_UP:])), 3),
            "p95_ms": round(1e3 * float(np.quantile(wall[name][WARM_UP:], 0.95)), 3),
            "median_cpu_ms": round(1e3 * float(np.median(used[name][WARM_UP:])), 3),
        }
        for name in ways
    }


def measured(model: Recommender, asked: Requests, other: Requests | None = None) -> dict[str, Any]:
    """Recall, time and building of all kinds of index of one model."""
    exact = model.recommend(asked.histories, asked.times, asked.at, K)
    told: dict[str, Any] = {"items": model.inputs.num_items, "requests": len(asked.histories), "index": {}}
    ways: dict[str, Callable[..., Any]] = {"exact": model.recommend}
    for kind in KINDS:
        began = time.perf_counter()
        index = build_index(model, kind)  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        told["index"][kind] = {
            "breadth": None if kind == "flat" else index.breadth,
            "build_seconds": round(seconds, 1),
            "quality": quality(index, asked, exact),
        }
        if other is not None:
            then = model.recommend(other.histories, other.times, other.at, K)
            told["index"][kind]["quality_at_other_times"] = quality(index, other, then)
        ways[kind] = lambda *words, index=index: recommend_with(index, *words)
        print(kind, told["index"][kind], flush=True)
    told["milliseconds"] = timed(ways, asked)
    print(told["milliseconds"], flush=True)
    return told


def figures(result: dict[str, Any]) -> list[str]:
    """The rows of docs/serving.md: rescored items and recall with the most hits, and processor time of a request."""
    rows = []
    for name, told in result["catalogues"].items():
        exact = told["milliseconds"]["exact"]["median_cpu_ms"]
        for kind, index in told["index"].items():
            best, others = index["quality"][-1], index.get("quality_at_other_times")
            other = f"{others[-1]['recall@10']:.3f}" if others else "–"
            used = told["milliseconds"][kind]["median_cpu_ms"]
            cells = [name, f"{told['items']:,}", kind, f"{best['rescored']:,}", f"{best['recall@10']:.3f}", other]
            rows.append(f"| {' | '.join([*cells, f'{used:.1f}', f'{exact:.1f}'])} |")
    return rows


def main() -> None:
    """Measure the run and the made-up catalogues, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a trained run")
    parser.add_argument("--data", help="where its corpus lies")
    parser.add_argument("--out", type=Path, default=RESULT, help="the JSON file of the result")
    parser.add_argument("--items", type=int, nargs="*", default=[100_000], help="sizes of made-up catalogues")
    parser.add_argument("--requests", type=int, default=500)
    chosen = parser.parse_args()
    origin = provenance()
    origin["versions"]["faiss-cpu"] = version("faiss-cpu")
    held: dict[str, Any] = {}

    def keep(name: str, model: Recommender, told: dict[str, Any]) -> None:
        """What is measured is written at once, so that a killed benchmark leaves it."""
        held[name] = told | {"model": repr(model)}
        write_json(chosen.out, {"k": K, "catalogues": held, "peak_memory_gb": peak_memory()} | origin)

    model, last, own = of_run(chosen.run, chosen.data, chosen.requests)
    keep("run", model, measured(model, last, own))
    for items in chosen.items:
        model, asked = made_up(items, chosen.requests)
        keep(f"made up, {items:,} items", model, measured(model, asked))


if __name__ == "__main__":
    main()
