from __future__ import annotations

from pathlib import Path

import pytest

from data_loaders import load
from lrdgraph.corpus import ROLES
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.splits import split
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


HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
PARTS = {
    "toy.train.inter": "u2\ti2\t5.5\nu1\ti1\t1.0\nu1\ti2\t2.0\nu1\ti2\t2.0\nu2\ti1\t5.25\n",
    "toy.valid.inter": "u1\ti3\t3\nu2\ti3\t6\n",
    "toy.test.inter": "u1\ti4\t4\nu2\ti1\t7\n",
}


def parts(folder: Path) -> Path:
    folders.recbole(folder)
    (folder / "toy.inter").unlink()
    for name, rows in PARTS.items():
        (folder / name).write_text(HEADER + rows)
    return folder


def test_a_split_of_its_own(tmp_path: Path):
    corpus = load(parts(tmp_path))
    assert corpus.name == "toy"
    assert corpus.split is not None
    roles = {number: role for role, number in ROLES.items()}
    rows = zip(
        corpus.users.ids(corpus.user),
        corpus.items.ids(corpus.item),
        corpus.time.tolist(),
        (roles[number] for number in corpus.split.tolist()),
        strict=True,
    )
    # times with fractions order the events before the fractions are cut off
    assert list(rows) == [
        ("u1", "i1", 1, "train"),
        ("u1", "i2", 2, "train"),
        ("u1", "i3", 3, "validation"),
        ("u1", "i4", 4, "test"),
        ("u2", "i1", 5, "train"),
        ("u2", "i2", 5, "train"),
        ("u2", "i3", 6, "validation"),
        ("u2", "i1", 7, "test"),
    ]
    assert corpus.fields["name"].to_list()[0] == "Blue pen"
    assert corpus.dropped["repeated rows"] == 1
    assert split(corpus).name == "given"
    assert corpus.items.ids(split(corpus).targets("test").item) == ["i4", "i1"]


def test_a_split_lacks_a_part(tmp_path: Path):
    (parts(tmp_path) / "toy.valid.inter").unlink()
    with pytest.raises(DataError, match=r"toy\.test\.inter, toy\.train\.inter; expected one \.inter file, or NAME"):
        load(tmp_path)


def test_parts_of_two_data_sets(tmp_path: Path):
    (parts(tmp_path) / "toy.valid.inter").rename(tmp_path / "other.valid.inter")
    with pytest.raises(DataError, match="keep one data set in a folder"):
        load(tmp_path)


def test_a_name_with_a_point(tmp_path: Path):
    for file in folders.recbole(tmp_path).iterdir():
        file.rename(file.with_name(file.name.replace("toy.", "toy.5core.")))
    corpus = load(tmp_path)
    assert corpus.name == "toy.5core"
    assert len(corpus.triples) == 3


def test_k_core(tmp_path: Path):
    folders.recbole(tmp_path)
    # u2 and i2 have one interaction, i3 one and u1 three with i1 and i3: the 2-core is u1 with i1, twice
    corpus = load(tmp_path, core=2)
    assert (corpus.users.ids(corpus.user), corpus.items.ids(corpus.item)) == (["u1", "u1"], ["i1", "i1"])
    assert corpus.items.series.to_list() == ["i1"]
    assert corpus.dropped["interactions outside the 2-core"] == 2
    assert corpus.dropped["items outside the 2-core"] == 1
    assert corpus.dropped["links to unknown items"] == 2
    with pytest.raises(DataError, match="no interaction is left"):
        load(tmp_path, core=5)
    with pytest.raises(ConfigError, match="core is -1"):
        load(tmp_path, core=-1)


def test_no_core_of_a_split(tmp_path: Path):
    with pytest.raises(ConfigError, match="holds a split, which a k-core would break"):
        load(parts(tmp_path), core=2)
