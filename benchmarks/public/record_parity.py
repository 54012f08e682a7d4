"""Record what the public LRD code computes on a made-up shop, for ``tests/models/test_parity.py``.

    python benchmarks/public/record_parity.py PUBLIC --out tests/models/fixtures

``PUBLIC`` is a checkout of github.com/ysh-1998/LRD. Its model classes are called as they stand, in double precision,
with random weights and batches; nothing of its code or data is kept, only the numbers that went in and came out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.public.recording import destination, keep
from tests.models import parity

ROWS, LENGTH, NEGATIVES = 7, 5, 5
PUBLIC_NAMES = {"rcf": "RCF", "kda": "KDA", "rcf-lrd": "RCFPlus", "kda-lrd": "KDAPlus"}


def arguments(name: str) -> SimpleNamespace:
    """The public code's command line, at the sizes of the shop."""
    values: dict[str, Any] = parity.settings(name)
    return SimpleNamespace(
        emb_size=parity.WIDTH, neg_head_p=0.5, num_layers=values["num_layers"], num_heads=values["num_heads"],
        gamma=values["knowledge_weight"], attention_size=4, pooling="average", include_val=1, include_kge=1,
        model_path="", buffer=0, num_neg=NEGATIVES, dropout=0.0, n_dft=parity.POINTS, freq_rand=1,
        latent_relation_num=parity.LATENT, leave_one_latent=int(values.get("skip_first", 0)), alpha=0.1, lamda=10.0,
        plm_name="feat.X", plm_size=parity.TEXT, dataset="shop", include_lrd=1, only_predict=0,
    )  # fmt: skip


def corpus(name: str) -> SimpleNamespace:
    """What the public model classes read of their corpus."""
    relations = 5 + (parity.LATENT if name.endswith("-lrd") else 0)
    return SimpleNamespace(
        n_relations=relations, n_entities=20, freq_x=None, relation_df=[], all_df=[0],
        n_users=parity.USERS + 1, n_items=parity.ITEMS + 1,
    )  # fmt: skip


def batch(name: str, norm_time: Any) -> dict[str, Tensor]:
    """A batch as the public code's data set would give it, and the seconds that its times come from."""
    items = parity.ITEMS
    length = torch.randint(1, LENGTH + 1, (ROWS, 1))
    real = torch.arange(LENGTH) >= LENGTH - length
    history = torch.randint(1, items + 1, (ROWS, LENGTH)) * real
    candidates = torch.stack([torch.randperm(items)[: 1 + NEGATIVES] + 1 for _ in range(ROWS)])
    seconds = torch.randint(0, 10**7, (ROWS, LENGTH)).sort(descending=True).values * real
    seconds[:, -1] = 0
    values = torch.zeros(items + 1, 5 + (parity.LATENT if name.endswith("-lrd") else 0), dtype=torch.int64)
    for item in range(1, items + 1):
        values[item, 3] = 13 + parity.CATEGORY.get(item, 0)
        values[item, 4] = 17 + parity.BRAND.get(item, 0)
    of_value = torch.arange(ROWS) % 2 == 1
    return {
        "user_id": torch.randint(1, parity.USERS + 1, (ROWS,)),
        "item_id": candidates,
        "item_val": values[candidates],
        "history_items": history,
        "history_delta_t": torch.from_numpy(norm_time(seconds.double().numpy(), 60)),
        "seconds": seconds,
        "head_id": torch.randint(1, items + 1, (ROWS, 1 + NEGATIVES)),
        "tail_id": torch.randint(1, items + 1, (ROWS, 1 + NEGATIVES)),
        "relation_id": torch.where(of_value, torch.randint(3, 5, (ROWS,)), torch.randint(1, 3, (ROWS,))),
        "value_id": torch.where(of_value, torch.randint(14, 17, (ROWS,)), 0),
        "neg_his_items": torch.randint(1, items + 1, (ROWS, LENGTH)),
    }


def rank_loss(scores: Tensor) -> Tensor:
    """The public loss of scores; recomputed, because the tensor that its ``loss`` returns goes on to hold the total."""
    positive, negative = scores[:, 0], scores[:, 1:]
    weight = (negative - negative.max()).softmax(dim=1)
    return -((positive[:, None] - negative).sigmoid() * weight).sum(dim=1).log().mean()


def record(name: str, path: Path) -> None:
    """Run one public model in training mode and save all numbers."""
    from helpers.DFTReader import DFTReader  # type: ignore[import-not-found]
    from models.sequential import KDA, RCF, KDAPlus, RCFPlus  # type: ignore[import-not-found]

    module = {"RCF": RCF, "KDA": KDA, "RCFPlus": RCFPlus, "KDAPlus": KDAPlus}[PUBLIC_NAMES[name]]
    torch.manual_seed(len(name))
    model = getattr(module, PUBLIC_NAMES[name])(arguments(name), corpus(name)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    if name.startswith("kda"):
        # decays on both sides of 0 and 1, and most between
        torch.nn.init.normal_(model.relational_dynamic_aggregation.freq_real.weight, mean=1.0, std=3.0)
        model.relational_dynamic_aggregation.freqs = model.relational_dynamic_aggregation.freqs.double()
    feed = batch(name, DFTReader.norm_time)
    given = {**feed, "phase": "train", "batch_size": ROWS}
    given["history_delta_t"] = _Double(given["history_delta_t"])
    out = model(given)
    total, _ = model.loss(dict(out))
    total.backward()
    found = {"scores": out["prediction"], "total": total, "recommendation": rank_loss(out["prediction"])}
    found["knowledge"] = rank_loss(out["kg_prediction"])
    if "lrd_loss" in out:
        found["discovery"] = out["lrd_loss"]
    keep(path, model, feed, found)
    print(f"{path}: scores {found['scores'].std():.3f}, total {float(total.detach()):.6f}")


class _Double:
    """Times whose ``.float()`` keeps double precision: the public code casts them."""

    def __init__(self, times: Tensor) -> None:
        self.times = times

    def float(self) -> Tensor:
        return self.times


def main() -> None:
    """Record all four models."""
    out = destination(__doc__, "the public LRD code")
    for name in parity.MODELS:
        record(name, out / f"parity-{name}.safetensors")


if __name__ == "__main__":
    main()
