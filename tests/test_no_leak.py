"""Change every validation and test interaction, and nothing that training reads may change by a single bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from lrdgraph.batch import epoch_order, training_batch, training_windows
from lrdgraph.corpus import TEST, TRAIN, VALIDATION, Corpus, Triples
from lrdgraph.discovery.pairs import batch_pairs, history_pairs
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.experiment.inputs import build_inputs
from lrdgraph.experiment.settings import experiment_settings
from lrdgraph.graph.candidates import nearest_text_pairs, two_hop_pairs
from lrdgraph.graph.cooccurrence import cooccurrence_pairs
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import build_model, model_class, model_names
from lrdgraph.splits import Split, split
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train
from lrdgraph.vocabulary import Vocabulary

USERS, ITEMS, DAY = 30, 25, 86_400
SPLITS = ["leave-one-out", "given", "temporal"]
TINY = {"hidden_channels": 8, "num_layers": 1, "max_length": 4, "text": True, "trend": True}
AWARE = {"hidden_channels": 8, "num_layers": 1, "num_heads": 2, "max_length": 4, "discovery_channels": 8}
AWARE |= {"num_negatives": 4, "num_latent": 2}
MODELS: dict[str, dict[str, Any]] = {
    "sasrec": TINY | {"time": "request"},
    "lrdgraph": TINY
    | {"discovery_channels": 4, "num_latent": 2, "text_neighbours": 3, "two_hop_neighbours": 3}
    | {"knowledge_weight": 0.5},
    "tisasrec": TINY | {"num_intervals": 8},
    "bert4rec": TINY,
    "gru4rec": {"hidden_channels": 8, "max_length": 4, "loss": "bpr", "num_negatives": 4},
    "narm": {"hidden_channels": 8, "max_length": 4, "loss": "sampled-cross-entropy", "num_negatives": 4},
    "rcf": AWARE,
    "kda": AWARE | {"objective": "published", "encoder": "additive", "loss": "bpr-max"},
    "bpr-mf": {"hidden_channels": 8, "max_length": 4},
    "lightgcn": {"hidden_channels": 8, "max_length": 4},
    "cfkg": {"hidden_channels": 8, "max_length": 4},
    "slrc": {"hidden_channels": 8, "max_length": 4},
    "chorus": {"hidden_channels": 8, "max_length": 4, "first_epochs": 2},
    "item-knn": {"neighbours": 5},
    "text-knn": {},
    "popularity": {},
    "relation-count": {"tie_break": "popularity"},
}


def original() -> Corpus:
    """Random events at times that all differ, with a published split (any events of a person may be held out)."""
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(1, USERS + 1, 250))
    role = rng.choice([TRAIN, TRAIN, TRAIN, VALIDATION, TEST], 250).astype(np.int8)
    triples = rng.integers(1, ITEMS + 1, (2, 40))
    held_out = {"validation": VALIDATION, "test": TEST}
    return Corpus(
        name="leak",
        users=Vocabulary([f"u{n}" for n in range(USERS)], "user"),
        items=Vocabulary([f"i{n}" for n in range(ITEMS)]),
        user=user,
        item=rng.integers(1, ITEMS + 1, 250),
        time=rng.permutation(10_000)[:250] * DAY,
        fields=pl.DataFrame({"title": [f"item {n}" for n in range(ITEMS)]}),
        triples=Triples(triples[0], np.zeros(40, np.int64), triples[1], ("with",)),
        split=role,
        candidates={name: rng.integers(1, ITEMS + 1, (int((role == v).sum()), 5)) for name, v in held_out.items()},
    )


def roles(corpus: Corpus, how: str) -> np.ndarray:
    """Role of each interaction in the order of the corpus."""
    parts = split(corpus, how)
    role = np.empty_like(parts.role)
    role[parts.source] = parts.role
    return role


def changed(corpus: Corpus, how: str) -> Corpus:
    """Every item, time, candidate and (where the split does not follow from it) user outside training is another."""
    rng = np.random.default_rng(1)
    role = roles(corpus, how)
    held = role != TRAIN
    item, time, user = corpus.item.copy(), corpus.time.copy(), corpus.user.copy()
    item[held] = item[held] % ITEMS + 1
    if how == "given":
        time[held] = rng.permutation(10_000)[: held.sum()] * DAY + 7  # also before anything in training
    else:
        # later in an order that is kept, so that every event keeps its role
        time[held] = corpus.time[held] * 2 + 10_000 * DAY + 7
    if how != "leave-one-out":
        user[held] = user[held] % USERS + 1
    lists = {name: rows % ITEMS + 1 for name, rows in corpus.candidates.items()}
    other = replace(corpus, item=item, time=time, user=user, candidates=lists)
    assert np.array_equal(roles(other, how), role)
    assert set(role.tolist()) == {TRAIN, VALIDATION, TEST}
    assert (other.item != corpus.item)[held].all()
    assert (other.time != corpus.time)[held].all()
    return other


def arrays(value: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Every array within a value, by name: tensors, dataclasses, sequences and vocabularies."""
    if isinstance(value, Tensor):
        yield name, value.detach().numpy()
    elif isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, Vocabulary):
        yield name, value.series.to_numpy()
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, nn.Module):
        for part, module in value.named_modules():
            for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                yield f"{name}.{part}.{key}", tensor.detach().numpy()
    elif isinstance(value, list | tuple):
        for n, part in enumerate(value):
            yield from arrays(part, f"{name}[{n}]")


def differing(left: Any, right: Any) -> list[str]:
    """Names of arrays that are not the same, bit by bit."""
    one, other = dict(arrays(left, "")), dict(arrays(right, ""))
    assert one, "nothing was compared"
    assert one.keys() == other.keys()
    return [name for name, array in one.items() if not _same(array, other[name])]


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tolist() == right.tolist()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "vectors.npy"
    np.save(path, np.random.default_rng(2).standard_normal((ITEMS, 6)).astype(np.float32))
    return path


def inputs_of(corpus: Corpus, how: str, name: str, vectors: Path) -> tuple[Split, ModelInputs]:
    """As an experiment makes them."""
    settings = experiment_settings(
        {"text": {"vectors": str(vectors)}, "model": {"name": name} | MODELS[name], "data": {"split": how}}
    )
    parts = split(corpus, how)
    return parts, build_inputs(settings, corpus, parts)


def built(name: str, inputs: ModelInputs) -> Recommender:
    torch.manual_seed(0)
    return build_model(name, inputs, MODELS[name])


def derived(corpus: Corpus, how: str, vectors: Path) -> list[Any]:
    """All that training reads, whichever the model: events, windows, batches, pairs and inputs."""
    parts, inputs = inputs_of(corpus, how, "lrdgraph", vectors)
    sequences = parts.training()
    start, end = training_windows(sequences, 4)
    batches = []
    for epoch in range(3):
        rows = epoch_order(end - start, 8, np.random.default_rng([0, epoch]))
        batches += [training_batch(sequences, start[part], end[part], 4) for part in rows]
    chance = torch.Generator().manual_seed(0)
    return [
        sequences,
        (start, end),
        batches,
        inputs,
        nearest_text_pairs(inputs.text, 3),
        two_hop_pairs(inputs.graph, 3),
        cooccurrence_pairs(sequences, ITEMS, window=2, min_count=1),
        history_pairs(sequences),
        [batch_pairs(batch.history, batch.target, 20, chance) for batch in batches],
    ]


def test_every_model_is_listed() -> None:
    assert {name for name in model_names() if model_class(name).__module__.startswith("lrdgraph.")} == set(MODELS)


@pytest.mark.parametrize("how", SPLITS)
def test_events_windows_batches_inputs_and_pairs(how: str, vectors: Path) -> None:
    corpus = original()
    assert differing(derived(corpus, how, vectors), derived(changed(corpus, how), how, vectors)) == []


@pytest.mark.parametrize("how", SPLITS)
@pytest.mark.parametrize("name", MODELS)
def test_weights_and_buffers_before_and_after_training(name: str, how: str, vectors: Path) -> None:
    models = []
    for corpus in (original(), changed(original(), how)):
        parts, inputs = inputs_of(corpus, how, name, vectors)
        models.append((built(name, inputs), parts))
    (first, first_parts), (second, second_parts) = models
    assert len(list(arrays(first, ""))) > len(first.state_dict()), "buffers that are not saved are compared too"
    assert differing(first, second) == []
    if first.trainable:
        start = [tensor.clone() for tensor in first.state_dict().values()]
        # one epoch, so that there is nothing to choose by validation
        settings = TrainingSettings(epochs=1, batch_size=8, device="cpu", average=0.5)
        logs = [
            train(m, p, settings, EvaluationSettings()).log[0]
            for m, p in ((first, first_parts), (second, second_parts))
        ]
        assert differing(first, second) == []
        assert differing(start, list(first.state_dict().values()))
        assert logs[0]["loss"] == logs[1]["loss"]
        assert logs[0]["validation"] != logs[1]["validation"], "what is validated did change"


@pytest.mark.parametrize("name", ["lrdgraph", "sasrec"])
def test_weights_of_the_sampled_mode(name: str, vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = {"loss": "shared-cross-entropy", "num_negatives": 6, "sparse_gradients": True}
    sampled |= {"fanout": 2, "cooccurrence_neighbours": 2} if name == "lrdgraph" else {}
    monkeypatch.setitem(MODELS, name, MODELS[name] | sampled)
    test_weights_and_buffers_before_and_after_training(name, "leave-one-out", vectors)


@pytest.mark.parametrize("how", SPLITS)
def test_the_comparison_notices_one_training_event(how: str, vectors: Path) -> None:
    corpus = original()
    item = corpus.item.copy()
    at = np.flatnonzero(roles(corpus, how) == TRAIN)[5]
    item[at] = item[at] % ITEMS + 1
    other = replace(corpus, item=item)
    found = differing(derived(corpus, how, vectors)[3], derived(other, how, vectors)[3])
    assert found == [".popularity", ".events"]
    models = [built("lrdgraph", inputs_of(c, how, "lrdgraph", vectors)[1]) for c in (corpus, other)]
    assert ".trend.table" in differing(*models)


def test_the_comparison_notices_a_model_that_counts_every_event(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Split, "training", lambda parts: parts.events)
    corpora = (original(), changed(original(), "given"))
    models = [built("lrdgraph", inputs_of(corpus, "given", "lrdgraph", vectors)[1]) for corpus in corpora]
    assert {".items.seen", ".trend.table", ".discovery.log_popularity"} & set(differing(*models))
