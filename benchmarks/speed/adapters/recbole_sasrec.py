"""RecBole's SASRec on the events of a folder; runs in RecBole's environment and imports nothing of ours.

    python recbole_sasrec.py FOLDER

See ``benchmarks/speed/peers.py`` for what the folder holds and what is put there. RecBole makes a row of every prefix
of a history, so that a row has one target position, and its step takes as many rows as the others have positions.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed


class Limited:
    """A loader that ends after some batches and marks when each was asked for."""

    def __init__(self, loader, steps, marks):
        self.loader, self.steps, self.marks = loader, steps, marks
        self.sampler, self.shuffle = getattr(loader, "sampler", None), loader.shuffle

    def __iter__(self):
        self.marks.append((time.perf_counter(), time.process_time(), 0))
        for number, batch in enumerate(self.loader):
            if number == self.steps:
                return
            yield batch
            self.marks.append((time.perf_counter(), time.process_time(), len(batch)))


def main(folder: Path) -> None:
    """Train, evaluate and score."""
    asked = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(asked["threads"])
    atomic = folder / "events"
    atomic.mkdir(exist_ok=True)
    with (folder / "events.csv").open() as given, (atomic / "events.inter").open("w") as out:
        out.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for row in csv.DictReader(given):
            out.write(f"{row['user']}\t{row['item']}\t{row['time']}\n")
    settings = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "train_neg_sample_args": None,
        "MAX_ITEM_LIST_LENGTH": asked["length"],
        "hidden_size": asked["width"],
        "inner_size": asked["inner"],
        "n_layers": asked["layers"],
        "n_heads": asked["heads"],
        "hidden_dropout_prob": asked["dropout"],
        "attn_dropout_prob": asked["dropout"],
        "loss_type": "CE",
        "learning_rate": asked["learning_rate"],
        "train_batch_size": asked["positions"],
        "eval_batch_size": asked["users_at_once"],
        "metrics": ["NDCG", "Hit"],
        "topk": [5, 10],
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "use_gpu": False,
        "seed": asked["seed"],
        "worker": 0,
    }
    sys.argv = sys.argv[:1]  # RecBole reads it
    config = Config(model="SASRec", dataset="events", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    began = time.perf_counter()
    training, _, test = data_preparation(config, dataset)
    prepared = time.perf_counter() - began
    model = SASRec(config, training._dataset)
    trainer = Trainer(config, model)
    marks: list[tuple[float, float, int]] = []
    left, epoch = asked["steps"], 0
    while left > 0:
        trainer._train_epoch(Limited(training, left, marks), epoch)
        left, epoch = left - len(training), epoch + 1
    seconds = []
    for _ in range(asked["repeats"]):
        began, used = time.perf_counter(), time.process_time()
        figures = trainer.evaluate(test, load_best_model=False, show_progress=False)
        seconds.append((time.perf_counter() - began, time.process_time() - used))
    scores = np.full((asked["users"] + 1, asked["items"] + 1), -np.inf, dtype=np.float32)
    item = np.array([0, *map(int, dataset.field2id_token["item_id"][1:])])
    user = np.array([0, *map(int, dataset.field2id_token["user_id"][1:])])
    model.eval()
    with torch.no_grad():
        for interaction, *_ in test:
            rows = user[interaction["user_id"].numpy()]
            scores[np.ix_(rows, item)] = model.full_sort_predict(interaction).numpy()
    np.save(folder / "scores.npy", scores)
    found = {"marks": marks, "evaluation": seconds, "prepare_seconds": prepared, "its_metrics": dict(figures)}
    found["parameters"] = sum(p.numel() for p in model.parameters())
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
