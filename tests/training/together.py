"""What two processes do for the tests of distributed runs, and what one does for comparison.

    torchrun --nproc-per-node 2 -m tests.training.together FOLDER

Every process writes what it came to into ``FOLDER/RANK.json``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lrdgraph import distributed
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.experiment import evaluate_run, run_experiment
from lrdgraph.language import TextSettings, encode_items
from lrdgraph.language.settings import TFIDF
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train
from tests.experiment.worlds import published, settings
from tests.models import shop

TINY = {"hidden_channels": 8, "num_layers": 1, "dropout": 0.0, "max_length": 3}
FLAGSHIP = TINY | {"discovery_channels": 4, "num_latent": 2, "text_neighbours": 3, "trend": True}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "sasrec": ("sasrec", TINY | {"text": True}),
    "lrdgraph": ("lrdgraph", FLAGSHIP | {"none_state": False, "discovery_pairs": 100_000}),
    "drawn": ("lrdgraph", FLAGSHIP | {"discovery_pairs": 24, "knowledge_weight": 0.5, "knowledge_edges": 8}),
    "rcf": ("rcf", {"num_latent": 2}),
    "bpr-mf": ("bpr-mf", {}),
}
EXACT = ("sasrec", "lrdgraph")
LOOP = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02, "schedule": "cosine", "clip": 1.0, "device": "cpu"}
BATCHED = EvaluationSettings(batch_size=7)


def trained(name: str, **more: Any) -> dict[str, Any]:
    """Losses, validation metrics and weights of a short training."""
    torch.manual_seed(1)
    kind, values = MODELS[name]
    model = build_model(kind, shop.inputs(), values)
    if name == "lrdgraph":
        model.discovery.num_negatives = None  # type: ignore[union-attr]  # the whole softmax, so that nothing is drawn
    state = train(model, split(shop.shop()), TrainingSettings(**LOOP | {"average": 0.5} | more), BATCHED)
    return {
        "loss": [entry["loss"] for entry in state.log],
        "validation": [entry["validation"] for entry in state.log],
        "weights": {key: value.tolist() for key, value in model.state_dict().items()},
    }


def encoded(folder: Path) -> list[list[float]]:
    return encode_items(shop.shop(), TextSettings(model=TFIDF, width=4, batch_size=2), folder).tolist()


def run(folder: Path) -> dict[str, Any]:
    """A run of an experiment and its evaluation, under published candidates too."""
    training = {"epochs": 3, "evaluate_every": 2}
    with distributed.first_before_others():
        asked = settings(folder, "sasrec", training=training, evaluation={"batch_size": 5})
    asked = replace(asked, model=asked.model | {"dropout": 0.0})
    run_experiment(asked, folder / "run", corpus=published())
    found = evaluate_run(folder / "run", corpus=published())
    return {"metrics": found.metrics, "ranks": {name: rank.tolist() for name, rank in found.ranks.items()}}


def gradients() -> list[Any]:
    """Sums of a dense gradient, one that the last process lacks, sparse ones, and one that nobody has."""
    rank, last = distributed.rank(), distributed.rank() == distributed.count() - 1
    table = nn.Embedding(5, 2, sparse=True)
    once = nn.Embedding(5, 2, sparse=True)
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad = torch.arange(3.0) + rank
    if not last:
        parameters[1].grad = torch.ones(2, 2)
        once(torch.tensor([4])).sum().backward()
    (table(torch.tensor([1, rank + 2, 1])) * (rank + 1)).sum().backward()
    parameters += [table.weight, once.weight]
    distributed.sum_gradients(parameters)
    assert table.weight.grad is not None
    assert table.weight.grad.is_sparse
    return [None if p.grad is None else p.grad.to_dense().tolist() for p in parameters]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with distributed.processes():
        found: dict[str, Any] = {name: trained(name) for name in MODELS}
        found["encoded"] = encoded(folder / "cache")
        found["run"] = run(folder)
        found["gradients"] = gradients()
        found["gathered"] = [part.tolist() for part in distributed.gather(np.arange(3 * distributed.rank()))]
        mine = {"both": 1.0 + distributed.rank()} | ({"last": 7.0} if distributed.rank() else {"first": 5.0})
        summed = distributed.sums({name: torch.tensor(value) for name, value in mine.items()})
        found["sums"] = {name: float(value) for name, value in summed.items()}
        try:
            trained("sasrec", batch_size=1)
        except Exception as error:
            found["refused"] = str(error)
        path = folder / f"{distributed.rank()}.json"
        path.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
