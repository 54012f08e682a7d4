from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_loaders import with_triples
from data_loaders.ogb_kg import is_ogb, read_ogb
from lrdgraph.errors import DataError
from tests.data_loaders.kgs import biokg, gzipped, shop, told, wikikg


def test_one_kind_of_node_by_a_table_of_links(tmp_path: Path):
    folder = wikikg(tmp_path / "ogbl_wikikg2")
    (tmp_path / "links.csv").write_text("item,entity\npen,Q1\nink,Q2\nlost,Q9\n")
    assert is_ogb(folder)
    corpus = with_triples(shop(), folder, links=tmp_path / "links.csv")
    assert told(corpus) == [("pen", "P1", "ink"), ("ink", "P2", "Q3")]
    assert corpus.dropped == {"links to unknown items": 1}


def test_several_kinds_of_nodes(tmp_path: Path):
    corpus = with_triples(shop(), biokg(tmp_path / "ogbl_biokg"))
    assert told(corpus) == [("pen", "fits", "ink"), ("ink", "fits", "pen"), ("ink", "has-hue", "blue, dark")]
    assert corpus.triples.weight is None


def test_binary_files_and_weights(tmp_path: Path):
    raw = tmp_path / "set" / "raw"
    raw.mkdir(parents=True)
    kinds = ("a___near___a", "a___latent___a", "a___has%20hue___b")
    edges = [np.array(pairs).T for pairs in ([(0, 1), (1, 2)], [(0, 2)], [(2, 0)])]
    np.savez_compressed(raw / "edge_index_dict.npz", **dict(zip(kinds, edges, strict=True)))
    weights = {kinds[0]: np.float32([[0.5], [1]]), kinds[1]: np.float32([[1]]), kinds[2]: np.float32([[0.25]])}
    np.savez_compressed(raw / "edge_weight.npz", **weights)
    np.savez_compressed(raw / "edge_posterior.npz", **{kinds[1]: np.float32([[0.5, 0.5]])})
    gzipped(tmp_path / "set/mapping/a_entidx2name.csv.gz", "ent idx,ent name\n0,pen\n1,ink\n2,pad\n")
    corpus = with_triples(shop(), tmp_path / "set")
    assert told(corpus) == [("pen", "near", "ink"), ("ink", "near", "pad"), ("pad", "has hue", "b:0")]
    assert corpus.triples.weight.tolist() == [0.5, 1.0, 0.25]
    assert corpus.dropped == {"latent edges": 1}

    np.savez_compressed(raw / "data.npz", edge_index=edges[0], edge_reltype=np.array([[1], [0]]))
    assert read_ogb(tmp_path / "set").rows.rows() == [("0", "relation:1", "1"), ("1", "relation:0", "2")]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("raw/edge.csv.gz", "0,7\n1,2\n"),
        ("raw/edge.csv.gz", "a,b\nc,d\n"),
        ("raw/edge_reltype.csv.gz", "0\n"),
        ("mapping/reltype2relid.csv.gz", "only\n"),
    ],
)
def test_a_broken_set_is_told(file, text, tmp_path: Path):
    folder = wikikg(tmp_path / "ogbl_wikikg2")
    gzipped(folder / file, text)
    with pytest.raises(DataError, match="ogbl_wikikg2 does not hold a whole graph of OGB .* fetch or write it anew"):
        read_ogb(folder)
    (folder / "raw/edge.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="does not hold a whole graph of OGB"):
        read_ogb(folder)
