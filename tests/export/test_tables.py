from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import with_triples
from lrdgraph import __version__
from lrdgraph.export import export_json_lines, export_parquet
from tests.export.test_triples import bare
from tests.export.worlds import enriched

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
ROWS = [
    ("pen", "needs", "ink", 1.0),
    ("pad", "needs", "case", 1.0),
    ("pen", "colour", "red", 0.5),
    ("ink", "colour", "blue", 1.0),
    ("pad", "colour", "red", 1.0),
    ("pad", "latent_1", "case", 1.0),
]


@pytest.mark.parametrize("export", [export_parquet, export_json_lines])
def test_by_hand(export, tmp_path: Path):
    path = tmp_path / f"found.{'parquet' if export is export_parquet else 'jsonl'}"
    graph = enriched(weight=[1, 1, 0.5, 1, 1])
    count = export(
        graph, path, provenance={"seed": 3}, which="all", threshold=0.9, relations=["needs", "colour", "latent_1"]
    )
    assert count == 6
    read = pl.read_parquet(path) if export is export_parquet else pl.read_ndjson(path)
    told = read.select("head", "relation", "tail", pl.coalesce("weight", "posterior"))
    assert told.rows() == [(h, r, t, pytest.approx(w)) for h, r, t, w in ROWS]
    assert read["kind"].to_list() == ["predefined"] * 2 + ["attribute"] * 3 + ["latent"]
    assert read["calibrated"].to_list() == [None] * 5 + [False]
    provenance = {"seed": 3, "lrdgraph": __version__, "threshold": 0.9, "top_k": "all", "which": "all"}
    if export is export_parquet:
        assert json.loads(pl.read_parquet_metadata(path)["lrdgraph"]) == provenance
        assert read.schema["posterior"] == pl.Float32
    else:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[0]["provenance"] == provenance
        assert not any("provenance" in line for line in lines[1:])


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@given(ids=st.lists(TEXT, min_size=6, max_size=6, unique=True), weight=st.sampled_from([0.25, 1.0]))
def test_any_text_comes_back(ending, ids, weight, tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / f"found.{ending}"
    export = export_parquet if ending == "parquet" else export_json_lines
    graph = enriched(ids[:4], weight=[weight, 1, 1, 1, 1], colours=ids[4:])
    export(graph, path, provenance={}, which="all", threshold=0.0)
    grown = with_triples(bare(ids[:4]), path)
    assert set(grown.attributes.series) == set(ids[4:])
    assert len(grown.triples) == 17
    head, tail = graph.latent_index.numpy()
    expected = {
        (int(h), k, int(t)): graph.mixture[p, k].item()
        for p, (h, t) in enumerate(zip(head, tail, strict=True))
        for k in range(2)
    }
    latent = grown.triples.relation >= 2
    assert grown.triples.names[2:] == ("latent_0", "latent_1")
    keys = zip(grown.triples.head[latent], grown.triples.relation[latent] - 2, grown.triples.tail[latent], strict=True)
    assert {tuple(map(int, key)): w for key, w in zip(keys, grown.triples.weight[latent], strict=True)} == expected
    assert np.sort(grown.triples.weight[~latent]).tolist() == sorted([weight, 1, 1, 1, 1])


def test_a_parquet_file_without_rows_has_its_columns(tmp_path: Path):
    path = tmp_path / "none.parquet"
    export_parquet(enriched(posterior=[(0.4, 0.4)] * 6), path, provenance={"seed": 1})
    assert pl.read_parquet(path).columns == ["head", "relation", "tail", "kind", "posterior", "calibrated"]
    assert len(with_triples(bare(["pen"]), path).triples) == 0
