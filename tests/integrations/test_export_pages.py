"""What the pages on export and import show works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

from lrdgraph.export import exporter_names
from lrdgraph.export.registry import _endings
from tests.documents import ROOT, play

EXPORT, IMPORT = ROOT / "docs" / "export.md", ROOT / "docs" / "own-graph.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of someone who has done all that the page on export says; what it printed stands in ``told``."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "told").write_text(play(EXPORT, folder), encoding="utf-8")
    return folder


def test_the_page_on_export_runs(folder: Path) -> None:
    told = (folder / "told").read_text()
    assert re.search(r"\['The .*', 'latent_\d', 'The .*', '0\.\d+'\]", told)
    assert '"corpus": ' in told
    assert "True" in told
    assert (folder / "relations.ttl").read_text().count("@en") > 3
    kinds = pl.read_parquet(folder / "all.parquet")
    assert set(kinds["kind"]) == {"predefined", "attribute", "latent"}
    assert (folder / "neo4j" / "nodes.csv").is_file()
    assert (folder / "relations.pairs").stat().st_size


def test_the_table_of_formats_is_whole() -> None:
    rows = re.findall(r"^\| (`\w+`[^|]*) \| ([^|]*) \| [^|]* \|$", EXPORT.read_text().split("\n## ")[0], re.MULTILINE)
    named = {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(exporter_names())
    assert {ending for _, cell in rows for ending in re.findall(r"`(\.\w+)`", cell)} == set(_endings)


def test_the_figures_are_those_of_the_benchmark() -> None:
    held = json.loads((ROOT / "benchmarks" / "results" / "export-scale.json").read_text())
    shown = re.findall(
        r"^\| (?:Parquet|N-Triples)[^|]* \| *([\d,]*) \| ([\d.]+) \| (\d+) \| ([\d.]+) \|$",
        EXPORT.read_text(),
        re.MULTILINE,
    )
    rows = [
        (f"{case['lines']:,}" if "lines" in case else "", *(round(float(f), 2) for f in figures))
        for case in held["cases"].values()
        for figures in [(case["gigabytes"], round(case["cpu_seconds"]), case["peak_memory_gb"])]
    ]
    assert [(lines, *map(float, figures)) for lines, *figures in shown] == rows
    for case in held["cases"].values():
        assert case["triples"] == 10_000_000
        assert case["peak_memory_gb"] < 2
        assert case.get("parsed") == case.get("lines")


def test_the_page_on_import_runs(tmp_path: Path) -> None:
    told = play(IMPORT, tmp_path)
    assert "{'literals': 1, 'triples without an item': 1}" in told
    assert "'https://shop.example/terms#needs'" in told
    assert "'used with', 'made of')" in told
    assert "Corpus('shop': 2 users, 3 items, 4 interactions, 7 triples of 7 relations" in told
