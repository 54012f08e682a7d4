from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph import __version__
from lrdgraph.errors import DataError
from lrdgraph.export import export_graphml
from tests.export.worlds import enriched

CARRIED = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r", exclude_characters="￾￿"),
    min_size=1,
    max_size=5,
)


def test_networkx_reads_it(tmp_path: Path):
    path = tmp_path / "found.graphml"
    titles = ["A <pen>", "", "Pad & co", "Case"]
    assert export_graphml(enriched(), path, provenance={"seed": 3}, titles=titles, which="all", threshold=0.9) == 7
    graph = nx.read_graphml(path, force_multigraph=True)
    assert isinstance(graph, nx.MultiDiGraph)
    assert graph.graph["seed"] == "3"
    assert graph.graph["lrdgraph"] == __version__
    assert dict(graph.nodes(data=True)) == {
        "n1": {"id": "pen", "kind": "item", "label": "A <pen>"},
        "n2": {"id": "ink", "kind": "item", "label": "ink"},
        "n3": {"id": "pad", "kind": "item", "label": "Pad & co"},
        "n4": {"id": "case", "kind": "item", "label": "Case"},
        "n5": {"id": "red", "kind": "attribute", "label": "red"},
        "n6": {"id": "blue", "kind": "attribute", "label": "blue"},
    }
    edges = {(head, data["relation"], tail): data for head, tail, data in graph.edges(data=True)}
    assert edges["n1", "latent_0", "n2"] == {
        **{"relation": "latent_0", "label": "latent_0", "kind": "latent"},
        **{"posterior": pytest.approx(0.9), "calibrated": False},
    }
    assert edges["n3", "colour", "n5"] == {"relation": "colour", "label": "colour", "kind": "attribute", "weight": 1.0}
    assert len(edges) == 7


@given(ids=st.lists(CARRIED, min_size=6, max_size=6, unique=True))
def test_any_text_of_xml_comes_back(ids, tmp_path_factory):
    path, other = tmp_path_factory.mktemp("ids") / "found.graphml", f"{ids[0]}b"  # two relations have two names
    export_graphml(
        enriched(ids[:4], colours=ids[4:], names=[ids[0], other]), path, provenance={"a": ids[1]}, which="all"
    )
    graph = nx.read_graphml(path, force_multigraph=True)
    assert [graph.nodes[f"n{n}"]["id"] for n in range(1, 7)] == ids
    assert {data["relation"] for *_, data in graph.edges(data=True)} == {"needs", "colour", ids[0], other}
    assert graph.graph["a"] == ids[1]


@pytest.mark.parametrize("broken", ["a\x00b", "\x1f", "￿"])
def test_what_xml_cannot_carry_is_told(broken, tmp_path: Path):
    path = tmp_path / "found.graphml"
    path.write_text("the last good one")
    for call in (
        lambda: export_graphml(enriched([broken, "i", "p", "c"]), path, provenance={}),
        lambda: export_graphml(enriched(names=[broken, "b"]), path, provenance={}),
        lambda: export_graphml(enriched(), path, provenance={}, titles=[broken, "", "", ""]),
    ):
        with pytest.raises(DataError, match="holds a character that XML cannot carry; choose another format"):
            call()
    assert path.read_text() == "the last good one"
    assert export_graphml(enriched(["pen", "ink", "pad", "case", broken]), path, provenance={}) == 7
