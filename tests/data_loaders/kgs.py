"""Small knowledge graphs about the shop of ``folders``: pen, ink and pad are items."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl

from lrdgraph.corpus import Corpus
from lrdgraph.vocabulary import Vocabulary

ITEMS = ("pen", "ink", "pad")


def shop() -> Corpus:
    """A corpus of items without anything else."""
    none = np.zeros(0, dtype=np.int64)
    return Corpus("shop", Vocabulary([], "user"), Vocabulary(ITEMS), none, none, none, pl.DataFrame())


def told(corpus: Corpus) -> list[tuple[str, str, str]]:
    """Triples by their names."""
    nodes, triples = [*corpus.items.series, *corpus.attributes.series], corpus.triples
    rows = zip(triples.head, triples.relation, triples.tail, strict=True)
    return [(nodes[head - 1], triples.names[relation], nodes[tail - 1]) for head, relation, tail in rows]


def gzipped(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def wikikg(folder: Path) -> Path:
    """The layout of ogbl-wikikg2: Q1 = pen, Q2 = ink, Q3 = blue; P1 = needs, P2 = colour."""
    gzipped(folder / "raw/edge.csv.gz", "0,1\n1,2\n")
    gzipped(folder / "raw/edge_reltype.csv.gz", "0\n1\n")
    gzipped(folder / "mapping/nodeidx2entityid.csv.gz", "node idx,entity id\n0,Q1\n1,Q2\n2,Q3\n")
    gzipped(folder / "mapping/reltype2relid.csv.gz", "reltype,rel id\n0,P1\n1,P2\n")
    return folder


def biokg(folder: Path) -> Path:
    """The layout of ogbl-biokg: two kinds of nodes, and a relation type for each edge."""
    for triplet, edge, kind in (
        ("thing___fits___thing", "0,1\n1,0\n", "0\n0\n"),
        ("thing___has___hue", "1,0\n", "1\n"),
    ):
        gzipped(folder / f"raw/relations/{triplet}/edge.csv.gz", edge)
        gzipped(folder / f"raw/relations/{triplet}/edge_reltype.csv.gz", kind)
    gzipped(folder / "mapping/thing_entidx2name.csv.gz", "ent idx,ent name\n0,pen\n1,ink\n")
    gzipped(folder / "mapping/hue_entidx2name.csv.gz", 'ent idx,ent name\n0,"blue, dark"\n')
    gzipped(folder / "mapping/relidx2relname.csv.gz", "rel idx,rel name\n0,fits\n1,has-hue\n")
    return folder


def pykeen(folder: Path) -> Path:
    """What ``TriplesFactory.to_path_binary`` writes, without its pickle."""
    gzipped(folder / "numeric_triples.tsv.gz", "head\trelation\ttail\n1\t0\t0\n0\t1\t2\n")
    gzipped(folder / "entity_to_id.tsv.gz", 'id\tlabel\n0\tink\n1\tpen\n2\t"a ""deep"" blue"\n')
    gzipped(folder / "relation_to_id.tsv.gz", "id\tlabel\n0\tneeds\n1\tcolour\n")
    return folder
