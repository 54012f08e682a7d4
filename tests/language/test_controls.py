"""Vectors without a language model, and vectors dealt to other items."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.language import TextSettings, encode_items, item_vectors, shuffled
from lrdgraph.language.cache import BATCHES_PER_CHUNK
from lrdgraph.language.tfidf import WordEncoder
from lrdgraph.storage import read_json
from tests.language.conftest import make_corpus

TITLES = [f"{colour} {thing} for a {room}" for colour in ("red", "blue", "green", "black")
          for thing in ("pen", "lamp", "chair", "paper", "desk") for room in ("school", "office")]  # fmt: skip
CORPUS = make_corpus(title=TITLES)
RANDOM, WORDS = TextSettings(model="random"), TextSettings(model="tfidf-svd")


def test_random_vectors_are_gaussian_of_length_one_and_always_the_same(tmp_path: Path) -> None:
    found = item_vectors(CORPUS, RANDOM, tmp_path)
    assert found.shape == (40, 384)
    assert found.dtype == np.float32
    assert not found.flags.writeable
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found, item_vectors(CORPUS, RANDOM, tmp_path))
    raw = item_vectors(CORPUS, dataclasses.replace(RANDOM, normalize=False, width=2000), tmp_path)
    assert abs(raw.mean()) < 0.02
    assert abs(raw.std() - 1) < 0.02
    assert np.abs(np.corrcoef(raw) - np.eye(40)).max() < 0.12
    assert not list(tmp_path.iterdir())


def test_random_vectors_need_no_texts(tmp_path: Path) -> None:
    bare = dataclasses.replace(CORPUS, fields=CORPUS.fields.select([]))
    np.testing.assert_array_equal(encode_items(bare, RANDOM, tmp_path), encode_items(CORPUS, RANDOM, tmp_path))


def test_tfidf_worked_by_hand() -> None:
    """Two words, each in one of two texts, one text of both: idf is log(4 / 3) + 1 for both, and cancels."""
    texts = ["red", "pen", "red pen"]
    encoder = WordEncoder(dataclasses.replace(WORDS, normalize=False), texts)
    assert encoder.width == 2
    unit = np.array([[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]])
    found = encoder.encode(texts)
    # all directions are kept, so what is turned has the inner products that it had
    np.testing.assert_allclose(found @ found.T, unit @ unit.T, atol=1e-6)


def test_tfidf_keeps_the_main_directions(tmp_path: Path) -> None:
    found = encode_items(CORPUS, dataclasses.replace(WORDS, width=5, normalize=False), tmp_path)
    whole = encode_items(CORPUS, dataclasses.replace(WORDS, normalize=False), tmp_path)
    assert found.shape == (40, 5)
    assert whole.shape == (40, 12)  # fewer words than 384
    left, values, _ = np.linalg.svd(whole, full_matrices=False)
    best = left[:, :5] * values[:5]
    np.testing.assert_allclose(found @ found.T, best @ best.T, atol=1e-4)
    alike, other = TITLES.index("red pen for a office"), TITLES.index("blue chair for a school")
    unit = item_vectors(CORPUS, WORDS, tmp_path)
    pen = TITLES.index("red pen for a school")
    assert unit[pen] @ unit[alike] > unit[pen] @ unit[other] + 0.3


def test_tfidf_is_cached_under_what_it_depends_on(tmp_path: Path) -> None:
    for same in ({}, {"pooling": "last"}, {"dtype": "float16"}, {"batch_size": 3}, {"shuffle": 4}):
        first = item_vectors(CORPUS, dataclasses.replace(WORDS, **same), tmp_path)
        assert len(list(tmp_path.iterdir())) == 1, same
    assert first.shape == (40, 12)
    for number, change in enumerate([{"width": 5}, {"normalize": False}], start=2):
        item_vectors(CORPUS, dataclasses.replace(WORDS, **change), tmp_path)
        assert len(list(tmp_path.iterdir())) == number
    meta = read_json(next(tmp_path.glob("*/meta.json")))
    assert (meta["model"], meta["pooled"], list(meta["versions"])) == ("tfidf-svd", "none", ["numpy", "scikit-learn"])


def test_tfidf_goes_on_after_a_kill(tmp_path: Path) -> None:
    settings = dataclasses.replace(WORDS, batch_size=2)

    def kill(done: int, _: int) -> None:
        if done == 2 * BATCHES_PER_CHUNK + 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_items(CORPUS, settings, tmp_path / "a", kill)
    seen: list[int] = []
    resumed = encode_items(CORPUS, settings, tmp_path / "a", lambda done, _: seen.append(done))
    assert seen[0] == 2 * BATCHES_PER_CHUNK
    np.testing.assert_array_equal(resumed, encode_items(CORPUS, settings, tmp_path / "b"))


@given(number=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_shuffling_permutes_the_items_and_leaves_the_padding(number: int, seed: int) -> None:
    text = torch.arange(number + 1.0)[:, None].expand(-1, 3)
    dealt = shuffled(text, seed)
    assert not dealt[0].any()
    assert torch.equal(dealt[:, 0].sort().values, text[:, 0])
    assert torch.equal(dealt[:, :1].expand(-1, 3), dealt)
    assert torch.equal(dealt, shuffled(text, seed))


def test_few_items_keep_their_own_and_seeds_differ() -> None:
    text = torch.arange(1001.0)[:, None]
    first, second = shuffled(text, 1), shuffled(text, 2)
    assert int((first == text)[1:].sum()) < 8
    assert int((first == second)[1:].sum()) < 8
    assert torch.equal(text, torch.arange(1001.0)[:, None])


@pytest.mark.parametrize("source", ["own vectors", "words", "random"])
def test_shuffle_of_the_settings_is_the_same_dealing(source: str, tmp_path: Path) -> None:
    settings = {"own vectors": TextSettings(vectors=str(tmp_path / "v.npy")), "words": WORDS, "random": RANDOM}[source]
    np.save(tmp_path / "v.npy", np.arange(80, dtype=np.float32).reshape(40, 2))
    own = np.array(item_vectors(CORPUS, settings, tmp_path / "cache"))
    dealt = item_vectors(CORPUS, dataclasses.replace(settings, shuffle=3), tmp_path / "cache")
    inner = torch.cat([torch.zeros(1, own.shape[1]), torch.from_numpy(own)])
    np.testing.assert_array_equal(dealt, shuffled(inner, 3)[1:].numpy())
    assert not dealt.flags.writeable
    assert np.abs(dealt - own).max() > 0.1
