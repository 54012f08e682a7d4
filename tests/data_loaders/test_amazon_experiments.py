"""The committed experiments on Amazon's raw files fit the loader's options, fields and relations."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_loaders import load, loaders
from lrdgraph.experiment import read_experiment
from tests.conftest import ROOT
from tests.data_loaders.folders import WRITERS

FILES = sorted((ROOT / "benchmarks" / "experiments").glob("*-20[0-9][0-9]-*.toml"))


def test_there_are_four() -> None:
    data = {path.stem.split("-20")[0] for path in FILES}
    assert {"office", "grocery", "electronics", "video-games"} <= data


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_fits_the_loader(path: Path, tmp_path: Path) -> None:
    settings = read_experiment(path)
    assert settings.name == path.stem
    assert settings.data.format in loaders()
    assert settings.data.format in WRITERS
    corpus = load(WRITERS[settings.data.format](tmp_path), settings.data.format, **settings.data.options)
    assert set(settings.text.fields) <= set(corpus.fields.columns)
    assert set(settings.graph.relations or ()) <= set(corpus.triples.names)
