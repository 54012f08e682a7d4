from __future__ import annotations

from pathlib import Path

from data_loaders import load
from tests.data_loaders import folders
from tests.data_loaders.test_triples import named


def test_by_hand(tmp_path: Path):
    corpus = load(folders.recbole(tmp_path))
    assert corpus.name == "toy"
    assert corpus.items.series.to_list() == ["i2", "i1", "i3"]
    # the whole third row repeats the first; the fourth has another rating and stays
    assert corpus.items.ids(corpus.item) == ["i1", "i2", "i1", "i3"]
    assert corpus.time.tolist() == [100, 100, 100, 300]
    assert corpus.fields.to_dict(as_series=False) == {"name": ["Blue pen", "", ""], "price": ["1.5", "", ""]}
    assert named(corpus) == [("i1", "made.by", "m.9"), ("m.8", "made", "i2"), ("i1", "sequel", "i2")]
    assert corpus.dropped == {
        "repeated rows": 1,
        "columns of type float_seq": 1,
        "items without text": 2,
        "triples without an item": 1,
        "links to unknown items": 1,
    }


def test_lowest_rating(tmp_path: Path):
    corpus = load(folders.recbole(tmp_path), min_rating=4)
    assert corpus.items.ids(corpus.item) == ["i1", "i1"]
    assert corpus.users.series.to_list() == ["u1"]
    assert corpus.items.series.to_list() == ["i2", "i1"]
    assert corpus.dropped["ratings below 4"] == 2


def test_an_entity_named_like_an_item_is_not_that_item(tmp_path: Path):
    folders.recbole(tmp_path)
    (tmp_path / "toy.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\nm.1\tr\ti2\n")
    corpus = load(tmp_path)
    assert (corpus.triples.head.tolist(), corpus.triples.tail.tolist()) == ([2], [4])
    assert corpus.attributes.series.to_list() == ["i2"]


def test_interactions_alone(tmp_path: Path):
    folders.recbole(tmp_path)
    for suffix in ("item", "kg", "link"):
        (tmp_path / f"toy.{suffix}").unlink()
    corpus = load(tmp_path, name="bare")
    assert (corpus.name, corpus.fields.width, len(corpus.triples)) == ("bare", 0, 0)
