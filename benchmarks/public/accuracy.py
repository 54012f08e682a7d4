r"""Train the public LRD code with a seed of one's own and record its accuracy, epoch by epoch.

    python benchmarks/public/accuracy.py PUBLIC --data ../shared/data/office --model kda-lrd --seed 2020 \
        --out benchmarks/results/public-kda-lrd-seed2020.json

``PUBLIC`` is a checkout of github.com/ysh-1998/LRD. Its classes run as they stand, with the settings of its README;
validation is ranked as it ranks it, without gradients, and test after an epoch that is the best on validation so far.
Each epoch is written as it ends, of a model with latent relations with the terms of its loss and the use of its states.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.public.theirs import load, options, prepare


def main() -> None:
    """Train, and write the record after each epoch."""
    parser = options(__doc__, seed=2020)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--evaluate", type=int, nargs="*", help="epochs after which to rank; all of them by default")
    chosen = parser.parse_args()
    from lrdgraph.experiment.provenance import provenance
    from lrdgraph.storage import write_json

    out = chosen.out.resolve()
    record: dict[str, Any] = {"model": chosen.model, "seed": chosen.seed, "log": []} | provenance()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(chosen.data.resolve(), folder)
        model, data, runner = load(chosen.model, chosen.public.resolve(), folder, chosen.seed)
        terms = kept(model) if chosen.model.endswith("-lrd") else None
        for epoch in range(1, chosen.epochs + 1):
            entry: dict[str, Any] = {"epoch": epoch, "loss": float(runner.fit(model, data["train"], epoch=epoch))}
            if terms is not None:
                entry |= {"terms": means(terms), "posterior": posterior(model)}
            record["log"].append(entry)
            if chosen.evaluate is None or epoch in chosen.evaluate:
                entry["dev"] = ranked(runner, model, data["dev"])
                if "best" not in record or entry["dev"]["NDCG@5"] > record["best"]["dev"]["NDCG@5"]:
                    entry["test"] = ranked(runner, model, data["test"])
                    record["best"] = entry
            write_json(out, record)
            print(entry, flush=True)


def kept(model: Any) -> list[dict[str, float]]:
    """Terms of each step from now on, with latent relations; the ranking's own is what they leave of the total."""
    rows: list[dict[str, float]] = []
    loss = model.loss

    def and_keep(out: dict[str, Any]) -> Any:
        total, parts = loss(out)
        rows.append({"total": float(total), "discovery": float(out["lrd_loss"]), "knowledge": float(parts[2])})
        return total, parts

    model.loss = and_keep
    return rows


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each term over the steps of an epoch, which are then forgotten."""
    found = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    rows.clear()
    return found


def posterior(model: Any, pairs: int = 10_000) -> dict[str, Any]:
    """How the public encoder spreads random pairs of items over its states, by our measures."""
    import torch

    from lrdgraph.discovery.diagnostics import usage

    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        item = model.project_layer_1(model.item_embeddings.weight)
        i, j = torch.randint(1, len(item), (2, pairs), generator=draw)
        found = model.project_layer_2(torch.cat([item[i], item[j]], 1)).softmax(1)
    return {"mean": found.mean(0).tolist()} | usage(found).figures()


def ranked(runner: Any, model: Any, data: Any) -> dict[str, float]:
    """The public code's own metrics of one phase."""
    import torch

    with torch.no_grad():
        found = runner.evaluate(model, data, [5, 10], ["NDCG", "HR"])
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    main()
