import dataclasses
import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

from lrdgraph.language import TextSettings, item_vectors, load_vectors
from lrdgraph.vocabulary import Vocabulary
from tests.language.conftest import make_corpus

CORPUS = make_corpus(title=["a", "b", "c"])
VECTORS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)


def write(path: Path, ids: list[str], vectors: np.ndarray) -> Path:
    if path.suffix == ".npz":
        np.savez(path, ids=np.array(ids), vectors=vectors)
    elif path.suffix == ".parquet":
        pl.DataFrame({"item": ids, "vector": vectors.tolist()}).write_parquet(path)
    elif path.suffix == ".npy":
        np.save(path, vectors)
    else:
        save_file({"vectors": vectors}, path)
    return path


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_ids_put_vectors_in_order_and_extra_ids_are_counted(
    ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(
        tmp_path / f"v.{ending}", ["i3", "x", "i1", "i2", "y"], np.array([[5, 6], [0, 0], [1, 2], [3, 4], [9, 9.0]])
    )
    with caplog.at_level(logging.WARNING):
        vectors = load_vectors(path, CORPUS)
    np.testing.assert_array_equal(vectors, VECTORS)
    assert vectors.dtype == np.float32
    assert not vectors.flags.writeable
    assert "2 ids that the corpus lacks" in caplog.text


@pytest.mark.parametrize("ending", ["npy", "safetensors"])
def test_without_ids_rows_are_those_of_the_vocabulary(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"v.{ending}", [], VECTORS)
    np.testing.assert_array_equal(load_vectors(path, CORPUS), VECTORS)


def test_integer_ids_and_fixed_width_arrays(tmp_path: Path) -> None:
    renamed = dataclasses.replace(make_corpus(title=["a", "b"]), items=Vocabulary(["7", "8"]))
    np.savez(tmp_path / "v.npz", ids=np.array([8, 7]), vectors=VECTORS[:2])
    np.testing.assert_array_equal(load_vectors(tmp_path / "v.npz", renamed), VECTORS[1::-1])
    table = pl.DataFrame({"item_id": [8, 7], "vector": pl.Series(VECTORS[:2], dtype=pl.Array(pl.Float32, 2))})
    table.write_parquet(tmp_path / "v.parquet")
    np.testing.assert_array_equal(load_vectors(tmp_path / "v.parquet", renamed), VECTORS[1::-1])


def test_settings_with_vectors_run_no_model(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npy", [], VECTORS)
    settings = TextSettings(model="there-is/no-such-model", vectors=str(path))
    np.testing.assert_array_equal(item_vectors(CORPUS, settings, tmp_path / "cache"), VECTORS)


@given(
    vectors=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**99), 2.0**99, width=32)),
    order=st.permutations([0, 1, 2]),
    ending=st.sampled_from(["npz", "parquet"]),
)
def test_round_trip(
    vectors: np.ndarray, order: list[int], ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vectors") / f"v.{ending}"
    write(path, [f"i{n + 1}" for n in order], vectors[order])
    np.testing.assert_array_equal(load_vectors(path, CORPUS), vectors)
