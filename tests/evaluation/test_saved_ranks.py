"""Ranks that were written are the ranks that are read, in little space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import DataError
from lrdgraph.evaluation import EvaluationSettings
from lrdgraph.evaluation.evaluator import Evaluation
from lrdgraph.evaluation.saved_ranks import load_ranks, save_ranks

SETTINGS = EvaluationSettings(ks=(3,), ties="pessimistic")


def evaluation(user: list[int] | np.ndarray, **ranks: list[float] | np.ndarray) -> Evaluation:
    arrays = {name.replace("_", "-"): np.asarray(rank, dtype=np.float64) for name, rank in ranks.items()}
    return Evaluation(arrays, np.asarray(user, dtype=np.int64), {}, SETTINGS)


@given(rows=st.lists(st.tuples(st.integers(1, 10**6), st.integers(2, 10**6)), min_size=1, max_size=9))
def test_round_trip(rows: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("ranks") / "ranks.parquet"
    user, doubled = zip(*rows, strict=True)
    rank = np.array(doubled) / 2
    written = {
        "": evaluation(list(user), full=rank, candidates_99=rank[::-1]),
        "@last-event": evaluation(user, full=rank + 1),
    }
    save_ranks(path, written)
    found = load_ranks(path, SETTINGS)
    assert found.keys() == written.keys()
    for suffix, held in found.items():
        assert held.ranks.keys() == written[suffix].ranks.keys()
        assert all(np.array_equal(rank, written[suffix].ranks[name]) for name, rank in held.ranks.items())
        assert np.array_equal(held.user, user)
        assert held.metrics == written[suffix].metrics
    assert found[""].settings == SETTINGS
    assert found["@last-event"].settings.request == "last-event"


def test_the_hash_of_the_targets_is_kept(tmp_path: Path) -> None:
    path, made = tmp_path / "ranks.parquet", evaluation([1, 2], full=[1, 1])
    save_ranks(path, {"": replace(made, targets="abc")})
    assert load_ranks(path, SETTINGS)[""].targets == "abc"
    pl.read_parquet(path).write_parquet(path)  # as one that was written before there was a hash
    assert load_ranks(path, SETTINGS)[""].targets == ""
    with pytest.raises(DataError, match="cannot hold ranks of different targets"):
        save_ranks(path, {"": made, "@a": replace(made, targets="abc")})


def test_five_thousand_targets_take_less_than_30_kilobytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def drawn() -> Evaluation:
        full, listed = rng.lognormal(5, 1.5, 5000).clip(1, 2420), rng.lognormal(2, 1.2, 5000).clip(1, 100)
        return evaluation(np.arange(1, 5001), full=np.ceil(full), candidates_99=np.ceil(listed))

    save_ranks(tmp_path / "ranks.parquet", {"": drawn(), "@last-event": drawn()})
    assert (tmp_path / "ranks.parquet").stat().st_size < 30_000


def test_different_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ranks\.parquet cannot hold ranks of different targets"):
        save_ranks(
            tmp_path / "ranks.parquet", {"": evaluation([1, 2], full=[1, 1]), "@a": evaluation([1, 3], full=[1, 1])}
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist; evaluate the run again"), (b"x", "cannot be read"), (b"", "cannot be read")],
)
def test_a_bad_file_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ranks.parquet").write_bytes(content)
    with pytest.raises(DataError, match=rf"ranks\.parquet {message}"):
        load_ranks(tmp_path / "ranks.parquet", SETTINGS)


def test_a_table_of_something_else_is_named(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "ranks.parquet")
    with pytest.raises(DataError, match=r"is no file of ranks: it has the columns a, b"):
        load_ranks(tmp_path / "ranks.parquet", SETTINGS)
