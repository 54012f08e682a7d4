"""The page on serving runs, and its figures are those of the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.speed.serving import RESULT, figures
from tests.documents import ROOT, play

PAGE = ROOT / "docs" / "serving.md"


def test_the_page_runs(tmp_path: Path) -> None:
    told = play(PAGE, tmp_path)
    assert "ItemIndex(hnsw of 40 items of Flagship, breadth 256)" in told
    assert "ItemIndex(flat of 40 items of Flagship)" in told
    assert (tmp_path / "runs/small/index/index.faiss").is_file()


def test_figures_are_those_of_the_result() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [line for line in lines if line.startswith(("| run |", "| made up"))]
    assert shown == figures(json.loads(RESULT.read_text()))


def test_every_kind_meets_the_bar() -> None:
    """Recall of 0.98 with fewer rescored items than there are."""
    for name, told in json.loads(RESULT.read_text())["catalogues"].items():
        for kind, index in told["index"].items():
            best = index["quality"][-1]
            assert best["recall@10"] >= 0.98, (name, kind)
            assert best["rescored"] < told["items"], (name, kind)


def test_rows_by_hand() -> None:
    quality = [{"hits": 10, "recall@10": 0.5, "rescored": 7}, {"hits": 200, "recall@10": 0.9876, "rescored": 300}]
    times = {"exact": {"median_cpu_ms": 12.345}, "ivf": {"median_cpu_ms": 2.0}}
    told = {"items": 1000, "index": {"ivf": {"quality": quality}}, "milliseconds": times}
    other = {"quality": quality, "quality_at_other_times": [quality[1], quality[0]]}
    assert figures({"catalogues": {"run": told}}) == ["| run | 1,000 | ivf | 300 | 0.988 | – | 2.0 | 12.3 |"]
    told["index"]["ivf"] = other
    assert figures({"catalogues": {"run": told}}) == ["| run | 1,000 | ivf | 300 | 0.988 | 0.500 | 2.0 | 12.3 |"]
    with pytest.raises(KeyError):
        figures({"catalogues": {"run": {}}})
