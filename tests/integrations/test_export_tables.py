"""Exports in the hands of pandas and PyKEEN."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from pykeen.pipeline import pipeline
from pykeen.triples import TriplesFactory

from data_loaders import with_triples
from lrdgraph.export import export
from tests.export.test_triples import bare
from tests.export.worlds import enriched
from tests.models import shop

COLUMNS = ["head", "relation", "tail"]


@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_pandas_reads_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"found.{ending}"
    export("triples" if ending == "tsv" else "jsonl", enriched(), path, provenance={"seed": 1}, which="all")
    frame = pandas.read_csv(path, sep="\t", comment="#") if ending == "tsv" else pandas.read_json(path, lines=True)
    assert len(frame) == 12
    latent = frame[frame.kind == "latent"]
    assert latent.posterior.tolist() == pytest.approx([0.9, 0.8, 0.5, 0.6, 0.7, 0.5, 1.0])
    assert not latent.calibrated.astype(bool).any()
    assert frame[frame.kind != "latent"].weight.tolist() == [1.0] * 5


def test_a_pykeen_pipeline_is_trained_on_an_export(tmp_path: Path) -> None:
    corpus = shop.shop()
    path = tmp_path / "found.tsv"
    count = export("triples", shop.model("lrdgraph"), path, provenance={}, which="all", threshold=0.3)
    frame = pandas.read_csv(path, sep="\t", comment="#", dtype=dict.fromkeys(COLUMNS, str))
    factory = TriplesFactory.from_labeled_triples(frame[COLUMNS].to_numpy())
    assert factory.num_triples == count
    assert set(factory.relation_to_id) == {"needs", "colour", "latent_0", "latent_1"}
    training, testing = factory.split([0.8, 0.2], random_state=0)
    result = pipeline(
        training=training,
        testing=testing,
        model="DistMult",
        model_kwargs={"embedding_dim": 8},
        training_kwargs={"num_epochs": 2, "use_tqdm": False},
        evaluation_kwargs={"use_tqdm": False},
        random_seed=0,
        device="cpu",
    )
    assert 0 < result.get_metric("hits@10") <= 1
    back = with_triples(bare(corpus.items.series.to_list()), factory)
    assert len(back.triples) == count
    factory.to_path_binary(tmp_path / "factory")
    assert with_triples(bare(corpus.items.series.to_list()), tmp_path / "factory").fingerprint == back.fingerprint


def test_pykeens_own_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    export("triples", enriched(), tmp_path / "found.tsv", provenance={})
    frame = pandas.read_csv(tmp_path / "found.tsv", sep="\t", comment="#")
    frame[COLUMNS].to_csv(path, sep="\t", header=False, index=False)
    assert TriplesFactory.from_path(path).num_triples == 7
    assert len(with_triples(bare(["pen", "ink", "pad", "case"]), path, format="pykeen").triples) == 7
