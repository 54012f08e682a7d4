import dataclasses
import hashlib
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lrdgraph.errors import DataError
from lrdgraph.language import TextEncoder, TextSettings, encode_items, item_vectors
from lrdgraph.language import cache as cache_module
from lrdgraph.models.inputs import model_inputs
from lrdgraph.splits import split
from lrdgraph.storage import read_json
from tests.language.conftest import make_corpus, save_model

TITLES = ["red pen", "blue steel desk lamp .", "paper", "green chair : this means word", "pen red"] * 4
CORPUS = make_corpus(title=TITLES)


@pytest.fixture
def settings(encoder_folder: Path) -> TextSettings:
    return TextSettings(model=str(encoder_folder), batch_size=1)


class Killed(BaseException):
    pass


def kill_after(count: int) -> cache_module.Progress:
    def progress(done: int, _: int) -> None:
        if done == count:
            raise Killed

    return progress


def test_equals_the_encoder_and_is_mapped_and_read_only(settings: TextSettings, tmp_path: Path) -> None:
    vectors = encode_items(CORPUS, settings, tmp_path)
    np.testing.assert_array_equal(vectors, TextEncoder(settings).encode(TITLES))
    assert isinstance(vectors, np.memmap)
    assert vectors.dtype == np.float32
    assert not vectors.flags.writeable
    (folder,) = tmp_path.iterdir()
    assert {file.name for file in folder.iterdir()} == {"vectors.npy", "meta.json", "lock"}
    meta = read_json(folder / "meta.json")
    assert (meta["pooling"], meta["pooled"], meta["shape"]) == ("auto", "mean", [20, 16])


def test_second_run_loads_no_model(settings: TextSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode_items(CORPUS, settings, tmp_path)
    monkeypatch.setattr(cache_module, "TextEncoder", None)
    np.testing.assert_array_equal(item_vectors(CORPUS, settings, tmp_path), first)


@pytest.mark.parametrize("at", [7, 8, 9, 17, 19])
def test_resumes_from_the_last_whole_chunk(at: int, settings: TextSettings, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        encode_items(CORPUS, settings, tmp_path / "a", kill_after(at))
    seen: list[int] = []
    resumed = encode_items(CORPUS, settings, tmp_path / "a", lambda done, _: seen.append(done))
    whole = at // 8 * 8
    assert seen == list(range(whole if whole else 1, 21))
    np.testing.assert_array_equal(resumed, encode_items(CORPUS, settings, tmp_path / "b"))


@pytest.mark.parametrize("damage", ["cut vectors", "cut count", "foreign count", "no vectors", "other shape"])
def test_damaged_partial_work_is_begun_anew(damage: str, settings: TextSettings, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        encode_items(CORPUS, settings, tmp_path / "a", kill_after(17))
    (folder,) = (tmp_path / "a").iterdir()
    partial, count = folder / "vectors.partial", folder / "progress.json"
    if damage == "cut vectors":
        partial.write_bytes(partial.read_bytes()[:-100])
    elif damage == "cut count":
        count.write_text('{"done')
    elif damage == "foreign count":
        count.write_text('{"done": 999}')
    elif damage == "no vectors":
        partial.unlink()
    else:
        with partial.open("wb") as stream:
            np.save(stream, np.zeros((3, 16), np.float32))
    seen: list[int] = []
    vectors = encode_items(CORPUS, settings, tmp_path / "a", lambda done, _: seen.append(done))
    assert seen[0] == 1
    np.testing.assert_array_equal(vectors, encode_items(CORPUS, settings, tmp_path / "b"))


@pytest.mark.parametrize("keep", [0, 50, 500, 1407])
def test_truncated_vectors_are_made_anew(keep: int, settings: TextSettings, tmp_path: Path) -> None:
    expected = np.array(encode_items(CORPUS, settings, tmp_path))
    (file,) = tmp_path.glob("*/vectors.npy")
    file.write_bytes(file.read_bytes()[:keep])
    np.testing.assert_array_equal(encode_items(CORPUS, settings, tmp_path), expected)


def keys(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_key_depends_on_all_that_the_vectors_depend_on(settings: TextSettings, tmp_path: Path) -> None:
    encode_items(CORPUS, settings, tmp_path)
    for same in ({"batch_size": 3}, {"device": "cpu"}, {"fields": ("title",)}, {"allow_empty": True}, {"shuffle": 1}):
        encode_items(CORPUS, dataclasses.replace(settings, **same), tmp_path)
    assert len(keys(tmp_path)) == 1
    changes = [
        {"pooling": "cls"},
        {"prompt": "item {text}"},
        {"max_length": 7},
        {"dtype": "bfloat16"},
        {"normalize": False},
        {"template": "{title} pen"},
    ]
    for number, change in enumerate(changes, start=2):
        encode_items(CORPUS, dataclasses.replace(settings, **change), tmp_path)
        assert len(keys(tmp_path)) == number, change
    # texts that join to the same string, cut elsewhere
    encode_items(make_corpus(title=["red pen", "pen"]), settings, tmp_path)
    encode_items(make_corpus(title=["red penp", "en"]), settings, tmp_path)
    assert len(keys(tmp_path)) == len(changes) + 3


def test_key_of_the_default_settings_is_the_one_it_always_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that came later leave vectors valid that were computed before them."""
    monkeypatch.setattr(cache_module, "identity", lambda _: "model")
    about = cache_module._about(pl.Series(["red pen", "Café ☕"]), TextSettings())
    names = ["format", "texts", "model", "pooling", "prompt", "max_length", "dtype", "normalize"]
    assert list(about) == names
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    assert key == "c4ef587d0a3d4e59f407b511963a76f7351ebe5a0c84ade67c06504da15314eb"


def test_key_follows_the_content_of_the_model_not_its_place(settings: TextSettings, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    moved = shutil.copytree(settings.model, tmp_path / "moved")
    first = np.array(encode_items(CORPUS, settings, cache))
    encode_items(CORPUS, dataclasses.replace(settings, model=str(moved)), cache)
    assert len(keys(cache)) == 1
    save_model(moved, "encoder", seed=1)  # other weights under the same name
    other = encode_items(CORPUS, dataclasses.replace(settings, model=str(moved)), cache)
    assert len(keys(cache)) == 2
    assert np.abs(other - first).max() > 0.01
    config = moved / "tokenizer_config.json"
    config.write_text(json.dumps({**read_json(config), "model_max_length": 12}))
    encode_items(CORPUS, dataclasses.replace(settings, model=str(moved)), cache)
    assert len(keys(cache)) == 3


def test_two_at_once_share_the_work(settings: TextSettings, tmp_path: Path) -> None:
    seen: list[int] = []
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(encode_items(CORPUS, settings, tmp_path, lambda done, _: seen.append(done)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(1, 21))
    np.testing.assert_array_equal(*results)


def test_full_disk_is_told_before_work(settings: TextSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DataError, match="0 bytes free"):
        encode_items(CORPUS, settings, tmp_path)


def test_half_precision_takes_half_the_room_and_a_key_of_its_own(settings: TextSettings, tmp_path: Path) -> None:
    whole = encode_items(CORPUS, settings, tmp_path)
    half = dataclasses.replace(settings, storage="float16")
    vectors = encode_items(CORPUS, half, tmp_path)
    assert (vectors.dtype, whole.dtype) == (np.float16, np.float32)
    assert isinstance(vectors, np.memmap)
    np.testing.assert_allclose(vectors, whole, atol=5e-4)
    assert len(list(tmp_path.iterdir())) == 2
    sizes = sorted(file.stat().st_size - 128 for file in tmp_path.glob("*/vectors.npy"))
    assert sizes == [2 * whole.size, 4 * whole.size]
    np.testing.assert_array_equal(item_vectors(CORPUS, half, tmp_path), vectors)


def test_half_precision_resumes(settings: TextSettings, tmp_path: Path) -> None:
    half = dataclasses.replace(settings, storage="float16")
    with pytest.raises(Killed):
        encode_items(CORPUS, half, tmp_path / "a", kill_after(9))
    resumed = encode_items(CORPUS, half, tmp_path / "a")
    np.testing.assert_array_equal(resumed, encode_items(CORPUS, half, tmp_path / "b"))


def test_a_vector_too_long_for_half_precision_is_refused(
    settings: TextSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextEncoder, "vectors", lambda self, texts: np.full((len(texts), self.width), 1e6, np.float32))
    half = dataclasses.replace(settings, storage="float16", normalize=False)
    with pytest.raises(DataError, match="too long for float16"):
        encode_items(CORPUS, half, tmp_path)
    assert encode_items(CORPUS, dataclasses.replace(half, storage="float32"), tmp_path).max() == 1e6


def test_a_model_reads_half_precision_as_whole(settings: TextSettings, tmp_path: Path) -> None:
    vectors = encode_items(CORPUS, dataclasses.replace(settings, storage="float16"), tmp_path)
    text = model_inputs(CORPUS, split(CORPUS).training(), vectors).text
    assert text is not None
    assert text.dtype == torch.float32
    np.testing.assert_array_equal(text[1:].numpy(), vectors.astype(np.float32))
    assert not text[0].any()
