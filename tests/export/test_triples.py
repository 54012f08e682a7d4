from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import with_triples
from lrdgraph import __version__
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError, UnknownIdError
from lrdgraph.export import export_triples, selection
from lrdgraph.graph.build import build_graph
from lrdgraph.vocabulary import Vocabulary
from tests.export.worlds import PAIRS, POSTERIOR, enriched
from tests.models import shop


def rows(path: Path) -> list[tuple[str, str, str, float]]:
    lines = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("# ")]
    assert lines[0] == ["head", "relation", "tail", "posterior"]
    return [(head, relation, tail, float(posterior)) for head, relation, tail, posterior in lines[1:]]


def test_by_hand(tmp_path: Path):
    path = tmp_path / "deep" / "found.tsv"
    provenance = {"model": "lrdgraph", "seed": 0, "corpus": "1234"}
    assert export_triples(enriched(names=["goes with", "same line"]), path, provenance=provenance, threshold=0.6) == 5
    assert path.read_text() == (
        "# model: lrdgraph\n# seed: 0\n# corpus: 1234\n"
        f"# lrdgraph: {__version__}\n# threshold: 0.6\n# top_k: all\n"
        "head\trelation\ttail\tposterior\n"
        "pen\tgoes with\tink\t0.9\n"
        "pen\tgoes with\tcase\t0.8\n"
        "ink\tgoes with\tpen\t0.6\n"
        "case\tgoes with\tpen\t0.7\n"
        "pad\tsame line\tcase\t1.0\n"
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 2])
@pytest.mark.parametrize("relations", [None, ["latent_1"]])
def test_equals_a_loop_over_pairs(threshold, top_k, relations, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(selection, "ROWS_AT_ONCE", 2)
    ids = ["pen", "ink", "pad", "case"]
    expected = []
    for k, name in enumerate(["latent_0", "latent_1"]):
        for head in range(1, 5):
            found = [(np.float32(q[k]), tail) for (i, tail), q in zip(PAIRS, POSTERIOR, strict=True) if i == head]
            found = sorted(found, key=lambda pair: (-pair[0], pair[1]))
            kept = [(q, tail) for q, tail in found if q >= np.float32(threshold)][:top_k]
            if relations is None or name in relations:
                expected += [(ids[head - 1], name, ids[tail - 1], pytest.approx(q)) for q, tail in kept]
    path = tmp_path / "found.tsv"
    count = export_triples(enriched(), path, provenance={}, threshold=threshold, top_k=top_k, relations=relations)
    assert rows(path) == expected
    assert count == len(expected)


def test_read_back_as_predefined_relations_with_the_posterior_as_weight(tmp_path: Path):
    corpus = shop.shop()
    model = shop.model("lrdgraph", steps=5)
    path = tmp_path / "found.tsv"
    provenance = {"model": "lrdgraph", "corpus": corpus.fingerprint}
    count = export_triples(model, path, provenance=provenance, threshold=0.3)
    grown = with_triples(corpus, path)
    assert grown.triples.names == ("needs", "colour", "latent_0", "latent_1")
    assert len(grown.triples) == len(corpus.triples) + count
    assert grown.attributes.series.to_list() == corpus.attributes.series.to_list()

    with torch.no_grad():
        enriched = model.enriched()
        torch.testing.assert_close(enriched.mixture, model.mixture())  # which computes many pairs at once
    expected = {
        (int(i), int(j), k): q
        for (i, j), shares in zip(enriched.latent_index.T.tolist(), enriched.mixture.numpy(), strict=True)
        for k, q in enumerate(shares)
        if q >= 0.3
    }
    new = slice(len(corpus.triples), None)
    ends = (grown.triples.head[new], grown.triples.tail[new], grown.triples.relation[new] - 2)
    keys = zip(*(end.tolist() for end in ends), strict=True)
    # every number is the same, to the last bit
    assert dict(zip(keys, grown.triples.weight[new], strict=True)) == expected
    assert build_graph(grown).edge_counts()["latent_0"] == sum(k == 0 for _, _, k in expected)


def bare(ids: list[str]) -> Corpus:
    none = np.zeros(0, dtype=np.int64)
    return Corpus("ids", Vocabulary([], "user"), Vocabulary(ids), none, none, none, pl.DataFrame())


CARRIED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"), min_size=1, max_size=5)


@given(ids=st.lists(CARRIED, min_size=4, max_size=4, unique=True))
def test_any_id_without_tab_or_line_break_comes_back(ids, tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / "found.tsv"
    export_triples(enriched(ids), path, provenance={}, threshold=0.5)
    grown = with_triples(bare(ids), path)
    assert len(grown.attributes) == 0
    found = list(zip(grown.triples.head.tolist(), grown.triples.tail.tolist(), strict=True))
    assert found == [(1, 2), (1, 4), (1, 3), (2, 1), (4, 1), (1, 3), (3, 4)]


@pytest.mark.parametrize("name", ["#1", '"quoted', "a,b", " space ", "'", "NA", "null", "1e5"])
def test_awkward_ids_come_back(name, tmp_path: Path):
    ids = [name, "ink", "pad", "case"]
    export_triples(enriched(ids), tmp_path / "found.tsv", provenance={"note": "# not a header"})
    grown = with_triples(bare(ids), tmp_path / "found.tsv")
    assert (len(grown.triples), len(grown.attributes)) == (7, 0)


@pytest.mark.parametrize("broken", ["a\tb", "a\nb", "a\rb"])
def test_what_a_table_cannot_carry_is_told_and_nothing_is_left(broken, tmp_path: Path):
    path = tmp_path / "found.tsv"
    path.write_text("the last good one")
    for call, what in (
        (lambda: export_triples(enriched([broken, "i", "p", "c"]), path, provenance={}), "item id"),
        (lambda: export_triples(enriched(names=[broken, "b"]), path, provenance={}), "relation name"),
        (lambda: export_triples(enriched(), path, provenance={"note": broken}), "note"),
        (lambda: export_triples(enriched(), path, provenance={broken: 1}), "key"),
    ):
        with pytest.raises(DataError, match=f"The {what} .* holds a tab or a line break") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert path.read_text() == "the last good one"
    assert list(tmp_path.iterdir()) == [path]


def test_an_id_that_is_not_written_may_be_anything(tmp_path: Path):
    graph = enriched(["pen", "ink", "pad", "case", "a\tb"])
    assert export_triples(graph, tmp_path / "found.tsv", provenance={}) == 7


def test_nothing_above_the_threshold_is_a_file_without_rows(tmp_path: Path):
    path = tmp_path / "found.tsv"
    graph = enriched(posterior=[(0.4, 0.4)] * 6)
    assert export_triples(graph, path, provenance={}) == 0
    assert rows(path) == []
    assert len(with_triples(bare(["pen"]), path).triples) == 0


def test_bad_options_are_told(tmp_path: Path):
    path = tmp_path / "found.tsv"
    for options in ({"threshold": 1.5}, {"threshold": float("nan")}, {"top_k": 0}):
        with pytest.raises(ConfigError, match="The threshold lies in \\[0, 1\\] and top_k is 1 or more"):
            export_triples(enriched(), path, provenance={}, **options)
    with pytest.raises(UnknownIdError, match="no discovered relation 'latent_7' \\(did you mean 'latent_"):
        export_triples(enriched(), path, provenance={}, relations=["latent_7"])
    with pytest.raises(DataError, match="A posterior of 'latent_0' is outside \\[0, 1\\]"):
        export_triples(replace(enriched(), mixture=torch.full((6, 2), 1.5)), path, provenance={})
    assert not path.exists()
