"""A small shop: items in groups that are bought one after the other, and the words to train on it in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

USERS, ITEMS, EVENTS = 60, 24, 8
COLOURS, THINGS = ("red", "green", "blue", "steel"), ("paper", "desk", "pen", "lamp", "chair", "steel")
DAY = 86_400

SMALL = """
name = "small"
[data]
source = "{data}"
[text]
vectors = "{vectors}"
[model]
name = "{model}"
hidden_channels = 8
num_layers = 1
num_heads = 1
max_length = 6
{more}
[training]
epochs = 3
batch_size = 32
"""


def write_shop(folder: Path, seed: int = 0) -> Path:
    """Tables of a shop: item ``n`` is followed by ``n + 1`` most of the time; its title tells group and thing."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    events = []
    for user in range(USERS):
        item = int(rng.integers(ITEMS))
        for step in range(EVENTS):
            events.append(f"u{user},i{item},{(10_000 + user + step) * DAY}")
            item = (item + 1) % ITEMS if rng.random() < 0.9 else int(rng.integers(ITEMS))
    (folder / "interactions.csv").write_text("user,item,time\n" + "\n".join(events) + "\n")
    titles = [f"i{n},{COLOURS[n % 4]} {THINGS[n % 6]},brand{n % 3}" for n in range(ITEMS)]
    (folder / "items.csv").write_text("item,title,brand\n" + "\n".join(titles) + "\n")
    edges = [f"i{n}\tcomplement\ti{(n + 1) % ITEMS}" for n in range(ITEMS)]
    edges += [f"i{n}\tmade_by\tbrand{n % 3}" for n in range(ITEMS)]
    (folder / "triples.tsv").write_text("head\trelation\ttail\n" + "\n".join(edges) + "\n")
    return folder


def write_experiment(path: Path, data: Path, model: str = "sasrec", more: str = "") -> Path:
    """An experiment file for the shop, with language vectors of 6 random numbers beside it."""
    vectors = path.with_suffix(".npy")
    np.save(vectors, np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32))
    path.write_text(SMALL.format(data=data, vectors=vectors, model=model, more=more))
    return path
