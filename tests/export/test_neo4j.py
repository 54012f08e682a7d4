from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import ConfigError
from lrdgraph.export import export_neo4j
from tests.export.worlds import enriched

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=5)


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_by_hand(tmp_path: Path):
    folder = tmp_path / "graph"
    titles = ['A "pen"', "Ink, blue", "", "Case"]
    assert export_neo4j(enriched(), folder, provenance={"seed": 3}, titles=titles, which="all", threshold=0.9) == 7
    assert rows(folder / "nodes.csv") == [
        [":ID", "id", "title", ":LABEL"],
        ["1", "pen", 'A "pen"', "Item"],
        ["2", "ink", "Ink, blue", "Item"],
        ["3", "pad", "", "Item"],
        ["4", "case", "Case", "Item"],
        ["5", "red", "red", "Attribute"],
        ["6", "blue", "blue", "Attribute"],
    ]
    header, *edges = rows(folder / "relationships.csv")
    assert header == [
        *(":START_ID", ":END_ID", ":TYPE", "kind"),
        *("weight:float", "posterior:float", "calibrated:boolean"),
    ]
    assert edges[0] == ["1", "2", "needs", "predefined", "1.0", "", ""]
    assert edges[5:] == [
        ["1", "2", "latent_0", "latent", "", "0.9", "false"],
        ["3", "4", "latent_1", "latent", "", "1.0", "false"],
    ]
    about = json.loads((folder / "about.json").read_text())
    assert about["provenance"]["seed"] == "3"
    assert [relation["name"] for relation in about["relations"]] == ["needs", "colour", "latent_0", "latent_1"]


def test_nodes_are_those_that_a_triple_touches(tmp_path: Path):
    export_neo4j(enriched(), tmp_path / "graph", provenance={}, relations=["latent_1"], threshold=0.9)
    assert [row[1] for row in rows(tmp_path / "graph" / "nodes.csv")] == ["id", "pad", "case"]


@given(ids=st.lists(TEXT, min_size=6, max_size=6, unique=True))
def test_any_text_comes_back(ids, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ids") / "graph"
    export_neo4j(enriched(ids[:4], colours=ids[4:], names=[ids[0], "b"]), folder, provenance={}, which="all")
    assert [row[1] for row in rows(folder / "nodes.csv")[1:]] == ids
    assert {row[2] for row in rows(folder / "relationships.csv")[1:]} == {"needs", "colour", ids[0], "b"}


def test_a_folder_of_other_files_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds files that are not an export for Neo4j; name a new or empty folder"):
        export_neo4j(enriched(), tmp_path, provenance={})
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    for _ in range(2):
        assert export_neo4j(enriched(), tmp_path / "graph", provenance={}) == 7
