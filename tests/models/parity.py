"""The shop where our relation-aware models meet the public LRD code, and how their weights correspond."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.graph.build import build_graph
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model
from lrdgraph.models.relation_aware import RelationAware
from lrdgraph.splits import split
from lrdgraph.vocabulary import Vocabulary

USERS, ITEMS, WIDTH, TEXT, LATENT, POINTS = 4, 12, 8, 6, 3, 8
CATEGORY = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 3, 8: 1, 9: 2}  # items 10 to 12 have none
BRAND = {1: 1, 2: 2, 4: 1, 5: 2, 6: 1, 9: 2, 10: 1, 12: 2}
COMPLEMENT = [(1, 2), (2, 1), (3, 4), (5, 9), (9, 12), (11, 3)]
SUBSTITUTE = [(1, 8), (6, 7), (7, 6), (10, 12)]
ENTITIES = [0, 14, 15, 16, 18, 19, 13, 17]
"""Public entities of our rows of values: none, three categories, two brands, and those of a missing category, brand."""
MODELS = ("rcf", "kda", "rcf-lrd", "kda-lrd")


def shop() -> Corpus:
    triples = [(h, 0, t) for h, t in COMPLEMENT] + [(h, 1, t) for h, t in SUBSTITUTE]
    triples += [(h, 2, ITEMS + c) for h, c in CATEGORY.items()] + [(h, 3, ITEMS + 3 + b) for h, b in BRAND.items()]
    head, relation, tail = (np.array(column) for column in zip(*triples, strict=True))
    return Corpus(
        name="parity",
        users=Vocabulary([f"u{n}" for n in range(1, USERS + 1)], "user"),
        items=Vocabulary([f"i{n}" for n in range(1, ITEMS + 1)]),
        user=np.repeat(np.arange(1, USERS + 1), 5),
        item=np.arange(20) % ITEMS + 1,
        time=np.arange(20),
        fields=pl.DataFrame({"title": [f"item {n}" for n in range(1, ITEMS + 1)]}),
        attributes=Vocabulary(["c1", "c2", "c3", "b1", "b2"], "attribute"),
        triples=Triples(head, relation, tail, ("complement", "substitute", "category", "brand")),
    )


def inputs(text: np.ndarray) -> ModelInputs:
    corpus = shop()
    graph = build_graph(corpus, inverses=False, min_attribute_items=1)
    return model_inputs(corpus, split(corpus).training(), text, graph)


def settings(name: str) -> dict[str, Any]:
    values: dict[str, Any] = {"hidden_channels": WIDTH, "num_layers": 2, "num_heads": 2, "loss": "bpr-max"}
    values |= {"num_negatives": 5, "knowledge_weight": 0.7}
    if name.startswith("kda"):
        values |= {"frequency_points": POINTS}
    if name.endswith("-lrd"):
        values |= {"num_latent": LATENT, "objective": "published", "encoder": "additive", "read_posterior": False}
        # the public models differ here too
        values |= {"discovery_channels": WIDTH, "discovery_weight": 10.0, "skip_first": name.startswith("kda")}
    return values


def renamed(name: str, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights or gradients of the public model under the names of ours, but for the texts."""
    entities = theirs["entity_embeddings.weight"]
    found = {
        "users.weight": theirs["user_embeddings.weight"],
        "items.free.weight": entities[: ITEMS + 1],
        "values.table.weight": entities[ENTITIES],
        "relations": theirs["relation_embeddings.weight"],
        "bias": theirs["item_bias.weight"][: ITEMS + 1, 0],
        "mixer.attend.weight": torch.cat([theirs[f"attn_head.{part}_linear.weight"] for part in "qkv"]),
    }
    for mine, other in (("inner", "W1"), ("outer", "W2"), ("norm", "layer_norm")):
        for part in ("weight", "bias"):
            found[f"mixer.{mine}.{part}"] = theirs[f"{other}.{part}"]
    if name.startswith("kda"):
        found["decay.cosine"] = theirs["relational_dynamic_aggregation.freq_real.weight"]
        found["decay.sine"] = theirs["relational_dynamic_aggregation.freq_imag.weight"]
    if name.endswith("-lrd"):
        for mine, other in (("project", "project_layer_1"), ("score", "project_layer_2")):
            for part in ("weight", "bias"):
                found[f"latent.dvae.encoder.{mine}.{part}"] = theirs[f"{other}.{part}"]
    return found


def ours(name: str, weights: dict[str, Tensor]) -> RelationAware:
    """Our model with the weights of the public one, in double precision."""
    text = weights["item_embeddings.weight"][1:].numpy() if name.endswith("-lrd") else None
    model = build_model(
        name.removesuffix("-lrd"), inputs(text if text is not None else np.zeros((ITEMS, TEXT))), settings(name)
    )
    assert isinstance(model, RelationAware)
    model.double().eval()
    if name.endswith("-lrd"):
        # float64 text, where the model keeps float32
        model.latent.dvae.text = weights["item_embeddings.weight"]  # type: ignore[union-attr]
    model.load_state_dict(renamed(name, weights))
    return model
