"""Record what ReChorus computes of SLRC+ and Chorus on a made-up shop, for ``tests/models/test_excitation_parity.py``.

    python benchmarks/public/record_excitation.py PUBLIC --out tests/models/fixtures

``PUBLIC`` is a checkout of github.com/THUwangcy/ReChorus. Its data sets find the events that excite, its models score
them, in double precision and with random weights; nothing of its code or data is kept, only the numbers that went in
and came out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.public.recording import destination, keep
from tests.models import parity

PUBLIC_NAMES = {"slrc": "SLRCPlus", "chorus": "Chorus"}
UNIT, LENGTH, REQUESTS = 2**20, 6, 9
"""A unit of time and its parts are powers of two, so that intervals are the same in single precision."""


def arguments() -> SimpleNamespace:
    """The public code's command line. Chorus scores in its first stage as in its second, but needs no first one."""
    return SimpleNamespace(
        emb_size=parity.WIDTH, time_scalar=UNIT, history_max=LENGTH, num_neg=1, dropout=0.0, test_all=0, buffer=0,
        model_path="", device="cpu", category_col="i_category", margin=1.0, stage=1, base_method="BPR", lr=1e-3,
        lr_scale=0.1,
    )  # fmt: skip


def corpus() -> SimpleNamespace:
    """What the public classes read of their corpus: requests of all lengths up to two more than what is read."""
    import pandas as pd

    rng = np.random.default_rng(0)
    people = range(1, parity.USERS + 1)
    times = {u: np.sort(rng.integers(0, 400, LENGTH + 3)) * (UNIT // 64) for u in people}
    items = {u: rng.integers(1, parity.ITEMS + 1, LENGTH + 3) for u in people}
    user = rng.integers(1, parity.USERS + 1, REQUESTS)
    position = rng.permutation(np.arange(REQUESTS) % (LENGTH + 2) + 1)
    target = np.array([items[u][p] for u, p in zip(user, position, strict=True)])
    every = np.arange(1, parity.ITEMS + 1)
    category = [parity.CATEGORY.get(item, 0) for item in range(1, parity.ITEMS + 1)]
    rows = {"user_id": user, "item_id": target, "position": position}
    rows["time"] = np.array([times[u][p] for u, p in zip(user, position, strict=True)])
    found = pd.DataFrame(rows)
    found["neg_items"] = [every[every != item].tolist() for item in target]
    triplets = {(h, 1, t) for h, t in parity.COMPLEMENT} | {(h, 2, t) for h, t in parity.SUBSTITUTE}
    return SimpleNamespace(
        n_users=parity.USERS + 1, n_items=parity.ITEMS + 1, item_relations=["r_complement", "r_substitute"],
        data_df={"test": found}, user_his={u: list(zip(items[u], times[u], strict=True)) for u in people},
        triplet_set=triplets, item_meta_df=pd.DataFrame({"item_id": every, "i_category": category}), dataset="shop",
    )  # fmt: skip


def record(name: str, path: Path) -> None:
    """Score the requests with one public model, and save all numbers."""
    from models.sequential import SLRCPlus, Chorus  # type: ignore[import-not-found]  # noqa: I001

    module = {"SLRCPlus": SLRCPlus, "Chorus": Chorus}[PUBLIC_NAMES[name]]
    found = corpus()
    torch.manual_seed(len(name))
    model = getattr(module, PUBLIC_NAMES[name])(arguments(), found).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    with torch.no_grad():
        model.user_bias.weight.zero_()  # it changes no ranking, and ours has none
        model.betas.weight[1] = 30.0  # beyond what rates may be
    data = type(model).Dataset(model, found, "test")
    rows = [data[index] for index in range(REQUESTS)]
    keys = ("user_id", "item_id", "relational_interval", *(("category_id",) if name == "chorus" else ()))
    feed: dict[str, Any] = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in keys}
    scores = model({**feed, "phase": "test", "batch_size": REQUESTS})["prediction"]
    direction = torch.randn_like(scores)
    (scores * direction).sum().backward()
    history, times = (torch.zeros(REQUESTS, LENGTH, dtype=torch.int64) for _ in range(2))
    for index, row in enumerate(rows):
        history[index, LENGTH - row["lengths"] :] = torch.from_numpy(row["history_items"])
        times[index, LENGTH - row["lengths"] :] = torch.from_numpy(row["history_times"])
    batch = {"user": feed["user_id"], "item": feed["item_id"], "history": history, "history_time": times}
    batch["moment"] = torch.tensor(data.data["time"])
    keep(path, model, batch, {"scores": scores, "direction": direction})
    excited = (feed["relational_interval"] >= 0).flatten(0, 1).sum(0).tolist()
    print(f"{path}: scores {scores.std():.3f}, pairs that a relation excites {excited}")


def main() -> None:
    """Record both models."""
    out = destination(__doc__, "ReChorus")
    for name in PUBLIC_NAMES:
        record(name, out / f"parity-{name}.safetensors")


if __name__ == "__main__":
    main()
