"""Amazon reviews and metadata as the McAuley lab publishes them, in three releases.

======  ==============================================================================================================
2014    ``reviews_NAME_5.json`` or ``reviews_NAME.json``, and ``meta_NAME.json``: JSON or Python literals, line by
        line; times are days (McAuley et al. 2015, https://arxiv.org/abs/1506.04757)
2018    ``NAME_5.json`` or ``NAME.json``, and ``meta_NAME.json``: JSON Lines; times are days (Ni et al. 2019,
        https://nijianmo.github.io/amazon)
2023    ``NAME.jsonl`` with times in milliseconds, or the published table of ratings ``NAME.csv``, or the published
        split ``NAME.train.csv``, ``NAME.valid.csv``, ``NAME.test.csv``; and ``meta_NAME.jsonl`` (Hou et al. 2024,
        https://arxiv.org/abs/2403.03952, https://amazon-reviews-2023.github.io)
======  ==============================================================================================================

Every file may be gzipped, as it is published; metadata may be missing. Relations are named as LRD, KDA and Chorus name
them: also bought is ``complement``, also viewed is ``substitute``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl

from data_loaders.amazon_items import BETWEEN_LEVELS, ItemFields, read_items
from data_loaders.amazon_reviews import ReviewFields, read_reviews
from data_loaders.assemble import coded
from data_loaders.kcore import kept
from data_loaders.registry import Loader
from data_loaders.triples import with_rows
from lrdgraph.corpus import ROLES, Corpus
from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.vocabulary import Vocabulary

SPLIT = {"train": ROLES["train"], "valid": ROLES["validation"], "test": ROLES["test"]}


@dataclass(frozen=True)
class Release:
    """One release: what its files and their fields are called.

    Attributes:
        year: of the release.
        looks_for: a file that marks it.
        reviews: names of files of reviews; group ``name`` is the category, ``role`` the part of a split, and with
            ``mark`` or ``role`` a name is enough to know the release by.
        meta: name of the file of metadata.
        review, item: fields.
    """

    year: int
    looks_for: str
    reviews: re.Pattern[str]
    meta: str
    review: ReviewFields
    item: ItemFields


_EARLIER = ReviewFields("reviewerID", "asin", "overall", "unixReviewTime")
RELEASES = (
    Release(
        2014,
        "reviews_NAME_5.json.gz",
        re.compile(r"(?P<mark>reviews_)(?P<name>[^.]+?)(_5)?\.json(\.gz)?"),
        "meta_{}.json",
        _EARLIER,
        ItemFields(
            item="asin",
            categories="categories",
            brand=("brand",),
            features=None,
            related={
                "complement": "related.also_bought",
                "substitute": "related.also_viewed",
                "bought_together": "related.bought_together",
                "buy_after_viewing": "related.buy_after_viewing",
            },
        ),
    ),
    Release(
        2018,
        "NAME_5.json.gz",
        re.compile(r"(?!reviews_|meta_)(?P<name>[^.]+?)(?P<mark>_5)?\.json(\.gz)?"),
        "meta_{}.json",
        _EARLIER,
        ItemFields(
            item="asin",
            categories="category",
            brand=("brand",),
            features="feature",
            related={"complement": "also_buy", "substitute": "also_view"},
        ),
    ),
    Release(
        2023,
        "NAME.train.csv.gz",
        re.compile(r"(?!meta_)(?P<name>[^.]+)((\.(?P<role>train|valid|test))?\.csv|\.jsonl)(\.gz)?"),
        "meta_{}.jsonl",
        ReviewFields("user_id", "parent_asin", "rating", "timestamp", milliseconds=True),
        ItemFields(
            item="parent_asin",
            categories="categories",
            brand=("details.Brand", "store"),
            features="features",
            related={"bought_together": "bought_together"},
        ),
    ),
)


def recognises(release: Release, path: Path) -> bool:
    """A folder with a file of reviews of the release, where need be beside its metadata."""
    found = [] if not path.is_dir() else [release.reviews.fullmatch(file.name) for file in path.iterdir()]
    return any(
        match.groupdict().get("mark") or match.groupdict().get("role") or _meta(path, release, match["name"])
        for match in found
        if match
    )


def read(
    release: Release,
    path: Path,
    *,
    name: str | None = None,
    category: str | None = None,
    core: int = 0,
    min_rating: float | None = None,
    duplicates: Literal["first", "all"] = "first",
    category_level: int = 3,
    fields: tuple[str, ...] | None = None,
) -> Corpus:
    """Read a folder of one release.

    Users and items stand in order of appearance; items are those with an interaction that is kept. Interactions keep
    the order of the file; those with times in milliseconds are sorted by them before they are cut to seconds.

    Args:
        release: the release.
        path: the folder.
        name: the corpus's name; by default ``NAME-YEAR`` in lower case.
        category: ``NAME``, where the folder holds several.
        core: keep the k-core alone: users and items with at least so many interactions; 0 keeps all.
        min_rating: reviews rated lower are left out; by default all count.
        duplicates: of several reviews of an item by one user keep the ``"first"`` by time, or ``"all"``.
        category_level: so many levels of the category path, from the root, are the item's category; items with a
            shorter path have none. Three is what LRD, KDA and Chorus take.
        fields: the text fields to keep; by default all that the release has.

    Raises:
        DataError: a file is missing, damaged, or does not hold what is expected.
        ConfigError: an option is out of range, or ``core`` is asked of a published split.
    """
    if category_level < 1:
        raise ConfigError(f"category_level is {category_level}; it must be 1 or more.")
    category, files = _files(path, release, category)
    if core and "" not in files:
        raise ConfigError(f"core is {core}, but {path} holds a split, which a k-core would break; leave core out.")
    rows, dropped = _interactions(files, release.review, min_rating)
    rows = kept(rows, core, duplicates, dropped)
    if not rows.height:
        raise DataError(f"{path}: no interaction is left with these options; lower core or min_rating.")
    users, items = (Vocabulary(rows[kind].unique(maintain_order=True), kind) for kind in ("user", "item"))
    corpus = Corpus(
        name=name or f"{category}-{release.year}".lower(),
        users=users,
        items=items,
        user=coded(rows["user"], users),
        item=coded(rows["item"], items),
        time=rows["time"].to_numpy().copy(),
        fields=pl.DataFrame(),
        split=rows["role"].to_numpy().copy() if "role" in rows.columns else None,
        dropped=dict(+dropped),
    )
    meta = _meta(path, release, category)
    return _described(corpus, meta, release.item, category_level, fields) if meta else corpus


def _meta(folder: Path, release: Release, category: str) -> Path | None:
    plain = folder / release.meta.format(category)
    return next((file for file in (plain, plain.with_name(f"{plain.name}.gz")) if file.is_file()), None)


def _files(folder: Path, release: Release, category: str | None) -> tuple[str, dict[str, Path]]:
    """The category, and its files of reviews by role; the one file of a release without a split has no role."""
    there = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    found = [(match, file) for file in there if (match := release.reviews.fullmatch(file.name))]
    names = sorted({match["name"] for match, _ in found})
    if not names:
        raise DataError(f"{folder} holds no reviews of {release.year} ({release.looks_for}); check the path.")
    if category is None and len(names) > 1:
        raise DataError(f"{folder} holds {' and '.join(names[:3])}; say which with category='{names[0]}'.")
    if category not in (None, *names):
        raise ConfigError(f"{folder} holds no reviews of '{category}'{nearest(str(category), names)}.")
    category = category or names[0]
    mine = [(match.groupdict().get("role") or "", file) for match, file in found if match["name"] == category]
    files = dict(mine)
    if len(files) < len(mine) or ("" in files and len(files) > 1):
        listed = " and ".join(file.name for _, file in mine)
        raise DataError(f"{folder} holds {listed}; keep those of one kind, they are versions of the same reviews.")
    for role in SPLIT if "" not in files else ():
        if role not in files:
            raise DataError(f"{folder} holds {mine[0][1].name} and no {category}.{role}.csv; add that file.")
    return category, files


def _interactions(
    files: dict[str, Path], names: ReviewFields, min_rating: float | None
) -> tuple[pl.DataFrame, Counter[str]]:
    parts, dropped = [], Counter[str]()
    for role in [role for role in ("", *SPLIT) if role in files]:
        rows, left_out = read_reviews(files[role], names, min_rating)
        parts.append(rows.with_columns(role=pl.lit(SPLIT[role], dtype=pl.Int8)) if role else rows)
        dropped += left_out
    rows = pl.concat(parts)
    if names.milliseconds:
        rows = rows.sort("time", maintain_order=True).with_columns(pl.col("time") // 1000)
    return rows, dropped


def _described(
    corpus: Corpus, meta: Path, names: ItemFields, category_level: int, fields: tuple[str, ...] | None
) -> Corpus:
    texts, links, dropped = read_items(meta, names, corpus.items)
    path = texts["path"]
    texts = texts.drop("path")
    for field in fields or ():
        if field not in texts.columns:
            hint = nearest(field, texts.columns)
            raise ConfigError(f"There is no text field '{field}'{hint}; there are {', '.join(texts.columns)}.")
    values = pl.DataFrame(
        {
            "head": corpus.items.series,
            "category": path.list.head(category_level).list.join(BETWEEN_LEVELS),
            "brand": texts["brand"],
        }
    ).with_columns(category=pl.when(path.list.len() >= category_level).then("category").otherwise(pl.lit("")))
    attributes = values.unpivot(index="head", variable_name="relation", value_name="tail").filter(pl.col("tail") != "")
    attributes = attributes.with_columns(tail=pl.col("relation") + ":" + pl.col("tail"))
    texts = texts.select(fields) if fields is not None else texts
    silent = texts.select(pl.all_horizontal(pl.all() == "")).to_series().sum() if texts.width else 0
    dropped["items without text"] += int(silent)
    for name in ("category", "brand"):
        dropped[f"items without {name}"] += int((values[name] == "").sum())
    return with_rows(replace(corpus, fields=texts), pl.concat([links, attributes]), dropped)


LOADERS = tuple(
    Loader(f"amazon-{release.year}", release.looks_for, partial(recognises, release), partial(read, release))
    for release in RELEASES
)
