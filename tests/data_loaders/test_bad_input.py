"""Every malformed input gives one sentence that says where and what to do."""

# ruff: noqa: E501 - one case, one line

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data_loaders import load, read_feat, with_triples
from lrdgraph.corpus import Corpus
from lrdgraph.errors import LrdgraphError
from tests.data_loaders import amazon_folders as amazon
from tests.data_loaders import folders

Change = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One defect: a good folder, what is changed in it, and what the sentence must hold."""

    name: str
    writer: Callable[[Path], Path]
    change: Change
    says: tuple[str, ...]
    read: Callable[[Path], object] = load
    options: dict[str, Any] = field(default_factory=dict)


def put(file: str, text: str | bytes) -> Change:
    data = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / file).write_bytes(data)


def swap(file: str, old: str, new: str) -> Change:
    """Replace text that must be there."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def remove(*files: str) -> Change:
    return lambda folder: [(folder / file).unlink() for file in files]


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def truncated(file: str) -> Change:
    def change(folder: Path) -> None:
        table = pl.DataFrame({"user": ["u"] * 500, "item": ["i"] * 500, "time": list(range(500))})
        (folder / "interactions.csv").unlink(missing_ok=True)
        table.write_parquet(folder / file)
        raw = (folder / file).read_bytes()
        (folder / file).write_bytes(raw[: len(raw) // 2])

    return change


def half(file: str) -> Change:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-40])


def parquet(file: str, table: pl.DataFrame) -> Change:
    return both(remove("interactions.csv"), lambda folder: table.write_parquet(folder / file))


def archive(file: str, *names: str) -> Change:
    def change(folder: Path) -> None:
        with zipfile.ZipFile(folder / file, "w") as out:
            for name in names:
                out.writestr(name, "x")

    return change


def feat(array: np.ndarray) -> Change:
    return lambda folder: array.astype("<f4").tofile(folder / "Shop.feat.X")


def load_feat(width: int | None = None) -> Callable[[Path], object]:
    return lambda folder: read_feat(folder / "Shop.feat.X", load(folder), width)


def inside(file: str, **options: Any) -> Callable[[Path], object]:
    return lambda folder: load(folder / file, **options)


def add_triples(folder: Path) -> Corpus:
    return with_triples(load(folder), folder / "more.tsv")


T, R, B, M, S = folders.tables, folders.rechorus, folders.recbole, folders.movielens, folders.saved
A, J, C = (partial(write, zipped="") for write in (amazon.amazon_2014, amazon.raw_2023, amazon.amazon_2023))
G = folders.WRITERS["amazon-2014"]
HEAD = "user,item,time\n"
NAN = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 0)

CASES = [
    # a user's own tables
    Case("missing column", T, swap("interactions.csv", "user_id", "person"), ("interactions.csv", "'user'", "'person'")),
    Case("semicolons", T, put("interactions.csv", "user;item;time\nu;i;1\n"), ("'user;item;time'", "another separator than ';'")),
    Case("two columns for one", T, swap("interactions.csv", "timestamp", "item"), ("interactions.csv", "item_id, item")),
    Case("column named twice", T, put("interactions.csv", "user,item,item\na,b,c\n"), ("line 1", "'item' twice")),
    Case("asked column", T, put("x", ""), ("no column 'usr'", "'user_id'?"), options={"user": "usr"}),
    Case("non-numeric time", T, swap("interactions.csv", "200", "soon"), ("interactions.csv, line 3", "'soon'")),
    Case("not a number at first", T, swap("interactions.csv", "100", "soon"), ("interactions.csv, line 2", "'soon'")),
    Case("impossible date", T, put("interactions.csv", HEAD + "u,i,2024-02-30\n"), ("line 2", "2024-02-30")),
    Case("mixed dates", T, put("interactions.csv", HEAD + "u,i,2024-02-03\nu,i,7\n"), ("line 3", "'7'")),
    Case("null time", T, swap("interactions.csv", "200", ""), ("interactions.csv, line 3", "nothing")),
    Case("core too large", T, put("x", ""), ("no interaction is left", "lower core"), options={"core": 9}),
    Case("negative core", T, put("x", ""), ("core is -1",), options={"core": -1}),
    Case("no ratings", T, put("x", ""), ("no column 'rating'",), options={"min_rating": 3.0}),
    Case("half a gzip file", T, both(remove("items.csv"), put("items.csv.gz", gzip.compress(b"item,title\npen,A pen\n" * 99)[:40])), ("items.csv.gz", "breaks off")),
    Case("no gzip file", T, both(remove("items.csv"), put("items.csv.gz", b"\x1f\x8bxx")), ("items.csv.gz", "damaged")),
    Case("bad cell in gzip", T, both(remove("interactions.csv"), put("interactions.csv.gz", gzip.compress(b"user,item,time\nu,i,x\n"))), ("interactions.csv.gz, line 2", "'x'")),
    Case("negative time", T, swap("interactions.csv", "200", "-5"), ("interactions.csv, line 3", "'-5'")),
    Case("nan time", T, swap("interactions.csv", "200", "nan"), ("interactions.csv, line 3", "'nan'")),
    Case("milliseconds", T, swap("interactions.csv", "200", "1577836800000"), ("line 3", "milliseconds")),
    Case("empty user id", T, swap("interactions.csv", "bob", ""), ("interactions.csv, line 3", "a user id")),
    Case("empty item id", T, swap("interactions.csv", "ink", '""'), ("interactions.csv, line 3", "an item id")),
    Case("blank line", T, swap("interactions.csv", "bob", "\nbob"), ("interactions.csv, line 3", "nothing")),
    Case("too many cells", T, swap("interactions.csv", "ink,200", "ink,200,5"), ("line 3", "4 cells, expected 3")),
    Case("too few cells", T, swap("interactions.csv", "ink,200", "ink"), ("interactions.csv, line 3", "nothing")),
    Case("quote not closed", T, swap("interactions.csv", "bob", '"bob'), ("interactions.csv", "never closed")),
    Case("line unknown", T, put("interactions.csv", HEAD + '"u\nv",i,1\nu,i,x\n'), ("interactions.csv, row 2", "'x'")),
    Case("empty file", T, put("interactions.csv", ""), ("interactions.csv", "is empty")),
    Case("header only", T, put("interactions.csv", HEAD), ("interactions.csv", "no rows")),
    Case("binary junk", T, put("interactions.csv", bytes(range(255, -1, -1))), ("interactions.csv, line 1", "UTF-8")),
    Case("zero bytes", T, put("interactions.csv", b"\x00\x01,\x02\nx,y\n"), ("interactions.csv, line 1", "zero bytes")),
    Case("truncated parquet", T, truncated("interactions.parquet"), ("interactions.parquet", "not a whole Parquet")),
    Case("float ids", T, parquet("interactions.parquet", pl.DataFrame({"user": [0.5], "item": [1], "time": [1]})),
         ("interactions.parquet", "'user' is of type Float64")),
    Case("times of no kind", T, parquet("interactions.parquet", pl.DataFrame({"user": [1], "item": [1], "time": [True]})),
         ("interactions.parquet", "'time' is of type Boolean")),
    Case("infinite time", T, parquet("interactions.parquet", pl.DataFrame({"user": [1], "item": [1], "time": [np.inf]})),
         ("interactions.parquet, row 1", "'inf'")),
    Case("broken json", T, both(remove("interactions.csv"), put("interactions.jsonl", '{"user": 1}\n{"user":\n')),
         ("interactions.jsonl, line 2", "JSON object")),
    Case("json of two shapes", T, both(remove("interactions.csv"), put("interactions.jsonl", '{"a": {"b": 1}}\n{"a": [1]}\n')),
         ("interactions.jsonl", "one shape")),
    Case("two tables of one name", T, put("interactions.jsonl", "{}"), ("interactions.csv and interactions.jsonl",)),
    Case("duplicate item", T, swap("items.csv", "pad,", "pen,"), ("items.csv, line 3", "'pen'")),
    Case("empty id of a described item", T, swap("items.csv", "pad,", ","), ("items.csv, line 3", "an item id")),
    Case("field named id", T, swap("items.csv", "note", "id"), ("items.csv", "'id'")),
    Case("items elsewhere", T, put("x", ""), ("nowhere.csv", "does not exist"), options={"items": "nowhere.csv"}),
    Case("weight outside", T, swap("triples.tsv", "0.75", "1.5"), ("triples.tsv, line 3", "'1.5'")),
    Case("weight no number", T, swap("triples.tsv", "0.75", "often"), ("triples.tsv, line 3", "'often'")),
    Case("empty relation", T, swap("triples.tsv", "needs", ""), ("triples.tsv, line 3", "a relation id")),
    Case("triples without tail", T, swap("triples.tsv", "tail", "end"), ("triples.tsv", "no column 'tail'")),
    Case("added triples", T, put("more.tsv", "# note\nhead\trelation\ttail\na\tb\tc\td\n"), ("more.tsv, line 3", "4 cells"),
         read=add_triples),
    # ReChorus
    Case("items without ids", T, swap("items.csv", "item,", "thing,"), ("items.csv", "no column 'item'")),
    Case("no user column", R, swap("dev.csv", "user_id", "user"), ("dev.csv", "'userid'", "'user'")),
    Case("comma separated", R, put("train.csv", "user_id,item_id,time\n1,1,1\n"), ("train.csv", "'user_id,item_id,time'")),
    Case("number of no user", R, swap("train.csv", "1\t2\t172800", "\t2\t172800"), ("train.csv, line 3", "nothing")),
    Case("no time", R, swap("dev.csv", "259200", ""), ("dev.csv, line 2", "'time' holds nothing")),
    Case("unknown item in train", R, swap("train.csv", "1\t2", "1\t9"), ("train.csv, line 3", "item 9")),
    Case("unknown candidate", R, swap("test.csv", "[1, 3, 4]", "[1, 3, 44]"), ("test.csv, line 3", "item 44")),
    Case("unknown complement", R, swap("item_meta.csv", "[1, 3]", "[1, 33]"), ("item_meta.csv, line 2", "item 33")),
    Case("candidates of another length", R, swap("dev.csv", "[2,2,4]", "[2,2]"), ("dev.csv, line 3", "3 items")),
    Case("cell of code", R, swap("dev.csv", "[2,2,4]", "__import__('os').system('x')"), ("dev.csv, line 3", "__import__")),
    Case("cell not closed", R, swap("item_meta.csv", "[1, 3]", "[1, 3"), ("item_meta.csv, line 2", "'[1, 3'")),
    Case("nested list", R, swap("item_meta.csv", "[1, 3]", "[[1], 3]"), ("item_meta.csv, line 2", "'[[1], 3]'")),
    Case("empty list cell", R, swap("item_meta.csv", "[1, 3]", ""), ("item_meta.csv, line 2", "nothing")),
    Case("number too long", R, swap("dev.csv", "[2,2,4]", "[2,2,99999999999999999999]"), ("dev.csv, line 3", "list")),
    Case("time with a fraction", R, swap("train.csv", "172800", "1728.5"), ("train.csv, line 3", "'1728.5'")),
    Case("attribute no number", R, swap("item_meta.csv", "\t3\t[2]", "\tHP\t[2]"), ("item_meta.csv, line 3", "'HP'")),
    Case("item described twice", R, swap("item_meta.csv", "\n1\t", "\n2\t"), ("item_meta.csv, line 3", "'2'")),
    Case("index names an item twice", R, swap("Shop.item2index", "ASIN2", "ASIN1"), ("Shop.item2index, line 2", "ASIN1")),
    Case("index has a number twice", R, swap("Shop.item2index", "\t2", "\t1"), ("Shop.item2index, line 2", "'1'")),
    Case("texts of another set", R, put("Shop.text", "id\ttext\nZ\tz\n"), ("Shop.text", "none of the items")),
    Case("item with two texts", R, swap("Shop.text", "ASIN4", "ASIN2"), ("Shop.text, line 4", "'ASIN2'")),
    Case("two data sets", R, put("Other.text", "id\ttext\n"), ("Other.text and Shop.text",)),
    Case("negatives in training", R, put("train.csv", "user_id\titem_id\ttime\tneg_items\n1\t1\t1\t[2]\n"), ("train.csv",)),
    Case("feat of wrong size", R, feat(np.zeros(11)), ("Shop.feat.X", "44 bytes", "4 items"), read=load_feat()),
    Case("feat of wrong width", R, feat(np.zeros(12)), ("Shop.feat.X", "4 × 4 × 4 = 64"), read=load_feat(4)),
    Case("empty feat", R, feat(np.zeros(0)), ("Shop.feat.X", "0 bytes"), read=load_feat()),
    Case("nan in feat", R, feat(NAN), ("Shop.feat.X, row 3", "ASIN3", "NaN"), read=load_feat()),
    Case("no feat", R, put("x", ""), ("Shop.feat.X", "does not exist"), read=load_feat()),
    # RecBole and MovieLens
    Case("text for time", B, swap("toy.inter", "300", "later"), ("toy.inter, line 6", "'later'")),
    Case("no timestamp", B, swap("toy.inter", "timestamp", "when"), ("toy.inter", "no column 'timestamp'")),
    Case("rating missing", B, swap("toy.inter", "\t2\t100", "\t\t100"), ("toy.inter, line 3", "'rating'"),
         options={"min_rating": 3}),
    Case("atomic item twice", B, swap("toy.item", "i1", "i2"), ("toy.item, line 3", "'i2'")),
    Case("entity of two items", B, swap("toy.link", "m.2", "m.1"), ("toy.link, line 3", "'m.1'")),
    Case("kg without link", B, remove("toy.link"), ("toy.kg", "toy.link")),
    Case("two atomic sets", B, put("more.inter", "x"), ("more.inter, toy.inter", "one .inter file")),
    Case("a part of a split alone", B, put("toy.test.inter", "x"), ("toy.inter, toy.test.inter", "NAME.train.inter")),
    Case("rating row", M, swap("u.data", "186\t2\t4", "186\t2"), ("u.data, line 2", "nothing")),
    Case("film twice", M, put("u.item", ("1|A" + "|0" * 22 + "\n") * 2), ("u.item, line 2", "'1'")),
    Case("film row cut short", M, put("u.item", "1|A" + "|0" * 22 + "\n2|B|||\n"), ("u.item, line 2", "'Western' holds nothing")),
    Case("zip that leaves its folder", M, archive("ml-100k.zip", "ml-100k/u.data", "../../evil"),
         ("ml-100k.zip", "../../evil"), read=inside("ml-100k.zip")),
    Case("zip with an absolute path", M, archive("ml-100k.zip", "/etc/u.data"), ("/etc/u.data",), read=inside("ml-100k.zip")),
    Case("zip with a drive", M, archive("ml-100k.zip", "C:\\u.data"), ("C:/u.data",), read=inside("ml-100k.zip")),
    Case("zip of something else", M, archive("ml-100k.zip", "readme"), ("ml-100k.zip", "no u.data"), read=inside("ml-100k.zip")),
    Case("no zip", M, put("ml-100k.zip", "junk"), ("ml-100k.zip", "not a whole zip"), read=inside("ml-100k.zip")),
    # saved corpora
    Case("saved corpus cut short", S, half("interactions.parquet"), ("interactions.parquet", "cannot be read")),
    Case("saved file missing", S, remove("users.parquet"), ("users.parquet", "does not exist")),
    Case("saved corpus changed", S, swap("corpus.json", '"needs"', '"wants"'), ("fingerprint",)),
    Case("saved corpus without name", S, swap("corpus.json", '"name"', '"nom"'), ("'name' is missing",)),
    Case("saved by another format", S, swap("corpus.json", '"format": 1', '"format": 9'), ("corpus format 9",)),
    Case("saved json broken", S, swap("corpus.json", "{", ""), ("corpus.json", "valid JSON")),
    Case("saved json a list", S, put("corpus.json", "[]"), ("corpus format None",)),
    # Amazon
    Case("review no record", A, swap("reviews_Pens_5.json", "{'reviewerID'", "'reviewerID'"),
         ("reviews_Pens_5.json, line 3 is neither a JSON object nor a Python dictionary",)),
    Case("review a list", A, put("reviews_Pens_5.json", "\n[1, 2]\n"), ("reviews_Pens_5.json, line 2 is neither",)),
    Case("review of code", A, put("reviews_Pens_5.json", "__import__('os').system('x')\n"), ("line 1 is neither",)),
    Case("review cut short", A, half("reviews_Pens_5.json"), ("reviews_Pens_5.json, line 9 is neither",)),
    Case("review not text", A, put("reviews_Pens_5.json", b'{"asin": "\xff"}\n'), ("line 1 is not UTF-8",)),
    Case("time of words", A, swap("reviews_Pens_5.json", "259200", '"soon"'), ("line 1: 'unixReviewTime' is 'soon'", "whole number")),
    Case("time of a fraction", A, swap("reviews_Pens_5.json", "259200", "2.5"), ("line 1: 'unixReviewTime' is '2.5'",)),
    Case("id a number", A, swap("reviews_Pens_5.json", '"asin": "ink"', '"asin": 7'), ("line 2: 'asin' is '7'", "expected text")),
    Case("stars of words", A, swap("reviews_Pens_5.json", "2.0", '"two"'), ("line 2: 'overall' is 'two'",), options={"min_rating": 3}),
    Case("reviews in milliseconds", A, swap("reviews_Pens_5.json", "259200", "1588615855070"), ("line 1", "not milliseconds")),
    Case("reviews before 1970", A, swap("reviews_Pens_5.json", "259200", "-1"), ("line 1: the time is -1",)),
    Case("reviews of another release", A, put("reviews_Pens_5.json", '{"user_id": "a"}\n'), ("no review with 'reviewerID'",)),
    Case("no reviews", A, put("reviews_Pens_5.json", ""), ("reviews_Pens_5.json holds no review",)),
    Case("metadata no record", A, swap("meta_Pens.json", "'title': 'Again'", "'title': Again"), ("meta_Pens.json, line 4 is neither",)),
    Case("no metadata", A, put("meta_Pens.json", ""), ("meta_Pens.json is empty",)),
    Case("two versions", A, put("reviews_Pens.json", "{}"), ("reviews_Pens.json and reviews_Pens_5.json",)),
    Case("gzip cut short", G, half("reviews_Pens_5.json.gz"), ("reviews_Pens_5.json.gz breaks off or is damaged after line",)),
    Case("gzip damaged", G, put("meta_Pens.json.gz", b"\x1f\x8bjunk"), ("meta_Pens.json.gz breaks off or is damaged",)),
    Case("seconds for milliseconds", J, swap("Pens.jsonl", "1588615855970", "1588615855"), ("Pens.jsonl, line 1", "not seconds")),
    Case("no header", C, swap("Pens.train.csv", "user_id,", "bob,"), ("Pens.train.csv, line 1", "'user_id'")),
    Case("cells of a split", C, swap("Pens.test.csv", "bob,cup", "bob,cup,4"), ("Pens.test.csv, line 3 has 6 cells, expected 5",)),
    Case("first line of a split", C, swap("Pens.test.csv", "ann,pad,5.0", "ann,pad"), ("Pens.test.csv, line 2",)),
    Case("time in a split", C, swap("Pens.valid.csv", "1588615860070", "later"), ("Pens.valid.csv, line 2: 'timestamp' is 'later'",)),
    Case("seconds in a split", C, swap("Pens.valid.csv", "1588615856020", "1588615856"), ("Pens.valid.csv, line 3", "not seconds")),
    Case("split not text", C, put("Pens.valid.csv", b"user_id,parent_asin,rating,timestamp\na,\xff,1,1\n"), ("Pens.valid.csv",)),
    Case("part of a split", C, remove("Pens.valid.csv"), ("no Pens.valid.csv; add",)),
    Case("split and reviews", C, put("Pens.jsonl", "{}"), ("Pens.jsonl and Pens.test.csv",)),
    Case("no folder of a release", T, put("x", ""), ("holds no reviews of 2018",), options={"format": "amazon-2018"}),
    # formats and options
    Case("unknown folder", T, remove("interactions.csv"), ("no known format", "recbole: a folder with NAME.inter")),
    Case("ambiguous folder", T, folders.rechorus, ("rechorus and tables at once",)),
    Case("missing folder", T, put("x", ""), ("gone does not exist",), read=inside("gone")),
    Case("unknown option", T, put("x", ""), ("no option 'itms'", "'items'?"), options={"itms": 1}),
    Case("option of a format without", S, put("x", ""), ("no option 'user'", "takes none"), options={"user": "u"}),
    Case("unknown format", T, put("x", ""), ("no format 'table'", "'tables'?"), options={"format": "table"}),
    Case("format of another folder", T, put("x", ""), ("train.csv", "does not exist"), options={"format": "rechorus"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_sentence(case: Case, tmp_path: Path):
    folder = case.writer(tmp_path / "data")
    case.read(folder) if case.read is load else None  # the folder was good before
    case.change(folder)
    with pytest.raises(LrdgraphError) as caught:
        case.read(folder, **case.options)
    sentence = str(caught.value)
    for piece in case.says:
        assert piece in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert not re.search(r"[.!?] [A-Z]", sentence), "more than one sentence"
    assert len(sentence) < 500 + len(str(tmp_path))


def test_nothing_is_written_outside_by_an_archive(tmp_path: Path):
    archive("ml-100k.zip", "../evil", "u.data")(tmp_path)
    with pytest.raises(LrdgraphError):
        load(tmp_path / "ml-100k.zip")
    assert [path.name for path in tmp_path.rglob("*")] == ["ml-100k.zip"]
    assert not (tmp_path.parent / "evil").exists()


def test_code_in_a_line_is_not_run(tmp_path: Path):
    mark = tmp_path / "ran"
    for name in ("reviews_Pens_5.json", "meta_Pens.json"):
        folder = A(tmp_path / "data")
        put(name, f"{{'asin': __import__('pathlib').Path('{mark}').touch()}}\n")(folder)
        with pytest.raises(LrdgraphError):
            load(folder)
    assert not mark.exists()


def test_code_in_a_cell_is_not_run(tmp_path: Path):
    folder = folders.rechorus(tmp_path / "data")
    mark = tmp_path / "ran"
    swap("dev.csv", "[2,2,4]", f"__import__('pathlib').Path('{mark}').touch()")(folder)
    with pytest.raises(LrdgraphError):
        load(folder)
    assert not mark.exists()
