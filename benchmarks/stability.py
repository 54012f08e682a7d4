"""Do trained recommenders discover the same relations from other seeds: posteriors on pairs that no discovery saw.

    python benchmarks/stability.py RUN RUN RUN --control RUN RUN --data ../shared/data/office

A RUN is the folder of a trained run with discovered relations; runs differ in their seed alone. Those after
``--control`` read texts that were dealt to the items at random.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_loaders import load
from lrdgraph.discovery.diagnostics import usage
from lrdgraph.errors import ConfigError, LrdgraphError
from lrdgraph.experiment.provenance import provenance
from lrdgraph.experiment.run import load_run
from lrdgraph.models.flagship import Flagship
from lrdgraph.quality.novelty import later_transitions
from lrdgraph.quality.stability import measure_stability
from lrdgraph.splits import split
from lrdgraph.storage import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "stability-office.json"


def posteriors(folders: Sequence[Path], later: Tensor, fingerprint: str) -> dict[str, list[Any]]:
    """State posteriors ``(P, S)`` of every run on ``later`` and on all recorded pairs of two items."""
    found: dict[str, list[Any]] = {"later": [], "recorded": []}
    for folder in folders:
        run = load_run(folder, "cpu")
        if run.fingerprint != fingerprint:
            raise ConfigError(f"{folder} was trained on another corpus; give the data of the run.")
        if not isinstance(run.model, Flagship) or run.model.discovery is None:
            raise ConfigError(f"{folder} has no discovered relations; give runs of the flagship.")
        graph = run.model.graph
        edges = graph.edge_index[:, (graph.edge_index <= graph.num_items).all(0)].unique(dim=1)
        with torch.no_grad():
            for name, pairs in (("later", later), ("recorded", edges)):
                found[name].append(run.model.discovery.state_posterior(*pairs).double().numpy())
    return found


def measured(found: dict[str, list[Any]]) -> dict[str, Any]:
    """Usage of each run, and the agreement of every two where there are two."""
    told: dict[str, Any] = {}
    for name, held in found.items():
        if len(held) > 1:
            told[name] = measure_stability(held).to_json()
        else:
            figures = usage(torch.from_numpy(held[0])).figures()
            told[name] = {key: figures[key] for key in ("perplexity", "information")} | {"states": held[0].shape[1]}
        told[name] |= {"pairs": len(held[0]), "seeds": len(held)}
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--control", type=Path, nargs="+", default=[], metavar="RUN")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args(arguments)
    try:
        corpus = load(chosen.data)
        later = later_transitions(split(corpus))
        found: dict[str, Any] = {"own texts": measured(posteriors(chosen.runs, later, corpus.fingerprint))}
        if chosen.control:
            found["shuffled texts"] = measured(posteriors(chosen.control, later, corpus.fingerprint))
        names = [folder.name for folder in (*chosen.runs, *chosen.control)]
        held = {"corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint}, "runs": names, "metrics": found}
        write_json(chosen.out, held | provenance())
    except LrdgraphError as error:
        print(error, file=sys.stderr)
        return 1
    for texts, sets in found.items():
        for pairs, figures in sets.items():
            shown = {key: round(value, 3) for key, value in figures.items() if isinstance(value, float)}
            print(f"{texts}, {pairs} pairs: {shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
