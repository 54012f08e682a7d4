"""What every registered exporter promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdgraph.errors import ConfigError
from lrdgraph.export import export, exporter_names, register_exporter
from lrdgraph.export.registry import _exporters
from tests.export.worlds import EXPORTS, enriched
from tests.models import shop


def test_every_exporter_is_tested_here():
    assert set(exporter_names()) == set(EXPORTS), "add a call to tests/export/worlds.py for each registered exporter"


@pytest.fixture(params=sorted(EXPORTS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_says_how_much_it_wrote_and_writes_the_same_again(name: str, tmp_path: Path):
    assert EXPORTS[name](enriched(), tmp_path / "a") == 7
    EXPORTS[name](enriched(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_by_name_from_a_model(name: str, tmp_path: Path):
    model = shop.model("lrdgraph")
    count = export(name, model, tmp_path / "model", provenance={"seed": 0}, threshold=0.0)
    assert count == 2 * model.pairs.size(1)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_discovered_relations_is_refused(name: str, tmp_path: Path):
    for model in (shop.model("sasrec"), shop.model("lrdgraph", latent="fixed"), shop.model("lrdgraph", num_latent=0)):
        with pytest.raises(ConfigError, match="discover"):
            export(name, model, tmp_path / "none", provenance={})
    assert not list(tmp_path.iterdir())


def test_one_of_a_readers_own(tmp_path: Path):
    @register_exporter("count")
    def count(source, path, *, provenance):
        Path(path).write_text(f"{provenance['seed']}: {source.num_pairs}")
        return source.num_pairs

    try:
        assert export("count", enriched(), tmp_path / "c", provenance={"seed": 3}) == 6
        assert (tmp_path / "c").read_text() == "3: 6"
        with pytest.raises(ConfigError, match="an exporter named 'count' already"):
            register_exporter("count")(count)
    finally:
        del _exporters["count"]
    with pytest.raises(
        ConfigError, match="no export format 'tripels' \\(did you mean 'triples'\\?\\); known are triples"
    ):
        export("tripels", enriched(), tmp_path / "c", provenance={})
