from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_loaders import amazon_items, amazon_reviews, lines, load
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.splits import split
from tests.data_loaders import amazon_folders as raw
from tests.data_loaders.test_triples import named


def events(corpus: Corpus) -> list[tuple[str, str, int]]:
    rows = zip(corpus.users.ids(corpus.user), corpus.items.ids(corpus.item), corpus.time.tolist(), strict=True)
    return [(user, item, time) for user, item, time in rows]


def test_2014_by_hand(tmp_path: Path) -> None:
    corpus = load(raw.amazon_2014(tmp_path))
    assert corpus.name == "pens-2014"
    assert corpus.split is None
    assert events(corpus) == [
        ("bob", "ink", 2 * raw.DAY),
        ("ann", "cup", 1 * raw.DAY),
        ("ann", "pen", 2 * raw.DAY),
        ("bob", "pad", 2 * raw.DAY),
    ]
    assert corpus.users.series.to_list() == ["bob", "ann"]
    assert corpus.items.series.to_list() == ["ink", "cup", "pen", "pad"]
    assert corpus.fields.to_dict(as_series=False) == {
        "title": ["", "Cup's", 'A "pen" & more', ""],
        "brand": ["", "", "Acme", ""],
        "category": ["Office > Supplies", "Home > Kitchen > Pens", "Office > Supplies > Pens > Gel", ""],
        "description": ["", "", "Blue ink <3", ""],
    }
    assert named(corpus) == [
        ("pen", "complement", "ink"),
        ("pen", "complement", "pad"),
        ("pen", "substitute", "cup"),
        ("ink", "substitute", "pen"),
        ("pen", "bought_together", "ink"),
        ("pen", "buy_after_viewing", "cup"),
        ("cup", "category", "category:Home > Kitchen > Pens"),
        ("pen", "category", "category:Office > Supplies > Pens"),
        ("pen", "brand", "brand:Acme"),
    ]
    assert corpus.dropped == {
        "reviews without a user, an item or a time": 3,
        "repeated interactions of a user with an item": 1,
        "complement triples to items outside the corpus": 1,
        "buy_after_viewing triples to items outside the corpus": 1,
        "repeated metadata of an item": 1,
        "items without metadata": 1,
        "items without text": 1,
        "items without category": 2,
        "items without brand": 3,
        "repeated triples": 1,
    }


def test_2018_by_hand(tmp_path: Path) -> None:
    corpus = load(raw.amazon_2018(tmp_path))
    assert events(corpus) == [("ann", "pen", raw.DAY), ("ann", "ink", 2 * raw.DAY), ("bob", "pen", 2 * raw.DAY)]
    assert corpus.fields.to_dict(as_series=False) == {
        "title": ["", "Ink"],
        "brand": ["", ""],
        "category": ["Office > Supplies > Pens", ""],
        "description": ["Writes. Well & long", ""],
        "features": ["Blue Thin", ""],
    }
    assert named(corpus) == [
        ("pen", "complement", "ink"),
        ("ink", "complement", "pen"),
        ("pen", "substitute", "pen"),
        ("pen", "category", "category:Office > Supplies > Pens"),
    ]
    assert corpus.dropped["titles that are scripts"] == 1
    assert corpus.dropped["repeated interactions of a user with an item"] == 1


def test_2023_split_by_hand(tmp_path: Path) -> None:
    corpus = load(raw.amazon_2023(tmp_path))
    second = raw.MOMENT // 1000
    # by milliseconds, which are cut off afterwards
    assert events(corpus) == [
        ("bob", "ink", second),
        ("ann", "pen", second),
        ("ann", "ink", second),
        ("bob", "pen", second + 1),
        ("bob", "cup", second + 1),
        ("ann", "cup", second + 5),
        ("ann", "pad", second + 9),
    ]
    assert corpus.split is not None
    assert corpus.split.tolist() == [0, 0, 0, 1, 2, 1, 2]
    parts = split(corpus)
    assert parts.name == "given"
    test = parts.targets("test")
    histories = {
        user: corpus.items.ids(parts.events.item[start:end])
        for user, start, end in zip(corpus.users.ids(test.user), test.start, test.end, strict=True)
    }
    assert histories == {"ann": ["pen", "ink", "cup"], "bob": ["ink", "pen"]}  # the published column
    assert corpus.fields["brand"].to_list() == ["Shop", "Acme", "", ""]
    assert corpus.fields["features"].to_list() == ["", "Blue Thin", "", ""]
    assert ("ink", "bought_together", "pen") in named(corpus)
    assert ("pen", "category", "category:Office > Supplies > Pens") in named(corpus)


def test_2023_reviews_and_ratings_are_the_same_corpus(tmp_path: Path) -> None:
    one, other = load(raw.raw_2023(tmp_path / "a")), load(raw.ratings_2023(tmp_path / "b"))
    assert one.fingerprint == other.fingerprint
    assert events(one)[0] == ("ann", "ink", raw.MOMENT // 1000)


@pytest.mark.parametrize("write", [raw.amazon_2014, raw.amazon_2018, raw.amazon_2023, raw.raw_2023, raw.ratings_2023])
def test_gzip_is_a_matter_of_the_file(write: Callable[..., Path], tmp_path: Path) -> None:
    zipped, plain = load(write(tmp_path / "a")), load(write(tmp_path / "b", zipped=""))
    assert zipped.fingerprint == plain.fingerprint
    assert zipped.dropped == plain.dropped


@pytest.mark.parametrize("write", [raw.amazon_2014, raw.amazon_2018, raw.amazon_2023, raw.raw_2023])
def test_the_size_of_blocks_changes_nothing(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(write(tmp_path))
    for size in (1, 100, 333):
        for module in (amazon_items, amazon_reviews):
            monkeypatch.setattr(module, "blocks", lambda path, size=size: lines.blocks(path, size))
        assert load(tmp_path).fingerprint == whole.fingerprint


def test_metadata_are_optional(tmp_path: Path) -> None:
    folder = raw.amazon_2014(tmp_path)
    described = load(folder)
    (folder / "meta_Pens.json.gz").unlink()
    bare = load(folder)
    assert events(bare) == events(described)
    assert (len(bare.triples), bare.fields.width, set(bare.dropped) < set(described.dropped)) == (0, 0, True)


def test_options(tmp_path: Path) -> None:
    folder = raw.amazon_2014(tmp_path)
    assert load(folder, name="mine").name == "mine"
    liked = load(folder, min_rating=3)
    assert events(liked) == [event for event in events(load(folder)) if event[1] != "ink"]
    assert liked.dropped["ratings below 3"] == 1
    every = load(folder, duplicates="all")
    assert events(every)[0][:2] == ("ann", "pen")
    assert len(every) == len(load(folder)) + 1
    assert load(folder, fields=["title"]).fields.columns == ["title"]
    assert load(folder, fields=["title"]).dropped["items without text"] == 2
    by_two = [triple for triple in named(load(folder, category_level=2)) if triple[1] == "category"]
    assert by_two == [
        ("ink", "category", "category:Office > Supplies"),
        ("cup", "category", "category:Home > Kitchen"),
        ("pen", "category", "category:Office > Supplies"),
    ]


def test_the_core_is_taken_after_duplicates_and_before_items_are_described(tmp_path: Path) -> None:
    reviews = [raw.review(user, item, 1) for user in "abc" for item in "xy"]
    reviews += [raw.review("d", "x", 2), raw.review("d", "x", 3), raw.review("d", "z", 1), raw.review("e", "z", 1)]
    raw.put(tmp_path, "reviews_T.json", raw.lines(reviews))
    raw.put(tmp_path, "meta_T.json", raw.lines([{"asin": "x", "related": {"also_bought": ["y", "z"]}}]))
    corpus = load(tmp_path, core=2)
    # z has two users, e one item; without e z has one
    assert set(corpus.users.series) == set("abc")
    assert named(corpus) == [("x", "complement", "y")]
    assert corpus.dropped["interactions outside the 2-core"] == 3
    assert corpus.dropped["complement triples to items outside the corpus"] == 1
    assert set(load(tmp_path, core=2, duplicates="all").users.series) == set("abcd")
    with pytest.raises(DataError, match="no interaction is left"):
        load(tmp_path, core=9)


def test_one_of_several_categories(tmp_path: Path) -> None:
    raw.amazon_2014(tmp_path)
    raw.put(tmp_path, "reviews_Cups.json", raw.lines([raw.review("ann", "cup", 1)]))
    with pytest.raises(DataError, match="Cups and Pens; say which with category='Cups'"):
        load(tmp_path)
    assert load(tmp_path, category="Cups").name == "cups-2014"
    with pytest.raises(ConfigError, match="'Pen' .did you mean 'Pens'"):
        load(tmp_path, category="Pen")


@pytest.mark.parametrize("option", [{"core": -1}, {"category_level": 0}, {"fields": ["titel"]}, {"duplicates": "last"}])
def test_options_out_of_range(tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        load(raw.amazon_2014(tmp_path), **option)


def test_half_a_surrogate_pair_in_a_review_is_no_matter(tmp_path: Path) -> None:
    folder = raw.amazon_2018(tmp_path, zipped="")
    before = load(folder)
    text = (folder / "Pens.json").read_text()
    (folder / "Pens.json").write_text(text.replace('"reviewText": "', '"reviewText": "\\ud83d', 1))
    assert load(folder).fingerprint == before.fingerprint


def test_a_record_of_a_download_is_no_data(tmp_path: Path) -> None:
    folder = raw.amazon_2014(tmp_path)
    before = load(folder)
    raw.put(folder, "reviews_Pens_5.json.gz.sha256.json", "{}")
    raw.put(folder, "reviews_Cups_5.json.gz.part", "half")
    assert load(folder).fingerprint == before.fingerprint


def test_release_by_name_where_files_do_not_tell(tmp_path: Path) -> None:
    folder = raw.ratings_2023(tmp_path)
    before = load(folder)
    (folder / "meta_Pens.jsonl.gz").unlink()
    with pytest.raises(DataError, match="in no known format"):
        load(folder)
    assert events(load(folder, format="amazon-2023")) == events(before)


def test_published_office_again_from_raw_files(office: Path, tmp_path: Path) -> None:
    """The interactions and relations of the published data come back out of files in the layout of 2014."""
    published = load(office)
    users, items = [f"A{user}" for user in published.users.series], published.items.series
    order = np.lexsort((published.user, published.item))
    found = [
        {"reviewerID": users[user - 1], "asin": items[int(item) - 1], "overall": 5.0, "unixReviewTime": int(time)}
        for user, item, time in zip(*(a[order] for a in (published.user, published.item, published.time)), strict=True)
    ]
    raw.put(tmp_path, "reviews_Office_Products_5.json.gz", raw.lines(found))
    linked = {item: {"asin": item, "related": {"also_bought": ["elsewhere"], "also_viewed": []}} for item in items}
    for head, relation, tail in named(published):
        if relation == "brand":
            linked[head]["brand"] = tail
        elif relation != "category":
            linked[head]["related"]["also_bought" if relation == "complement" else "also_viewed"].append(tail)
    for item, text in zip(items, published.fields["text"], strict=True):
        linked[item]["title"] = text
    raw.put(tmp_path, "meta_Office_Products.json.gz", raw.lines(list(linked.values()), repr))

    corpus = load(tmp_path)
    assert sorted(events(corpus)) == sorted((f"A{user}", item, time) for user, item, time in events(published))
    for relation in ("complement", "substitute"):
        one, other = (sorted(t for t in named(c) if t[1] == relation) for c in (published, corpus))
        assert one == other
    assert corpus.dropped["complement triples to items outside the corpus"] == 2420
    assert corpus.dropped["items without brand"] == published.dropped["items without brand"]
