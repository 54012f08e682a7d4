"""The page on layers: its code runs, and its figures are those of the benchmark's files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import layers
from tests.documents import ROOT, play

PAGE = ROOT / "docs" / "layers.md"
RESULTS = ROOT / "benchmarks" / "results"


def test_the_page_runs(tmp_path: Path) -> None:
    told = play(PAGE, tmp_path)
    assert "torch.Size([100, 32])" in told
    assert "torch.Size([30, 32]) torch.Size([30, 32])" in told
    assert re.search(r"\{'item': \(40, 32\), 'attribute': \(\d+, 32\)\}", told)
    assert "Subgraph(3 seeds, " in told


def measured(name: str) -> dict[str, dict]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))["layers"]


def test_the_table_is_what_was_measured() -> None:
    """A cell is ``seconds, GB`` of a layer on so many edges."""
    found = {edges: measured(name) for edges, name in (("10⁶", "layers.json"), ("10⁷", "layers-10m.json"))}
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {
        name.strip("`"): dict(zip(found, cells, strict=True))
        for name, *cells in rows
        if name.strip("`") in layers.LAYERS
    }
    assert set(shown) == set(layers.LAYERS)
    for name, cells in shown.items():
        for edges, cell in cells.items():
            row = found[edges].get(name, {})
            if "seconds" in row:
                assert cell == f"{row['median_seconds']:.2f} s, {row['memory_gb']:.2f} GB", name
            else:
                assert cell in ("–", "too large"), name


def test_ours_is_faster_than_the_fastest_and_three_times_as_fast_as_the_slowest() -> None:
    for name in ("layers.json", "layers-10m.json"):
        others = [row for other, row in measured(name).items() if other.startswith(layers.OTHERS) and "seconds" in row]
        for own in ("RelationalConv", "RelationalConv, edges unsorted"):
            row = measured(name)[own]
            assert row["median_seconds"] < min(other["median_seconds"] for other in others)
            assert 3 * row["median_seconds"] < max(other["median_seconds"] for other in others)
            assert row["memory_gb"] < min(other["memory_gb"] for other in others)


@pytest.mark.parametrize("name", layers.LAYERS)
def test_every_layer_of_the_benchmark_makes_a_step(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    layers.main(["--in-this-process", name, "--nodes=50", "--edges=300", "--repeats=1"])
    found = json.loads(capsys.readouterr().out)
    assert len(found["seconds"]) == 1
    assert found["median_seconds"] == found["seconds"][0] > 0


def test_ratios_are_to_the_fastest_and_the_slowest_of_others() -> None:
    seconds = {"RelationalConv": 2.0, "DGLRelationalConv": 0.1, "PyG RGCNConv": 3.0, "DGL RelGraphConv": 8.0}
    found = {name: {"seconds": [value], "median_seconds": value} for name, value in seconds.items()}
    ratios = layers.compare(found | {"PyG FastRGCNConv": {"left_out": "too large"}})
    assert ratios == {"fastest other / RelationalConv": 1.5, "slowest other / RelationalConv": 4.0}
