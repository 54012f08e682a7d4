"""The contract of all exporters, held by those that pyoxigraph writes."""

from __future__ import annotations

from pathlib import Path

import pyoxigraph
import pytest

from tests.export import test_contract as contract
from tests.export.worlds import EXPORTS, WITH_PYOXIGRAPH, enriched

KINDS = {
    "jsonld": pyoxigraph.RdfFormat.JSON_LD,
    "trig": pyoxigraph.RdfFormat.TRIG,
    "turtle": pyoxigraph.RdfFormat.TURTLE,
}
SHARED = [
    name for name in vars(contract) if name.startswith("test_") and "name" in vars(contract)[name].__annotations__
]
globals().update({name: vars(contract)[name] for name in SHARED if name != "test_blocks_are_not_seen"})


@pytest.fixture(params=WITH_PYOXIGRAPH)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_contract_is_run() -> None:
    assert len(SHARED) == 9


@pytest.mark.parametrize("size", [1, 3])
def test_blocks_are_not_seen(name: str, size: int, tmp_path: Path, monkeypatch) -> None:
    EXPORTS[name](enriched(), tmp_path / "whole", which="all")
    for module in ("selection.ROWS_AT_ONCE", "rdf_lines.NODES_AT_ONCE"):
        monkeypatch.setattr(f"lrdgraph.export.{module}", size)
    assert EXPORTS[name](enriched(), tmp_path / "parts", which="all") == 12
    parts, whole = (
        sorted(map(str, pyoxigraph.parse(path=tmp_path / file, format=KINDS[name]))) for file in ("parts", "whole")
    )
    assert parts == whole
    assert len(whole) > 60
