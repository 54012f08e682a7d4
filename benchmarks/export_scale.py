"""Time and memory of exporting ten million weighted triples, each format in a process of its own.

    python -m benchmarks.export_scale --out benchmarks/results/export-scale.json

The graph is made up: a million items with ids as long as Amazon's, and ten million pairs, each with one of four latent
relations above the threshold. Memory is the largest resident memory of the process, the graph itself among it; what the
process takes before it writes the first triple is told apart. Every line of N-Triples is then parsed by pyoxigraph, in
another process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.export import export
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.storage import write_json
from lrdgraph.vocabulary import Vocabulary

LATENT = 4
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "parquet": ("parquet", "x.parquet", {}),
    "ntriples": ("ntriples", "x.nt", {}),
    "ntriples, triple terms": ("ntriples", "x.nt", {"confidence": "triple-term"}),
}
"""Format, file and options of each measurement."""


def made_up(items: int, pairs: int, seed: int = 0) -> EnrichedGraph:
    """A graph with ``pairs`` latent edges, of whose posteriors one is 0.5 or more."""
    rng = np.random.default_rng(seed)
    none = torch.empty(0, dtype=torch.int64)
    ids = "B" + pl.int_range(items, eager=True).cast(pl.String).str.zfill(9)
    graph = ItemGraph(
        none.reshape(2, 0), none, torch.empty(0), RelationVocabulary(), Vocabulary(ids), Vocabulary([], "attribute")
    )
    ends = torch.from_numpy(rng.integers(1, items + 1, (2, pairs)))
    mixture = torch.full((pairs, LATENT), 0.1)
    relation = torch.from_numpy(rng.integers(0, LATENT, pairs))
    mixture[torch.arange(pairs), relation] = torch.from_numpy(rng.uniform(0.5, 0.7, pairs).astype(np.float32))
    return EnrichedGraph(graph, ends, mixture, tuple(Relation(f"latent_{k}", "latent") for k in range(LATENT)))


def measured(case: str, folder: Path, items: int, pairs: int) -> dict[str, Any]:
    """Export once in this process."""
    name, file, options = CASES[case]
    graph = made_up(items, pairs)
    before = peak_memory()
    began, used = time.perf_counter(), time.process_time()
    count = export(name, graph, folder / file, provenance={"model": "made up", "seed": 0, "corpus": "none"}, **options)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    size = (folder / file).stat().st_size
    told = {
        "triples": count,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "gigabytes": round(size / 1e9, 3),
    }
    return told | {"peak_memory_gb": peak_memory(), "peak_memory_before_gb": before}


def parsed(path: Path) -> dict[str, Any]:
    """Parse a file of N-Triples line by line; an invalid line is a SyntaxError."""
    import pyoxigraph

    began = time.perf_counter()
    with path.open("rb") as file:
        statements = sum(1 for _ in pyoxigraph.parse(file, pyoxigraph.RdfFormat.N_TRIPLES))
    return {"parsed": statements, "parse_seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Measure all cases and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the JSON file of the result")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--case", choices=CASES, help="measure this one in this process and print it")
    parser.add_argument("--parse", type=Path, help="parse this file of N-Triples in this process and print the count")
    parser.add_argument("--folder", type=Path, help="where the exports of --case are written")
    chosen = parser.parse_args()
    if chosen.parse:
        print(json.dumps(parsed(chosen.parse)))
    elif chosen.case:
        print(json.dumps(measured(chosen.case, chosen.folder, chosen.items, chosen.pairs)))
    else:
        figures = {}
        for case, (name, file, _) in CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                size = ["--items", str(chosen.items), "--pairs", str(chosen.pairs)]
                figures[case] = _in_a_process(["--case", case, "--folder", folder, *size])
                if name == "ntriples":
                    path = Path(folder) / file
                    figures[case] |= _in_a_process(["--parse", str(path)])
                    with path.open("rb") as lines:
                        figures[case]["lines"] = sum(
                            block.count(b"\n") for block in iter(lambda: lines.read(1 << 24), b"")
                        )
            print(case, figures[case], flush=True)
        if chosen.out:
            write_json(chosen.out, {"items": chosen.items, "pairs": chosen.pairs, "cases": figures} | provenance())


def _in_a_process(words: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.export_scale", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
