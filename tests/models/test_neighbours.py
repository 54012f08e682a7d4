"""Nearest neighbours by people and by texts, against dense arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_loaders import load
from lrdgraph.batch import history_batch
from lrdgraph.evaluation import EvaluationSettings, evaluate
from lrdgraph.models.extend import extend
from lrdgraph.models.inputs import model_inputs
from lrdgraph.models.neighbours import nearest_by_people
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from tests.models import shop

ITEMS = 9


def events(seed: int = 0, number: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 13, number), rng.integers(1, ITEMS, number)  # nobody has the last item


def dense(user: np.ndarray, item: np.ndarray, neighbours: int, shrinkage: float) -> np.ndarray:
    """``(N + 1, N + 1)`` similarities, pair by pair; 0 where an item is not among the neighbours."""
    people = {i: {u for u, j in zip(user, item, strict=True) if j == i} for i in range(ITEMS + 1)}
    found = np.zeros((ITEMS + 1, ITEMS + 1))
    for i in range(1, ITEMS + 1):
        row = [0.0] * (ITEMS + 1)
        for j in range(1, ITEMS + 1):
            if i != j and people[i] & people[j]:
                row[j] = len(people[i] & people[j]) / ((len(people[i]) * len(people[j])) ** 0.5 + shrinkage)
        best = sorted(range(ITEMS + 1), key=lambda j: (-row[j], j))[:neighbours]
        found[i, best] = np.array(row)[best]
    return found


def histories(*rows: list[int]):
    """Right-aligned, an event a day, asked for a day after the last."""
    length = max(map(len, rows))
    item = np.array([[0] * (length - len(row)) + row for row in rows])
    time = np.where(item > 0, np.arange(1, length + 1) * shop.DAY, 0)
    return history_batch(item, time, np.full(len(rows), (length + 1) * shop.DAY), np.zeros(len(rows), np.int64))


@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
@pytest.mark.parametrize("neighbours", [1, 3, 100])
def test_neighbours_are_those_of_the_dense_matrix(neighbours: int, shrinkage: float) -> None:
    user, item = events()
    assert len(set(zip(user, item, strict=True))) < len(user), "repetitions count once"
    edges, weight = nearest_by_people(user, item, ITEMS, neighbours, shrinkage)
    found = np.zeros((ITEMS + 1, ITEMS + 1))
    found[tuple(edges.numpy())] = weight
    np.testing.assert_allclose(found, dense(user, item, neighbours, shrinkage), atol=1e-7)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    user, item = events()
    whole = nearest_by_people(user, item, ITEMS, 3)
    monkeypatch.setattr("lrdgraph.models.neighbours._ROWS_AT_ONCE", 2)
    parts = nearest_by_people(user, item, ITEMS, 3)
    assert torch.equal(whole[0], parts[0])
    assert torch.equal(whole[1], parts[1])


def test_no_events_have_no_neighbours() -> None:
    edges, weight = nearest_by_people(np.zeros(0, np.int64), np.zeros(0, np.int64), ITEMS, 3)
    assert (edges.shape, weight.shape) == ((2, 0), (0,))


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_item_knn_sums_similarities_of_events(decay: float) -> None:
    user, item = events()
    inputs = shop.inputs()
    inputs = replace(inputs, events=torch.from_numpy(np.stack([user, item, np.arange(len(user))])))
    model = build_model("item-knn", inputs, {"neighbours": 2, "shrinkage": 1.0, "decay": decay})
    likeness = dense(user, item, 2, 1.0)
    batch = histories([3, 5, 3], [7], [2, 4])
    scores = model.score(batch).numpy()
    for row, history in enumerate(([3, 5, 3], [7], [2, 4])):
        expected = sum(decay**back * likeness[h] for back, h in enumerate(reversed(history)))
        np.testing.assert_allclose(scores[row, : ITEMS + 1], expected, atol=1e-6)
    assert not scores[:, ITEMS + 1 :].any()


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_text_knn_is_the_mean_cosine_of_centred_vectors(decay: float) -> None:
    inputs = shop.inputs()
    text = inputs.text.clone()
    text[24] = 0  # nothing is known of it
    model = build_model("text-knn", replace(inputs, text=text), {"decay": decay})
    known = text[1:24].double().numpy()
    unit = np.zeros((25, known.shape[1]))
    unit[1:24] = known - known.mean(0)
    unit[1:24] /= np.linalg.norm(unit[1:24], axis=1, keepdims=True)
    scores = model.score(histories([3, 5, 3], [24, 7])).numpy()
    for row, history in enumerate(([3, 5, 3], [24, 7])):
        weight = [decay**back for back in range(len(history))]
        cosines = sum(w * unit @ unit[h] for w, h in zip(weight, reversed(history), strict=True))
        np.testing.assert_allclose(scores[row, 1:], cosines[1:] / sum(weight), atol=1e-5)


def test_settings_of_the_shop_are_found() -> None:
    """Pen and ink of a colour are bought by the same people, and their titles share a word."""
    for name in ("item-knn", "text-knn"):
        ((best, *_),) = shop.model(name).recommend([["red-pen"]], k=24, reasons=1)
        colour = best.item.split("-")[0]
        assert colour == "red"
        assert str(best.reasons[0]).startswith(("companion of red-pen", "lookalike of red-pen"))


@pytest.mark.parametrize("name", ["item-knn", "text-knn"])
def test_reasons_add_up_to_the_score(name: str) -> None:
    model = shop.model(name, decay=0.5)
    batch = histories([1, 2, 5], [9, 13])
    candidates = torch.tensor([[2, 6, 10], [14, 1, 9]])
    told = model.explain(batch, candidates)
    total = torch.zeros(2, 3).index_put((told.row, told.column), told.value, accumulate=True)
    torch.testing.assert_close(total, model.score(batch, candidates))
    assert total.count_nonzero() >= 2
    assert told.seconds.min() == shop.DAY


def test_items_added_later_leave_the_old_ones_as_they_were() -> None:
    model = shop.model("text-knn")
    more = extend(model, ["red-eraser"], shop.vectors("red eraser of the red line"))
    batch = histories([1, 2], [9])
    torch.testing.assert_close(more.score(batch)[:, 1:25], model.score(batch)[:, 1:])
    ((best,),) = more.recommend([["red-eraser"]], k=1)
    assert best.item.startswith("red-")


def test_people_say_more_than_chance() -> None:
    """Two circles of people who buy within their own half of the catalogue; the control deals the items out anew."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(1, 41), 6)
    half = (user % 2) * 10
    item = half + rng.integers(1, 11, len(user))
    for chosen, share in ((item, 1.0), (rng.permutation(item), 0.5)):
        edges, _ = nearest_by_people(user, chosen, 20, 5)
        same = ((edges[0] > 10) == (edges[1] > 10)).float().mean().item()
        assert same == pytest.approx(share, abs=0.15)


def test_office(office) -> None:
    corpus = load(office)
    parts = split(corpus)
    inputs = model_inputs(corpus, parts.training())
    model = build_model("item-knn", inputs, {"decay": 0.8})
    found = evaluate(
        model.score,
        parts.targets("validation"),
        EvaluationSettings(),
        max_length=model.max_length,
        num_items=corpus.num_items,
    )
    assert found.metrics["candidates-99/NDCG@5"] == pytest.approx(0.189, abs=0.01)
