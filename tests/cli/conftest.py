"""One shop, one trained baseline and one trained flagship, shared by the tests that only read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lrdgraph.cli import main
from tests.cli.world import write_experiment, write_shop


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def lrdgraph(capsys: pytest.CaptureFixture[str], cache: Path) -> Command:
    """Run the command line in this process."""

    def run(*words: str | Path) -> Answer:
        capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Answer(status, out, err)

    return run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRDGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("data") / "shop")


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    return write_experiment(tmp_path_factory.mktemp("experiments") / "small.toml", shop)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, experiment: Path) -> Path:
    """Folder of a finished run of SASRec."""
    folder = tmp_path_factory.mktemp("runs") / "sasrec"
    assert main(["train", str(experiment), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def discovered(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """Folder of a finished run of the flagship."""
    more = "num_latent = 2\ntext_neighbours = 4\ndiscovery_channels = 4\nnone_state = false"
    folder = tmp_path_factory.mktemp("flagship")
    experiment = write_experiment(folder / "flagship.toml", shop, "lrdgraph", more)
    assert main(["train", str(experiment), "--out", str(folder / "run")]) == 0
    return folder / "run"
