"""Compare runs of a model with runs of its baselines on test, paired over users, with Holm's correction.

    python benchmarks/compare.py runs/office-flagship --against runs/office-sasrec runs/office-flagship-no-latent \
        --data ../shared/data/office --out benchmarks/results/compare-office.json

A name stands for the folders ``NAME-seed0``, ``NAME-seed1`` … that ``lrdgraph train`` wrote.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from data_loaders import load
from lrdgraph.errors import LrdgraphError
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.significance import compare, holm
from lrdgraph.experiment import load_run
from lrdgraph.experiment.provenance import provenance
from lrdgraph.splits import split
from lrdgraph.storage import write_json
from lrdgraph.training.trainer import validate


def evaluations(name: Path, data: str) -> list[Evaluation]:
    """Test ranks of every seed of an experiment.

    Raises:
        LrdgraphError: there is no run of that name, or the data are not those it was trained on.
    """
    folders = sorted(name.parent.glob(f"{name.name}-seed*"))
    if not folders:
        raise LrdgraphError(f"{name}-seed… names no run; train it first.")
    corpus = load(data)
    found = []
    for folder in folders:
        run = load_run(folder)
        if run.fingerprint != corpus.fingerprint:
            raise LrdgraphError(f"{data} is not the corpus that {folder} was trained on; name that one with --data.")
        parts = split(corpus, run.settings.data.split, fractions=run.settings.data.fractions)
        found.append(validate(run.model, parts, "test", run.settings.evaluation))
    return found


def main() -> None:
    """Compare the runs named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("--against", type=Path, nargs="+", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--metrics", nargs="+", default=["candidates-99/NDCG@5", "full/NDCG@10"])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        ours = evaluations(chosen.model, chosen.data)
        rows: list[dict[str, Any]] = []
        for baseline in chosen.against:
            theirs = evaluations(baseline, chosen.data)
            for metric in chosen.metrics:
                seeds = {"seeds": len(ours), "baseline_seeds": len(theirs)}
                rows.append({"baseline": baseline.name} | seeds | compare(ours, theirs, metric).to_json())
    except LrdgraphError as error:
        sys.exit(f"error: {error}")
    for row, corrected in zip(rows, holm([row["p_t"] for row in rows]), strict=True):
        row["p_holm"] = float(corrected)
        print(
            f"{row['baseline']:34s} {row['metric']:22s} {row['difference']:+.4f} "
            f"[{row['low']:+.4f}, {row['high']:+.4f}]  p (t, Holm) {row['p_holm']:.2g}"
        )
    write_json(chosen.out, {"model": chosen.model.name, "comparisons": rows} | provenance())


if __name__ == "__main__":
    main()
