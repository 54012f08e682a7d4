from __future__ import annotations

import gzip
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import load
from lrdgraph.errors import ConfigError, DataError
from tests.data_loaders import folders


def test_by_hand(tmp_path: Path):
    corpus = load(folders.tables(tmp_path / "my.shop"))
    assert corpus.name == "my.shop"
    # described items first, in file order, then the one that only occurs in interactions
    assert corpus.items.series.to_list() == ["pen", "pad", "ink", "cup"]
    assert corpus.users.ids(corpus.user) == ["ann", "bob", "ann", "ann"]
    assert corpus.items.ids(corpus.item) == ["pen", "ink", "cup", "cup"]
    assert corpus.time.tolist() == [100, 200, 300, 300]
    assert corpus.fields.to_dict(as_series=False) == {
        "title": ["A pen, blue", "Pad", "", ""],
        "note": ["", 'says "hi"', "", ""],
    }
    assert corpus.dropped == {"items without text": 2, "triples without an item": 1}
    triples = corpus.triples
    assert triples.names == ("needs", "colour", "shows")
    assert corpus.attributes.series.to_list() == ["blue", "sea"]
    assert list(zip(triples.head, triples.relation, triples.tail, strict=True)) == [(1, 0, 3), (1, 1, 5), (6, 2, 2)]
    assert triples.weight is not None
    assert triples.weight.tolist() == [0.75, 1.0, 0.25]


RATED = """user,item,time,rating
ann,pen,1,5
ann,ink,2,4
ann,pen,3,3
bob,ink,1,5
bob,pen,2,4
bob,cup,3,1
cat,pen,4,2
"""


def test_ratings_duplicates_and_core_by_hand(tmp_path: Path):
    folder = folders.tables(tmp_path / "shop")
    folders.write(folder, {"interactions.csv": RATED})
    triples = "head,relation,tail\npen,needs,ink\npen,beside,pad\ncup,beside,pen\nink,colour,blue\n"
    (folder / "triples.tsv").unlink()
    folders.write(folder, {"triples.csv": triples})
    corpus = load(folder, min_rating=2, core=2, duplicates="first")
    # the second pen of ann repeats the first, bob's cup is rated too low, and cat is left with one interaction
    assert corpus.users.ids(corpus.user) == ["ann", "ann", "bob", "bob"]
    assert corpus.items.ids(corpus.item) == ["pen", "ink", "ink", "pen"]
    assert corpus.time.tolist() == [1, 2, 1, 2]
    # the pad is described and outside the core, the cup is rated too low alone: neither is an attribute value now
    assert corpus.items.series.to_list() == ["pen", "ink"]
    assert corpus.attributes.series.to_list() == ["blue"]
    assert (corpus.triples.head.tolist(), corpus.triples.tail.tolist()) == ([1, 2], [2, 3])
    assert corpus.dropped == {
        "ratings below 2": 1,
        "repeated interactions of a user with an item": 1,
        "interactions outside the 2-core": 1,
        "items outside the 2-core": 1,
        "items without text": 1,
        "triples of items left out": 2,
    }
    everything = load(folder)
    assert (len(everything.time), everything.items.series.to_list()) == (7, ["pen", "pad", "ink", "cup"])


def test_rows_in_order_without_times(tmp_path: Path):
    folders.write(tmp_path, {"log.csv": "user,item\nann,pen\nbob,ink\nann,cup\n"})
    with pytest.raises(DataError, match=r"has no column 'time'; its columns are 'user', 'item': .* ordered=true"):
        load(tmp_path / "log.csv")
    corpus = load(tmp_path / "log.csv", ordered=True)
    assert corpus.time.tolist() == [0, 1, 2]
    assert corpus.items.ids(corpus.item) == ["pen", "ink", "cup"]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_units_of_time(unit: str, factor: int):
    moments = [1714521600, 1714608000]
    frame = {"user": ["a", "a"], "item": ["x", "y"], "time": [moment * factor for moment in moments]}
    assert load(frame, time_unit=unit).time.tolist() == moments


def test_dates_as_numbers_are_no_seconds():
    frame = {"user": ["a", "a"], "item": ["x", "y"], "time": [20240531, 20240601]}
    with pytest.raises(DataError, match="holds dates such as 20240531, expected .* 2024-05-31; write them so"):
        load(frame)
    assert load(frame | {"time": [20240531, 20240999]}).time.tolist() == [20240531, 20240999]


def test_rdf_is_told_from_tables():
    with pytest.raises(ConfigError, match=r"kg\.ttl is RDF, no table; add it by with_triples"):
        load({"user": ["a"], "item": ["x"], "time": [1]}, triples="kg.ttl")


def test_rating_column_by_name(tmp_path: Path):
    folders.write(tmp_path, {"log.csv": RATED.replace("rating", "liked")})
    assert load(tmp_path / "log.csv", rating="liked", min_rating=4.5).time.tolist() == [1, 1]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_gzipped_tables_are_the_same_corpus(tmp_path: Path, suffix: str):
    plain, zipped = folders.tables(tmp_path / "a" / "shop"), tmp_path / "b" / "shop"
    zipped.mkdir(parents=True)
    for file in plain.iterdir():
        with gzip.open(zipped / f"{file.stem}{suffix}.gz", "wb") as out:
            rows = pl.read_csv(file, separator="," if file.suffix == ".csv" else "\t", comment_prefix="#")
            held = tmp_path / f"table{suffix}"
            write_table(rows.with_columns(pl.col(pl.String).fill_null("").str.replace_all('"', "")), held)
            out.write(b"# made by hand\n" * (file.stem == "triples" and suffix != ".jsonl") + held.read_bytes())
    expected = load(plain)
    corpus = load(zipped)
    assert corpus.items.ids(corpus.item) == expected.items.ids(expected.item)
    assert corpus.triples.weight is not None
    assert corpus.triples.weight.tolist() == [0.75, 1.0, 0.25]
    assert load(zipped / f"interactions{suffix}.gz").name == "interactions"


def write_table(table: pl.DataFrame, path: Path) -> None:
    writers = {
        ".csv": table.write_csv,
        ".tsv": lambda p: table.write_csv(p, separator="\t", quote_style="never"),
        ".parquet": table.write_parquet,
        ".jsonl": table.write_ndjson,
    }
    writers[path.suffix](path)


name = st.text("ab é'#:.-_0", min_size=1, max_size=4)
number = st.integers(0, 10**9)


@given(
    events=st.lists(st.tuples(name, name, number), min_size=1, max_size=12),
    described=st.dictionaries(name, st.text("xy z,;", max_size=6), max_size=6),
    triples=st.lists(st.tuples(name, name, name), max_size=8),
)
def test_the_same_corpus_from_every_format(events, described, triples):
    """A cell may hold anything but what ends a TSV cell; empty text and missing text are one."""
    tables = {
        "interactions": pl.DataFrame(events, schema=["user", "item", "time"], orient="row"),
        "items": pl.DataFrame(
            {"item": list(described), "title": list(described.values())}, schema={"item": str, "title": str}
        ),
        "triples": pl.DataFrame(triples, schema={"head": str, "relation": str, "tail": str}, orient="row"),
    }
    prints = set()
    for suffix in (".csv", ".tsv", ".parquet", ".jsonl"):
        with tempfile.TemporaryDirectory() as folder:
            for stem, table in tables.items():
                # an empty JSON Lines file has no columns, and a line of a text file may not look like a comment
                if table.height or suffix in (".csv", ".tsv"):
                    write_table(table if table.height else table.clear(), Path(folder) / f"{stem}{suffix}")
                else:
                    write_table(table, Path(folder) / f"{stem}.parquet")
            corpus = load(folder)
            prints.add(corpus.fingerprint)
            assert corpus.users.ids(corpus.user) == [user for user, _, _ in events]
            assert corpus.items.ids(corpus.item) == [item for _, item, _ in events]
            assert corpus.time.tolist() == [time for _, _, time in events]
            shown = dict(zip(corpus.items.series, corpus.fields["title"], strict=True))
            assert shown == {item: described.get(item, "") for item in shown}
    assert len(prints) == 1


@given(
    moments=st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), min_size=1, max_size=5),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_iso_datetimes_are_seconds_of_utc(moments, minutes):
    zone = timezone(timedelta(minutes=minutes))
    aware = [moment.replace(microsecond=0, tzinfo=zone) for moment in moments]
    with tempfile.TemporaryDirectory() as folder:
        rows = [f"u,i,{moment.isoformat()}" for moment in aware]
        folders.write(Path(folder), {"interactions.csv": "user,item,time\n" + "\n".join(rows) + "\n"})
        assert load(folder).time.tolist() == [int(moment.timestamp()) for moment in aware]


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:01", 60),
        ("1970-01-01 00:00:59", 59),
        ("1970-01-01T00:00:59Z", 59),
        ("1970-01-01T02:00:00+0200", 0),
        ("881250949.0", 881250949),
        ("1.5e3", 1500),
    ],
)
def test_times(cell: str, seconds: int, tmp_path: Path):
    folders.write(tmp_path, {"interactions.csv": f"user,item,time\nu,i,{cell}\n"})
    assert load(tmp_path).time.tolist() == [seconds]


def test_fractions_order_before_they_are_cut_off(tmp_path: Path):
    folders.write(tmp_path, {"interactions.csv": "user,item,time\nu,late,10.9\nu,early,10.1\nu,last,11\n"})
    corpus = load(tmp_path)
    assert corpus.items.ids(corpus.item) == ["early", "late", "last"]
    assert corpus.time.tolist() == [10, 10, 11]


def test_typed_columns_of_parquet(tmp_path: Path):
    when = [datetime(2020, 1, 1, 12), datetime(2020, 1, 2)]
    table = pl.DataFrame({"userId": [7, 8], "itemId": [1, 1], "Date": when})
    table.write_parquet(tmp_path / "log.parquet")
    described = pl.DataFrame({"id": [1, 2], "tags": [["a", "b"], None], "price": [1.5, None], "box": [{"x": 1}, None]})
    described.write_parquet(tmp_path / "goods.parquet")
    corpus = load(tmp_path / "log.parquet", items=tmp_path / "goods.parquet", name="shop")
    assert corpus.name == "shop"
    assert corpus.users.series.to_list() == ["7", "8"]
    assert corpus.time.tolist() == [1577880000, 1577923200]
    assert corpus.fields.to_dict(as_series=False) == {"tags": ["a, b", ""], "price": ["1.5", ""]}
    assert corpus.dropped == {"columns that are not text": 1, "items without text": 1}


def test_a_file_alone_and_columns_by_name(tmp_path: Path):
    folders.write(tmp_path, {"log.tsv": 'who\twhat\titem\twhen\nann\tpen "x\tz\t5\n\n'})
    corpus = load(tmp_path / "log.tsv", user="who", item="what", time="when")
    assert corpus.items.series.to_list() == ['pen "x']
    assert (corpus.name, corpus.fields.width, corpus.dropped) == ("log", 0, {})


def test_byte_order_mark_and_carriage_returns(tmp_path: Path):
    (tmp_path / "interactions.csv").write_bytes(b"\xef\xbb\xbfuser,item,time\r\nann,pen,5\r\n")
    assert np.array_equal(load(tmp_path).time, [5])


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_parquet_file_in_parts_is_the_same_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    folder = folders.tables(tmp_path / "shop")
    rng = np.random.default_rng(0)
    ids = pl.Series("user", rng.integers(0, 5, 20)).cast(pl.String)
    items = pl.Series(["pen", "pad", "ink", "cup"]).gather(rng.integers(0, 4, 20))
    times = [float(t) for t in range(19)] + [0.5]  # the only fraction makes all times be sorted
    (folder / "interactions.csv").unlink()
    pl.DataFrame({"user": ids, "item": items, "time": times}).write_parquet(folder / "interactions.parquet")
    whole = load(folder)
    monkeypatch.setattr("data_loaders.reading.read_blocks.__defaults__", (size,))
    assert load(folder).fingerprint == whole.fingerprint
    assert whole.items.ids(whole.item[:2]) == [items[0], items[19]]


def test_a_bad_cell_of_a_later_part_is_named_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "interactions.parquet"
    pl.DataFrame({"user": ["a"] * 9 + [""], "item": ["x"] * 10, "time": range(10)}).write_parquet(path)
    monkeypatch.setattr("data_loaders.reading.read_blocks.__defaults__", (4,))
    with pytest.raises(DataError, match="row 10: column 'user' holds nothing"):
        load(path)
