"""The public LRD code (github.com/ysh-1998/LRD), set up as its README has it, and data laid out for it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"rcf-lrd": "RCFPlus", "kda-lrd": "KDAPlus", "rcf": "RCF", "kda": "KDA"}
FLAGS = {"emb_size": 64, "include_attr": 1, "include_val": 1, "l2": 1e-6, "num_heads": 4, "num_layers": 5, "gamma": -1}
FLAGS |= {"history_max": 20, "dataset": "Office", "num_workers": 0, "pin_memory": 0, "only_predict": 0, "regenerate": 1}


def options(about: str | None, seed: int) -> argparse.ArgumentParser:
    """What every program beside this file that trains the public code is told; ``about`` is its docstring."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    parser.add_argument("public", type=Path, help="checkout of the public LRD code")
    parser.add_argument("--data", type=Path, required=True, help="folder of Office in ReChorus format")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--model", default="kda-lrd", choices=list(MODELS))
    parser.add_argument("--seed", type=int, default=seed, help="of the public code's weights and draws")
    return parser


def load(name: str, code: Path, folder: Path, seed: int = 2019) -> tuple[Any, dict[str, Any], Any]:
    """Model, data by phase, and runner of a checkout ``code``, which needs pandas and tqdm; it works in ``folder/src``.

    The code runs as it stands but for names that numpy no longer has, and its worker processes are off.
    """
    # names that numpy dropped, and ragged arrays that it made by itself
    importlib.import_module("pandas")
    for old, new in (("object", object), ("int", int), ("float", float)):
        setattr(np, old, new)
    plain = np.array

    def ragged(values: Any, *rest: Any, **more: Any) -> np.ndarray:
        try:
            return plain(values, *rest, **more)
        except ValueError:
            held = np.empty(len(values), dtype=object)
            held[:] = values
            return held

    np.array = ragged  # type: ignore[assignment]
    os.chdir(folder / "src")
    sys.path.insert(0, str(code / "src"))
    import torch

    module = importlib.import_module(f"models.sequential.{MODELS[name]}")
    model_class = getattr(module, MODELS[name])
    reader = getattr(importlib.import_module(f"helpers.{model_class.reader}"), model_class.reader)
    runner_class = importlib.import_module("helpers.BaseRunner").BaseRunner
    parser = argparse.ArgumentParser()
    for add in (reader.parse_data_args, runner_class.parse_runner_args, model_class.parse_model_args):
        parser = add(parser)
    given = FLAGS | {"path": "../data/", "lr": 1e-3 if name.startswith("kda") else 1e-4, "freq_rand": 1}
    given |= {"plm_name": "feat.X", "plm_size": int((folder / "width").read_text()), "include_lrd": 1}
    values, _ = parser.parse_known_args([])
    for key, value in given.items():
        setattr(values, key, value)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the public code draws from it
    corpus = reader(values)
    model = model_class(values, corpus)
    model.apply(model.init_weights)
    model.actions_before_train()
    data = {phase: model_class.Dataset(model, corpus, phase) for phase in ("train", "dev", "test")}
    return model, data, runner_class(values)


def prepare(data: Path, folder: Path) -> None:
    """Lay out the data as the public code wants it, with language vectors beside them for both sides."""
    import lrdgraph
    from lrdgraph.experiment.inputs import cache_folder

    corpus = lrdgraph.load(data)
    vectors = np.asarray(lrdgraph.encode_items(corpus, lrdgraph.TextSettings(), cache_folder()), dtype=np.float32)
    (folder / "src").mkdir()
    office = folder / "data" / "Office"
    office.mkdir(parents=True)
    for file in data.glob("*.*"):
        (office / file.name).symlink_to(file.resolve())
    vectors.tofile(office / "Office.feat.X")
    np.save(folder / "vectors.npy", vectors)
    (folder / "width").write_text(str(vectors.shape[1]))
