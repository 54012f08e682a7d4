"""``lrdgraph export`` and ``prepare --triples``, in the formats that need no extra."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import polars as pl
import pytest

from data_loaders import load
from lrdgraph import __version__
from lrdgraph.evaluation.reliability import reliability
from lrdgraph.experiment import load_run
from lrdgraph.models.serving import weights_hash
from lrdgraph.quality.calibration import Calibration, save_calibrations
from tests.cli.conftest import Command
from tests.cli.world import ITEMS


def test_the_format_is_what_the_file_ends_in(lrdgraph: Command, discovered: Path, shop: Path, tmp_path: Path) -> None:
    options = ("--which", "all", "--threshold", "0", "--top-k", "1")
    told = {}
    for name in ("x.parquet", "x.jsonl", "x.graphml", "x.nt", "x.nq", "x.tsv"):
        answer = lrdgraph("export", discovered, "--to", tmp_path / name, *options)
        assert answer.status == 0, answer.err
        told[name] = answer.out.split()[0]
    assert set(told.values()) == {str(4 * ITEMS)}  # two predefined relations, two discovered ones
    about = json.loads(pl.read_parquet_metadata(tmp_path / "x.parquet")["lrdgraph"])
    assert {"model", "experiment", "seed", "corpus", "settings", "lrdgraph"} <= about.keys()
    assert (about["corpus"], about["lrdgraph"]) == (load(shop).fingerprint, __version__)
    graph = nx.read_graphml(tmp_path / "x.graphml", force_multigraph=True)
    assert {data["label"] for _, data in graph.nodes(data=True)} >= {"red paper", "brand0"}
    answer = lrdgraph("export", discovered, "--to", tmp_path / "folder", "--format", "neo4j")
    assert answer.status == 0, answer.err
    assert (tmp_path / "folder" / "nodes.csv").is_file()


def test_options_of_rdf_and_a_list_of_items(lrdgraph: Command, discovered: Path, tmp_path: Path) -> None:
    (tmp_path / "items.txt").write_text("i0\ni1\ni2\n")
    options = (
        "--base",
        "https://e.org/",
        "--language",
        "en",
        "--confidence",
        "none",
        "--items",
        tmp_path / "items.txt",
    )
    answer = lrdgraph("export", discovered, "--to", tmp_path / "x", "--format", "nt", "--which", "predefined", *options)
    assert answer.status == 0, answer.err
    assert answer.out == f"5 triples in {tmp_path / 'x'}\n"
    text = (tmp_path / "x").read_text()
    assert "<https://e.org/item/i0> <https://e.org/relation/complement> <https://e.org/item/i1> .\n" in text
    assert '"red paper"@en' in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--to", "x.docx"), "The name x.docx tells no format; end it in one of"),
        (("--to", "x", "--format", "ntriple"), "no export format 'ntriple' (did you mean 'ntriples'?)"),
        (("--to", "x.parquet", "--base", "urn:x:"), "Format 'parquet' takes no --base; write RDF"),
        (("--to", "x.nt", "--base", "x"), "The base 'x' is no absolute IRI"),
        (("--to", "x.nt", "--confidence", "named-graph"), "does not tell confidences as 'named-graph'"),
        (("--to", "x.nt", "--which", "al"), "There is no choice 'al' (did you mean 'all'?)"),
        (("--to", "x.nt", "--items", "gone.txt"), "gone.txt cannot be read (No such file or directory)"),
    ],
)
def test_what_is_wrong_is_told(
    words, sentence, lrdgraph: Command, discovered: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = lrdgraph("export", discovered, *words)
    assert answer.status == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.glob("x*"))


def test_probabilities_by_the_file_of_quality(lrdgraph: Command, discovered: Path, tmp_path: Path) -> None:
    measured = reliability(np.array([0.1, 0.9]), np.array([0, 1]))
    halved = Calibration("complement", (0.0, 1.0), (0.0, 0.5), 10.0, 100, measured, measured)
    run = load_run(discovered)
    origin = {"weights": weights_hash(run.model), "corpus": run.fingerprint}
    save_calibrations(tmp_path / "calibration.json", {"latent_0": halved}, origin)
    options = ("--threshold", "0", "--calibration", tmp_path / "calibration.json")
    answer = lrdgraph("export", discovered, "--to", tmp_path / "x.parquet", *options)
    assert answer.status == 0, answer.err
    table = pl.read_parquet(tmp_path / "x.parquet")
    first, second = (table.filter(relation=name) for name in ("latent_0", "latent_1"))
    assert np.allclose(first["probability"], first["posterior"] / 2)
    assert (first["calibrated"].unique().to_list(), second["calibrated"].unique().to_list()) == ([True], [False])
    assert second["probability"].null_count() == second.height > 0
    about = json.loads(pl.read_parquet_metadata(tmp_path / "x.parquet")["lrdgraph"])
    assert about["probability of latent_0"] == "that complement is recorded, among 10 random pairs for each that is"
    answer = lrdgraph("export", discovered, "--to", tmp_path / "y.nt", "--calibration", tmp_path / "gone.json")
    assert answer.status == 2
    assert "gone.json does not exist" in answer.err
    for other in ({}, origin | {"weights": "those of another run"}):
        save_calibrations(tmp_path / "other.json", {"latent_0": halved}, other)
        answer = lrdgraph("export", discovered, "--to", tmp_path / "y.nt", "--calibration", tmp_path / "other.json")
        assert answer.status == 2
        assert "other.json is of another run or of earlier weights; make it anew with 'lrdgraph quality'" in answer.err
    assert not (tmp_path / "y.nt").exists()


def test_prepare_adds_a_knowledge_graph(lrdgraph: Command, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "kg.txt").write_text("m.0\tsame_line\tm.1\nm.0\tsold_in\ttown\nm.8\tnext_to\tm.9\n")
    (tmp_path / "links.csv").write_text("item,entity\ni0,m.0\ni1,m.1\n")
    words = ("--triples", tmp_path / "kg.txt", "--triples-format", "pykeen", "--links", tmp_path / "links.csv")
    answer = lrdgraph("prepare", shop, "--out", tmp_path / "corpus", *words)
    assert answer.status == 0, answer.err
    assert "dropped: 1 triples without an item" in answer.out
    corpus = load(tmp_path / "corpus")
    assert corpus.triples.names == ("complement", "made_by", "same_line", "sold_in")
    answer = lrdgraph("prepare", shop, "--out", tmp_path / "other", "--links", tmp_path / "links.csv")
    assert answer.status == 2
    assert "--links says how to read --triples, which is not given; name a knowledge graph." in answer.err
