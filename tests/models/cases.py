"""Every model with the settings it is tested under, and batches to test it on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from lrdgraph.batch import Batch, target_batch, training_batch, training_windows
from lrdgraph.splits import split
from tests.models import shop

TINY = {"hidden_channels": 16, "num_layers": 1, "max_length": 5}
JOINT = TINY | {"discovery_channels": 8, "num_latent": 2, "text_neighbours": 3}
RANDOM_START = {"discovery_prior": "uniform"}
SHARED = {"loss": "shared-cross-entropy", "num_negatives": 7}
SMALL = {"hidden_channels": 16, "max_length": 5}
AWARE = TINY | {"num_heads": 2, "discovery_channels": 8, "num_negatives": 4}
PUBLISHED = {
    "num_latent": 2,
    "objective": "published",
    "encoder": "additive",
    "loss": "bpr-max",
    "read_posterior": False,
}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "sasrec": {
        "plain": TINY,
        "text": TINY | {"text": True, "text_dropout": 0.2},
        "text alone": TINY | {"text": True, "use_id": False},
        "times": TINY | {"time": "request", "trend": True},
        "times of history": TINY | {"time": "history", "trend": True},
        "binary": TINY | {"loss": "bce", "num_negatives": 1},
        "gSASRec": TINY | {"loss": "gbce", "num_negatives": 7, "time": "request", "trend": True},
        "pairwise": TINY | {"loss": "bpr", "num_negatives": 3},
        "sampled": TINY | {"loss": "sampled-cross-entropy", "num_negatives": 7},
        "shared": TINY | SHARED | {"text": True, "time": "request", "trend": True},
    },
    "lrdgraph": {
        "plain": JOINT,
        "deep": JOINT | {"graph_layers": 2, "num_layers": 2, "trend": True},
        "no latent": JOINT | {"num_latent": 0},
        "fixed": JOINT | {"latent": "fixed"},
        "no graph": JOINT | {"graph_layers": 0},
        "no evidence": JOINT | {"evidence": False},
        "knowledge": JOINT | {"knowledge_weight": 0.5, "discovery_weight": 0.0, "encoder": "additive"} | RANDOM_START,
        "no texts in items": JOINT | {"text": False, "none_state": False, "two_hop_neighbours": 4},
        "texts alone": JOINT | {"use_id": False},
        "sampled": JOINT | {"loss": "gbce", "num_negatives": 7},
        "shuffled texts, warm-up": JOINT | {"discovery_text": "shuffled", "warm_up_epochs": 1},
        "published objective": JOINT | {"objective": "published", "none_state": False} | RANDOM_START,
        "gated": JOINT | {"evidence_gate": True},
        "recurrent": JOINT | {"sequence": "gru", "trend": True},
        "discovery first": JOINT | {"discovery_training": "first"},
        "discovery first, one drawn": JOINT | {"discovery_training": "first", "estimator": "gumbel"},
        "random start": JOINT | RANDOM_START,
        "one relation drawn": JOINT | {"estimator": "gumbel"},
        "shared": JOINT | SHARED,
        "touched": JOINT | SHARED | {"fanout": 3, "trend": True, "knowledge_weight": 0.5, "evidence_gate": True},
        "touched, deep": JOINT | SHARED | {"fanout": -1, "graph_layers": 2, "use_id": False},
    },
    "tisasrec": {
        "plain": TINY | {"num_intervals": 5},
        "deep": TINY | {"num_layers": 2, "text": True, "time": "request", "trend": True},
        "original": TINY | {"loss": "bce", "num_negatives": 1},
    },
    "bert4rec": {
        "plain": TINY,
        "deep": TINY | {"num_layers": 2, "text": True, "trend": True, "last_share": 0.0},
        "sampled": TINY | {"loss": "sampled-cross-entropy", "num_negatives": 7},
    },
    "gru4rec": {
        "plain": SMALL,
        "deep": SMALL | {"num_layers": 2, "text": True, "time": "request", "trend": True},
        "sampled": SMALL | {"loss": "gbce", "num_negatives": 7},
    },
    "narm": {"plain": SMALL, "sampled": SMALL | {"loss": "bpr", "num_negatives": 2}},
    "rcf": {"plain": AWARE, "published": AWARE | PUBLISHED, "maxima": AWARE | {"pooling": "max", "text": True}},
    "kda": {
        "plain": AWARE,
        "latent": AWARE | {"num_latent": 2, "text": True},
        "latent, first": AWARE | {"num_latent": 2, "discovery_training": "first", "discovery_text": "shuffled"},
        "latent, first, additive": AWARE | {"num_latent": 2, "discovery_training": "first", "encoder": "additive"},
        "published, read": AWARE | PUBLISHED | {"read_posterior": True},
        "latent, not read": AWARE | {"num_latent": 2, "read_posterior": False, "none_state": False},
        "published": AWARE | PUBLISHED | {"decay_start": "random", "num_layers": 2},
        "times of history": AWARE | {"time": "history", "knowledge_weight": 0.0},
    },
    "bpr-mf": {"plain": SMALL, "many": SMALL | {"num_negatives": 3, "l2": 0.0}},
    "lightgcn": {"plain": SMALL, "deep": SMALL | {"num_layers": 4}},
    "cfkg": {"plain": SMALL},
    "slrc": {"plain": SMALL, "many": SMALL | {"num_negatives": 3, "l2": 0.0, "days": 10.0}},
    "chorus": {
        "plain": SMALL,
        "complements": SMALL | {"complements": ("needs",), "group": "colour"},
        "substitutes": SMALL | {"substitutes": ("needs",), "num_negatives": 3, "l2": 0.1},
    },
    "item-knn": {"plain": {}, "fading": {"decay": 0.5, "neighbours": 1, "shrinkage": 0.0}},
    "text-knn": {"plain": {}, "fading": {"decay": 0.5}},
    "popularity": {"plain": {}},
    "relation-count": {"plain": {}, "ties": {"tie_break": "popularity"}},
}
EVERY = [pytest.param(name, values, id=f"{name}: {how}") for name in CASES for how, values in CASES[name].items()]
PLAIN = [pytest.param(name, CASES[name]["plain"], id=name) for name in CASES]
SUCCESSION = ["sasrec", "tisasrec", "bert4rec", "lrdgraph", "gru4rec", "narm"]
PERSONAL = ["bpr-mf", "lightgcn", "cfkg", "slrc", "chorus"]
TRAINED = [case for case in EVERY if case.values[0] in (*SUCCESSION, *PERSONAL, "rcf", "kda")]
every, plain, trained = (pytest.mark.parametrize(("name", "values"), cases) for cases in (EVERY, PLAIN, TRAINED))


def requests(length: int = 5) -> Batch:
    targets = split(shop.shop()).targets("test")
    return target_batch(targets, np.arange(12), length)


def lessons(length: int = 5) -> Batch:
    """People of the shop have one transition each; here are two in a row, so that a history has a past."""
    sequences = split(shop.shop()).training()
    batch = training_batch(sequences, *training_windows(sequences, length), length)
    rows = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return Batch(**{k: v[:24] if k == "user" else v.view(2, 24).T.contiguous() for k, v in rows.items()})


def row_of(batch: Batch, row: int) -> Batch:
    held = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return Batch(**{k: None if v is None else v[row : row + 1] for k, v in held.items()})
