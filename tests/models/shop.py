"""A shop small enough to train on in a second: six colours of four things that people buy one after the other."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from lrdgraph.batch import training_batch, training_windows
from lrdgraph.corpus import Corpus, Triples
from lrdgraph.graph.build import build_graph
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from lrdgraph.vocabulary import Vocabulary

COLOURS = ("red", "blue", "green", "black", "white", "gold")
THINGS = ("pen", "ink", "pad", "case")
DAY = 86_400
TINY = {"hidden_channels": 16, "num_layers": 1, "dropout": 0.0, "max_length": 5, "discovery_channels": 8}
TINY |= {"num_latent": 2, "text_neighbours": 3}


@cache
def shop() -> Corpus:
    """24 items; pen needs ink and ink needs pad of the same colour; each item has its colour as an attribute value."""
    rng = np.random.default_rng(0)
    ids = [f"{colour}-{thing}" for colour in COLOURS for thing in THINGS]
    user, item, time = [], [], []
    for person in range(1, 49):
        first = 4 * int(rng.integers(len(COLOURS))) + 1
        days = np.cumsum(rng.integers(1, 20, 4)) + 10_000
        user += [person] * 4
        item += [first, first + 1, first + 2, first + 3]
        time += (days * DAY).tolist()
    pens = np.arange(1, 25, 4)
    head = np.concatenate([pens, pens + 1, np.arange(1, 25)])
    tail = np.concatenate([pens + 1, pens + 2, 25 + (np.arange(24) // 4)])
    relation = np.repeat([0, 0, 1], [6, 6, 24])
    weight = np.where(relation == 0, 0.5, 1).astype(np.float32)
    weight[:6] = 1
    return Corpus(
        name="shop",
        users=Vocabulary([f"u{n}" for n in range(1, 49)], "user"),
        items=Vocabulary(ids),
        user=np.array(user),
        item=np.array(item),
        time=np.array(time),
        fields=pl.DataFrame({"title": [title(name) for name in ids]}),
        attributes=Vocabulary(COLOURS, "attribute"),
        triples=Triples(head, relation, tail, ("needs", "colour"), weight),
    )


def title(name: str) -> str:
    colour, thing = name.split("-")
    return f"{colour} {thing} of the {colour} line"


def vectors(*titles: str) -> np.ndarray:
    """TF-IDF vectors ``(n, T)`` of titles, fitted on the shop's own."""
    own = shop().fields["title"].to_list()
    return TfidfVectorizer().fit(own).transform(titles or own).toarray().astype(np.float32)


def inputs() -> ModelInputs:
    corpus = shop()
    return model_inputs(corpus, split(corpus).training(), vectors(), build_graph(corpus))


def model(name: str, steps: int = 0, **settings: Any) -> Recommender:
    """A model of the shop, trained for a few steps, in evaluation mode."""
    torch.manual_seed(0)
    tiny = TINY if name == "lrdgraph" else {}
    made = build_model(name, inputs(), tiny | settings)
    sequences = split(shop()).training()
    start, end = training_windows(sequences, made.max_length)
    batch = training_batch(sequences, start, end, made.max_length)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.03) if steps else None
    for _ in range(steps):
        optimizer.zero_grad()
        made.loss(batch)["total"].backward()
        optimizer.step()
    return made.eval()
