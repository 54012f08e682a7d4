from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_loaders import load, read_triples, with_triples
from lrdgraph.corpus import Corpus
from lrdgraph.vocabulary import Vocabulary
from tests.data_loaders import folders

EXPORTED = """# lrdgraph 0.1.0
# corpus "small"\tfingerprint 1234
head\trelation\ttail\tposterior\tprobability\trank
pen\tlatent-1\tpad\t0.9\t0.5\t1
pen\tneeds\tink\t0.4\t0.5\t2
ink\tcolour\tblue\t0.25\t0.5\t3
ink\tcolour\tred\t1e-1\t0.5\t3
"""


def named(corpus: Corpus) -> list[tuple[str, str, str]]:
    nodes = [*corpus.items.series, *corpus.attributes.series]
    triples = corpus.triples
    rows = zip(triples.head, triples.relation, triples.tail, strict=True)
    return [(nodes[head - 1], triples.names[relation], nodes[tail - 1]) for head, relation, tail in rows]


def test_exported_relations_are_read_back_beside_those_there_are(tmp_path: Path):
    corpus = load(folders.saved(tmp_path / "corpus"))
    folders.write(tmp_path, {"found.tsv": EXPORTED})
    grown = with_triples(corpus, tmp_path / "found.tsv")
    assert named(corpus) == [("pen", "needs", "ink"), ("pen", "colour", "blue")]
    assert named(grown) == [
        ("pen", "needs", "ink"),
        ("pen", "colour", "blue"),
        ("pen", "latent-1", "pad"),
        ("ink", "colour", "blue"),
        ("ink", "colour", "red"),
    ]
    assert grown.triples.weight is not None
    assert np.allclose(grown.triples.weight, [0.5, 1.0, 0.9, 0.25, 0.1])
    assert grown.attributes.series.to_list() == ["blue", "red"]
    assert grown.dropped == {"nothing": 1, "repeated triples": 1}
    assert grown.fingerprint != corpus.fingerprint
    assert with_triples(grown, tmp_path / "found.tsv").fingerprint == grown.fingerprint


def test_a_file_without_weights_counts_one_beside_weights(tmp_path: Path):
    folders.write(tmp_path, {"more.csv": "subject,predicate,object\npad,on,pen\n"})
    corpus = with_triples(load(folders.saved(tmp_path / "corpus")), tmp_path / "more.csv")
    assert corpus.triples.weight is not None
    assert corpus.triples.weight.tolist() == [0.5, 1.0, 1.0]
    plain = read_triples(tmp_path / "more.csv", Vocabulary(["pad"]))
    assert plain.triples.weight is None
    assert plain.attributes.series.to_list() == ["pen"]


def test_columns_by_name_and_a_file_without_triples(tmp_path: Path):
    folders.write(tmp_path, {"a.tsv": "x\ty\tz\tsure\npen\tr\tq\t0.5\n", "none.tsv": "head\trelation\ttail\tweight\n"})
    linked = read_triples(tmp_path / "a.tsv", Vocabulary(["pen"]), head="x", relation="y", tail="z", weight="sure")
    assert linked.triples.weight is not None
    assert (linked.triples.tail.tolist(), linked.triples.weight.tolist()) == ([2], [0.5])
    assert len(read_triples(tmp_path / "none.tsv", Vocabulary(["pen"])).triples) == 0
    corpus = load(folders.saved(tmp_path / "corpus"))
    assert with_triples(corpus, tmp_path / "none.tsv").fingerprint == corpus.fingerprint


def test_numeric_ids_of_typed_files_are_the_same_ids(tmp_path: Path):
    folders.write(tmp_path, {"t.jsonl": '{"head": 1, "relation": "next", "tail": 2}\n'})
    assert read_triples(tmp_path / "t.jsonl", Vocabulary(["2", "1"])).triples.head.tolist() == [2]


def test_values_that_spell_an_items_id_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "triples.tsv"
    file.write_text("head\trelation\ttail\n1\tcategory\t3\n2\tcategory\t9\n1\tneeds\t2\n1\tyear\t1984\n")
    linked = read_triples(file, Vocabulary(["1", "2", "3"], "item"))
    assert len(linked.triples) == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}: of 2 tails of 'category' 1 spell an item's id and are read as that item, the others as attribute "
        "values; rename the values if that is not meant."
    ]
