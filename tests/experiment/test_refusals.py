"""What cannot run is told in one sentence, before a record is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.experiment import evaluate_run, run_experiment
from tests.experiment.worlds import published, settings


def test_nobody_to_validate_on_leaves_no_record(tmp_path: Path) -> None:
    corpus = published()
    few = replace(corpus, split=None, candidates={}, user=corpus.user[:2], item=corpus.item[:2], time=corpus.time[:2])
    with pytest.raises(DataError, match="'leave-one-out' of shop leaves nobody an event to validate on"):
        run_experiment(settings(tmp_path, data={"split": "leave-one-out"}), tmp_path / "run", corpus=few)
    assert not (tmp_path / "run" / "experiment.json").exists()


def test_other_things_than_settings_and_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs settings, got dict; make them by read_experiment\(path\)"):
        run_experiment({"model": {}}, tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"corpus must be a Corpus, got str; load\(source\) gives one"):
        run_experiment(settings(tmp_path), tmp_path / "run", corpus="movielens-100k")  # type: ignore[arg-type]


def test_data_that_moved_are_asked_for(tmp_path: Path) -> None:
    corpus = published()
    corpus.save(tmp_path / "shop")
    run_experiment(settings(tmp_path, "popularity", data={"source": str(tmp_path / "shop")}), tmp_path / "run")
    (tmp_path / "shop").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"shop does not exist; check the path, or name the data with --data"):
        evaluate_run(tmp_path / "run")
    assert evaluate_run(tmp_path / "run", data=str(tmp_path / "moved")).metrics
