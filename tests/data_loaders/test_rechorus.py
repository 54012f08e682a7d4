from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_loaders import load, read_feat
from tests.data_loaders import folders
from tests.data_loaders.test_triples import named


def test_by_hand(tmp_path: Path):
    corpus = load(folders.rechorus(tmp_path))
    assert corpus.name == "shop"
    assert corpus.items.series.to_list() == ["ASIN1", "ASIN2", "ASIN3", "ASIN4"]
    assert corpus.item.tolist() == [1, 2, 3, 3, 1, 4, 2]
    assert corpus.users.ids(corpus.user) == ["1", "1", "2", "1", "2", "1", "2"]
    assert corpus.time.tolist() == [86400, 172800, 86400, 259200, 172800, 345600, 172800]
    assert corpus.split is not None
    assert corpus.split.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert {role: rows.tolist() for role, rows in corpus.candidates.items()} == {
        "validation": [[4, 1, 4], [2, 2, 4]],
        "test": [[1, 2, 3], [1, 3, 4]],
    }
    assert corpus.fields["text"].to_list() == ["Paper", 'A 12" ruler', "", "Tape, clear"]
    assert corpus.dropped == {"items without text": 1, "items without category": 1, "items without brand": 2}
    assert named(corpus) == [
        ("ASIN2", "complement", "ASIN1"),
        ("ASIN2", "complement", "ASIN3"),
        ("ASIN1", "complement", "ASIN2"),
        ("ASIN4", "complement", "ASIN1"),
        ("ASIN1", "substitute", "ASIN4"),
        ("ASIN2", "category", "category:1"),
        ("ASIN1", "category", "category:1"),
        ("ASIN3", "category", "category:2"),
        ("ASIN1", "brand", "brand:3"),
        ("ASIN4", "brand", "brand:3"),
    ]


def test_the_index_decides_the_order(tmp_path: Path):
    folders.rechorus(tmp_path)
    (tmp_path / "Shop.item2index").write_text("ASIN4\t4\nASIN1\t1\nASIN3\t3\nASIN2\t2\n")
    corpus = load(tmp_path)
    assert corpus.items.ids(corpus.item) == ["ASIN1", "ASIN2", "ASIN3", "ASIN3", "ASIN1", "ASIN4", "ASIN2"]
    assert corpus.items.ids(corpus.candidates["validation"][0]) == ["ASIN4", "ASIN1", "ASIN4"]
    assert named(corpus)[0] == ("ASIN2", "complement", "ASIN1")


def test_without_index_and_text_items_are_numbers(tmp_path: Path):
    folders.rechorus(tmp_path / "Toys")
    for name in ("Shop.item2index", "Shop.text"):
        (tmp_path / "Toys" / name).unlink()
    corpus = load(tmp_path / "Toys")
    assert corpus.name == "toys"
    assert corpus.items.series.to_list() == ["1", "2", "3", "4"]
    assert (corpus.item.tolist(), len(corpus.triples), corpus.fields.width) == ([1, 2, 3, 3, 1, 4, 2], 10, 0)
    (tmp_path / "Toys" / "item_meta.csv").unlink()
    assert len(load(tmp_path / "Toys", name="bare").triples) == 0


def test_feat_rows_are_items(tmp_path: Path):
    corpus = load(folders.rechorus(tmp_path))
    vectors = np.arange(12, dtype="<f4").reshape(4, 3)
    vectors.tofile(tmp_path / "Shop.feat.X")
    assert np.array_equal(read_feat(tmp_path / "Shop.feat.X", corpus), vectors)
    assert read_feat(tmp_path / "Shop.feat.X", corpus, width=3).dtype == np.float32


def test_facts_of_office(office: Path):
    """What is known of Amazon Office Products as the LRD authors publish it."""
    corpus = load(office)
    assert (corpus.name, corpus.num_users, corpus.num_items, len(corpus)) == ("office", 4905, 2420, 53258)
    names, counts = corpus.triples.names, np.bincount(corpus.triples.relation)
    assert names[:2] == ("complement", "substitute")
    assert counts[:2].tolist() == [38071, 18345]
    assert corpus.dropped == {"items without category": 69, "items without brand": 481}
    assert corpus.items.series[0] == "B0000AG93P"

    head, tail, relation = corpus.triples.head, corpus.triples.tail, corpus.triples.relation
    forward, backward = head * 10_000 + tail, tail * 10_000 + head
    complement, substitute = relation == 0, relation == 1
    mutual = np.isin(forward[complement], backward[complement]).mean()
    assert mutual == pytest.approx(1 / 3, abs=0.02)
    assert np.isin(forward[substitute], forward[complement]).mean() == pytest.approx(0.45, abs=0.01)

    assert (corpus.time % 86400 == 0).all()
    duplicated = [(np.diff(np.sort(rows, axis=1)) == 0).any(axis=1) for rows in corpus.candidates.values()]
    assert [rows.shape for rows in corpus.candidates.values()] == [(4905, 99), (4905, 99)]
    assert np.concatenate(duplicated).mean() == pytest.approx(0.877, abs=0.002)


def test_ties_of_office(office: Path):
    from lrdgraph.splits import split

    corpus = load(office)
    parts = split(corpus)
    test, validation = parts.targets("test"), parts.targets("validation")
    assert len(test) == len(validation) == 4905
    assert test.tied.mean() == pytest.approx(0.237, abs=5e-4)
    training = parts.training()
    same_user = np.diff(training.user) == 0
    assert (np.diff(training.time)[same_user] == 0).mean() == pytest.approx(0.176, abs=5e-4)
    assert (~np.isin(test.item, training.item)).sum() == 66
    # ties stand in the order of their ids
    tied = np.flatnonzero(same_user & (np.diff(training.time) == 0))
    ids = np.array(["", *corpus.items.series])
    assert (ids[training.item[tied]] < ids[training.item[tied + 1]]).mean() > 0.99
    late = training.time > test.time[np.searchsorted(test.user, training.user)]
    assert late.sum() == 0
    moments = np.sort(training.time)
    after = len(moments) - np.searchsorted(moments, test.time, side="right")
    assert after.mean() / len(moments) == pytest.approx(0.13, abs=0.01)
