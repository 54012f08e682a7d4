"""The bench of sizes: exponents by hand, and a small shop through its stages, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speed import scale
from lrdgraph.storage import read_json, write_json


def row(seconds: float, memory: float = 1.0) -> dict[str, float]:
    return {"seconds": seconds, "cpu_seconds": seconds, "memory_gb": memory}


def test_exponents_by_hand() -> None:
    """Ten and a hundred times the items take ten and a thousand times as long, and as much memory."""
    records = {"pairs": {"1000": row(1.0), "100": row(0.1), "10000": row(100.0), "5": {"left_out": "was killed"}}}
    found = scale.fitted(records)["pairs"]
    assert found["sizes"] == [100, 1000, 10000]
    assert found["cpu_seconds"] == {"exponent": 1.5, "last": 2.0}
    assert found["memory_gb"] == {"exponent": 0.0, "last": 0.0}


def test_one_size_has_no_exponent_and_minilm_a_rate() -> None:
    records = {"pairs": {"100": row(1.0)}, "minilm": {"100": row(2.0) | {"encoded": 8}}}
    assert scale.fitted(records) == {"minilm": {"seconds_per_text": 0.25}}


def test_what_is_over_the_bar_is_named() -> None:
    exponents = {
        "pairs": {"seconds": {"exponent": 3}, "cpu_seconds": {"exponent": 1.2}, "memory_gb": {"exponent": 1.15}},
        "minilm": {"seconds_per_text": 0.25},
    }
    assert scale.over_the_bar(exponents) == ["pairs cpu_seconds 1.2"]


def test_stages_hand_on_what_they_leave(tmp_path: Path) -> None:
    place = scale.Place(tmp_path, 160, {"hidden_channels": 8, "num_heads": 1, "text_neighbours": 3})
    found = {}
    for stage in [name for name in scale.STAGES if name != "minilm"]:
        found[stage] = scale.measured(stage, place)
        assert {"seconds", "cpu_seconds", "memory_gb", "peak_memory_gb"} <= found[stage].keys()
    assert found["corpus"]["interactions"] == 1600
    assert found["words"]["vectors"][0] == 160
    assert found["enrich"]["pairs"] == found["pairs"]["pairs"] >= 3 * 160
    assert 0 <= found["evaluate"]["NDCG@10"] <= 1
    assert found["export"]["triples"] > 0


def test_a_figure_is_measured_once_and_what_failed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, asked = tmp_path / "scale.json", []

    def pretended(stage: str, size: int, chosen: object) -> dict[str, float | str]:
        asked.append((stage, size))
        return {"left_out": "was killed"} if size == 800 and len(asked) < 3 else row(size / 100)

    monkeypatch.setattr(scale, "in_a_process", pretended)
    words = ["--work", str(tmp_path), "--out", str(out), "--stages", "pairs", "--items", "80", "800"]
    scale.main(words)
    scale.main([*words, "8000"])
    assert asked == [("pairs", 80), ("pairs", 800), ("pairs", 800), ("pairs", 8000)]
    result = read_json(out)
    assert result["exponents"]["pairs"]["cpu_seconds"]["exponent"] == 1.0
    assert result["over"] == []
    assert {"versions", "machine", "commit"} <= result.keys()


def test_a_stage_without_its_input_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    write_json(out, {})
    scale.main(["--work", str(tmp_path), "--out", str(out), "--stages", "corpus", "--items", "80"])
    assert "status 1" in read_json(out)["records"]["corpus"]["80"]["left_out"]
