"""The page on scaling shows what the result files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.speed.scaling_page import PAGE, WAITING, growth, processes, render
from lrdgraph.storage import write_json


def test_the_page_is_what_the_results_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- scaling:") == 2
    assert render(text) == text, "run python -m benchmarks.speed.scaling_page"


def grown() -> dict[str, Any]:
    row = {"cpu_seconds": 1.0, "peak_memory_gb": 0.5}
    return {
        "records": {"corpus": {"10": row, "100": row | {"cpu_seconds": 12.34}}, "train": {"100": {"left_out": "late"}}},
        "exponents": {"corpus": {"cpu_seconds": {"exponent": 1.091}, "memory_gb": {"exponent": 0.0}}},
        "machine": {"processors": 2, "threads": 1},
        "commit": "0123456789abcdef",
    }


def test_growth_by_hand() -> None:
    lines = growth(grown()).splitlines()
    assert lines[2] == "| build the corpus | 1 | 12.3 | 1.09 | 0.00 | 0.5 |"
    assert lines[-1] == "2 processors, 1 thread, commit 0123456789."
    assert len([line for line in lines if line.startswith("|")]) == 3


def test_processes_by_hand(tmp_path: Path) -> None:
    one, two = {"texts_per_second": 1000.0}, {"texts_per_second": 1900.0}
    result = {"cases": {"encoding": {"1": one, "2": two, "texts_ratio": 1.9}}, "load_before": 0.25}
    assert "| encoding | texts/s | 1,000 | 1,900 | 1.90 |" in processes(result)
    write_json(tmp_path / "speed-distributed.json", result)
    page = "a\n<!-- scaling: growth -->\nold\n<!-- end -->\n<!-- scaling: processes -->\nold\n<!-- end -->\n"
    shown = render(page, tmp_path)
    assert WAITING in shown
    assert "1.90" in shown
    assert "old" not in shown
