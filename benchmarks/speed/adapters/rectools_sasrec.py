"""RecTools' SASRec on the events of a folder; runs in RecTools' environment and imports nothing of ours.

    python rectools_sasrec.py FOLDER

See ``benchmarks/speed/peers.py`` for what the folder holds and what is put there. RecTools learns from the last window
of each user alone; its inner layer is as wide as the model, where the others are told to have twice that.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

MARKS: list[tuple[float, float, int]] = []


class Marks(Callback):
    """When each step ended, and how many target positions it had; RecTools trains with copies of its callbacks."""

    def on_train_epoch_start(self, trainer, module):
        MARKS.append((time.perf_counter(), time.process_time(), 0))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        MARKS.append((time.perf_counter(), time.process_time(), int((batch["y"] > 0).sum())))


def main(folder: Path) -> None:
    """Train, evaluate and list."""
    warnings.filterwarnings("ignore")
    asked = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(asked["threads"])
    seed_everything(asked["seed"])
    events = pd.read_csv(folder / "events.csv")
    table = pd.DataFrame(
        {
            Columns.User: events["user"],
            Columns.Item: events["item"],
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(events["time"], unit="s"),
        }
    )
    training = table[events["role"] == "train"]
    history = table[events["role"] != "test"]
    counts = training[Columns.User].value_counts().clip(upper=asked["length"] + 1) - 1
    rows = max(1, round(asked["positions"] / counts[counts > 0].mean()))
    model = SASRecModel(
        n_factors=asked["width"],
        n_blocks=asked["layers"],
        n_heads=asked["heads"],
        dropout_rate=asked["dropout"],
        session_max_len=asked["length"],
        loss="softmax",
        lr=asked["learning_rate"],
        batch_size=rows,
        recommend_batch_size=asked["users_at_once"],
        recommend_n_threads=asked["threads"],
        recommend_torch_device="cpu",
        get_trainer_func=lambda: Trainer(
            max_steps=asked["steps"],
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Marks()],
        ),
    )
    model.fit(Dataset.construct(training))
    dataset, users = Dataset.construct(history), np.arange(1, asked["users"] + 1)
    seconds = []
    for _ in range(asked["repeats"] + 1):
        began, used = time.perf_counter(), time.process_time()
        lists = model.recommend(users, dataset, k=10, filter_viewed=True)
        seconds.append((time.perf_counter() - began, time.process_time() - used))
    scores = np.full((asked["users"] + 1, asked["items"] + 1), -np.inf, dtype=np.float32)
    scores[lists[Columns.User], lists[Columns.Item]] = -lists[Columns.Rank]
    np.save(folder / "scores.npy", scores)
    found = {"marks": MARKS, "evaluation": seconds[1:], "batch_rows": rows}
    found["parameters"] = sum(p.numel() for p in model.torch_model.parameters())
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
