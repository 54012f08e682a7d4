"""What every registered exporter promises."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from lrdgraph import __version__
from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.export import export, exporter_for, exporter_names, register_exporter, takes
from lrdgraph.export.registry import _endings, _exporters
from tests.export.worlds import EXPORTS, PLAIN, enriched
from tests.models import shop


def test_every_exporter_is_tested_here():
    assert set(exporter_names()) == set(EXPORTS), "add a call to tests/export/worlds.py for each registered exporter"


@pytest.fixture(params=PLAIN)  # tests/integrations runs the same for formats that pyoxigraph writes
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name if file != path else "": file.read_bytes() for file in files}


def text(path: Path) -> str:
    """What a reader of an export can see, metadata included."""
    if path.is_file() and path.read_bytes().startswith(b"PAR1"):
        return pl.read_parquet_metadata(path)["lrdgraph"] + pl.read_parquet(path).write_csv()
    return "\n".join(part.decode() for part in contents(path).values())


def test_says_how_much_it_wrote_and_writes_the_same_again(name: str, tmp_path: Path):
    assert EXPORTS[name](enriched(), tmp_path / "a") == 7
    EXPORTS[name](enriched(), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    EXPORTS[name](enriched(), tmp_path / "b", which="all")
    assert contents(tmp_path / "a") != contents(tmp_path / "b")


@pytest.mark.parametrize("size", [1, 3])
def test_blocks_are_not_seen(name: str, size: int, tmp_path: Path, monkeypatch):
    EXPORTS[name](enriched(), tmp_path / "whole", which="all")
    for module in ("selection.ROWS_AT_ONCE", "graphml.NODES_AT_ONCE", "rdf_lines.NODES_AT_ONCE"):
        monkeypatch.setattr(f"lrdgraph.export.{module}", size)
    assert EXPORTS[name](enriched(), tmp_path / "parts", which="all") == 12
    if name == "parquet":
        assert pl.read_parquet(tmp_path / "parts").equals(pl.read_parquet(tmp_path / "whole"))
    elif name in ("nquads", "ntriples"):  # what is sure of the triples of a block follows it
        assert sorted(text(tmp_path / "parts").splitlines()) == sorted(text(tmp_path / "whole").splitlines())
    else:
        assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_tells_where_it_comes_from(name: str, tmp_path: Path):
    EXPORTS[name](enriched(), tmp_path / "a", threshold=0.625)
    told = text(tmp_path / "a")
    for word in ("lrdgraph", "1234", __version__, "0.625", "seed"):
        assert word in told


def test_what_is_not_calibrated_is_marked(name: str, tmp_path: Path):
    EXPORTS[name](enriched(), tmp_path / "a", which="all", calibration={"latent_1": lambda q: q**2})
    told = text(tmp_path / "a")
    assert "posterior" in told
    assert "probability" in told
    assert "calibrated" in told
    EXPORTS[name](enriched(), tmp_path / "b")
    assert "probability" not in text(tmp_path / "b")
    assert "posterior" in text(tmp_path / "b")


def test_options_choose(name: str, tmp_path: Path):
    call = partial(EXPORTS[name], enriched(), tmp_path / "a")
    assert call(which="predefined") == 5
    assert call(which="all", threshold=0.0) == 17
    assert call(relations=["latent_1"]) == 2
    assert call(items=["pen", "ink"]) == 2
    assert call(top_k=1) == 5


def test_by_name_from_a_model(name: str, tmp_path: Path):
    model = shop.model("lrdgraph")
    count = export(name, model, tmp_path / "model", provenance={"seed": 0}, threshold=0.0)
    assert count == 2 * model.pairs.size(1)
    assert all(parameter.grad is None for parameter in model.parameters())
    recorded = export(name, model, tmp_path / "model", provenance={"seed": 0}, which="predefined")
    assert recorded == export(name, shop.model("sasrec"), tmp_path / "m", provenance={"seed": 0}, which="predefined")


def test_a_model_without_discovered_relations_is_refused(name: str, tmp_path: Path):
    for model in (shop.model("sasrec"), shop.model("lrdgraph", latent="fixed"), shop.model("lrdgraph", num_latent=0)):
        with pytest.raises(ConfigError, match="discover"):
            export(name, model, tmp_path / "none", provenance={})
    assert not list(tmp_path.iterdir())


def test_bad_choices_leave_what_is_there(name: str, tmp_path: Path):
    path = tmp_path / "a"
    EXPORTS[name](enriched(), path)
    before = contents(path)
    wrong = {
        "threshold": (1.5, ConfigError, "threshold lies in"),
        "which": ("al", ConfigError, "no choice 'al' .did you mean 'all'"),
        "relations": (["latent_9"], UnknownIdError, "no discovered relation 'latent_9' .did you mean 'latent_"),
        "items": (["pencil"], UnknownIdError, "The item id 'pencil' is not"),
        "calibration": ({"needs": abs}, UnknownIdError, "no discovered relation 'needs'; known are latent_0, latent_1"),
    }
    for option, (value, error, sentence) in wrong.items():
        with pytest.raises(error, match=sentence):
            EXPORTS[name](enriched(), path, **{option: value})
    with pytest.raises(DataError, match="one probability in"):  # when rows are read, the file is open already
        EXPORTS[name](enriched(), path, calibration={"latent_1": lambda q: q * 2})
    if takes(name, "titles"):
        with pytest.raises(DataError, match="There are 1 titles for 4 items; give one each."):
            EXPORTS[name](enriched(), path, titles=["a"])
    assert contents(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_to_write_is_no_error(name: str, tmp_path: Path):
    assert EXPORTS[name](enriched(posterior=[(0.4, 0.4)] * 6), tmp_path / "a") == 0


@pytest.mark.parametrize("known", sorted(EXPORTS))
def test_a_format_is_known_by_name_and_by_ending(known: str):
    assert exporter_for("x", known) == known
    for ending in (ending for ending, name in _endings.items() if name == known):
        assert exporter_for(f"some/file{ending}") == known
        assert exporter_for("x", ending[1:]) == exporter_for("x", ending) == known


def test_an_ending_that_says_nothing_is_told():
    with pytest.raises(ConfigError, match="The name out/x tells no format; end it in one of .graphml, .jsonl"):
        exporter_for("out/x")
    with pytest.raises(ConfigError, match="no export format 'turtel' .did you mean 'turtle'"):
        exporter_for("x.ttl", "turtel")


def test_one_of_a_readers_own(tmp_path: Path):
    @register_exporter("count", ".count")
    def count(source, path, *, provenance):
        Path(path).write_text(f"{provenance['seed']}: {source.num_pairs}")
        return source.num_pairs

    try:
        assert export("count", enriched(), tmp_path / "c", provenance={"seed": 3}) == 6
        assert (tmp_path / "c").read_text() == "3: 6"
        assert exporter_for("c.count") == "count"
        assert not takes("count", "titles")
        with pytest.raises(ConfigError, match="an exporter named 'count' already"):
            register_exporter("count")(lambda *_, **__: 0)
        assert register_exporter("count", ".count")(count) is count  # a notebook's cell that runs twice
        with pytest.raises(ConfigError, match="Files that end in .count are of 'count'; choose another ending."):
            register_exporter("other", ".count")(count)
    finally:
        del _exporters["count"], _endings[".count"]
    with pytest.raises(ConfigError, match="no export format 'tripels' \\(did you mean 'triples'\\?\\); known are"):
        export("tripels", enriched(), tmp_path / "c", provenance={})
