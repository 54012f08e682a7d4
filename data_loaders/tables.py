"""A user's own tables: ``interactions``, and optionally ``items`` and ``triples``, as files or data frames.

=================  ==============================================================================
``interactions``   ``user``, ``item``, ``time``: seconds since 1970, or ISO dates and datetimes;
                   ``rating`` counts where ``min_rating`` is given
``items``          ``item`` and any columns of text
``triples``        ``head``, ``relation``, ``tail`` and optionally ``weight`` (or ``posterior``)
=================  ==============================================================================

Files are CSV, TSV or JSON Lines, gzipped or not, or Parquet. By default every row counts, repeated ones too. TSV cells
stand as they are; CSV cells may be quoted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import polars as pl

from data_loaders.assemble import assemble, text_columns
from data_loaders.columns import ids, moments, ratings
from data_loaders.frames import frame_table, source_table
from data_loaders.kcore import described_inside, kept
from data_loaders.rdf import is_rdf
from data_loaders.reading import SUFFIXES, Table, read_blocks, suffix_of
from data_loaders.registry import Loader
from data_loaders.triples import item_nodes, named_rows, tell_of_mixed, with_rows
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError

USER = ("user", "userid", "uid")
ITEM = ("item", "itemid", "asin", "productid", "movieid")
RATING = ("rating", "overall", "stars", "score")
TIME = ("time", "timestamp", "unixtime", "datetime", "date")


def recognises(path: Path) -> bool:
    """A folder with a file ``interactions.*``, or one table file."""
    if path.is_file():
        return suffix_of(path) in SUFFIXES
    return any((path / f"interactions{suffix}").is_file() for suffix in SUFFIXES)


def read(
    path: Path | Any,
    *,
    name: str | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    time_unit: Literal["s", "ms", "us", "ns"] = "s",
    ordered: bool = False,
    rating: str | None = None,
    min_rating: float | None = None,
    core: int = 0,
    duplicates: Literal["first", "all"] = "all",
    items: str | Path | Any = None,
    triples: str | Path | Any = None,
    head: str | None = None,
    relation: str | None = None,
    tail: str | None = None,
    weight: str | None = None,
) -> Corpus:
    """Read a folder of tables, one file of interactions, or data frames.

    Args:
        path: the folder or the file, or the interactions as :func:`data_loaders.frames.frame_table` takes them.
        name: the corpus's name; by default that of the folder or file.
        user, item, time, rating, head, relation, tail, weight: column names, where they are called otherwise.
        time_unit: of times that are numbers.
        ordered: no times are known: rows stand in the order in which things happened, and count as a second apart. What
            a model makes of times then says nothing; leave them to it by ``time = "none"``.
        min_rating: interactions rated lower are left out and counted; by default all count, and none need be rated.
        core: keep the k-core alone: users and items with at least so many interactions, taken after ratings and
            duplicates are out. Items outside are left out wherever they occur. 0 keeps all.
        duplicates: of several interactions of a user with an item keep ``"all"``, or the ``"first"`` by time.
        items, triples: files that stand elsewhere or are called otherwise, or data frames.

    Raises:
        DataError: a column is missing, a cell does not hold what its column demands, or nothing is left.
        ConfigError: ``core`` is negative.
    """
    if isinstance(path, Path):
        folder = None if path.is_file() else path
        source = path if folder is None else _one(folder, "interactions")
        if source is None:
            raise DataError(f"{path} holds no interactions{{{','.join(SUFFIXES)}}}; add one of them.")
        items = items if folder is None or items is not None else _one(folder, "items")
        triples = triples if folder is None or triples is not None else _one(folder, "triples")
        parts, own_name = read_blocks(source), folder.absolute().name if folder else Path(path.stem).stem
    else:
        parts, own_name = iter([frame_table(path, "interactions")]), "frames"

    dropped = Counter[str]()
    asked = {"user": user, "item": item, "time": time, "rating": rating}
    log = pl.concat(
        [_events(part, asked, min_rating, None if ordered else time_unit) for part in parts], how="vertical_relaxed"
    )
    if ordered:
        log = log.with_columns(time=pl.int_range(pl.len(), dtype=pl.Int64))
    liked = log.filter("liked").drop("liked")
    if min_rating is not None:
        dropped[f"ratings below {min_rating:g}"] += log.height - liked.height
    rows = kept(liked, core, duplicates, dropped)
    if not rows.height:
        where = path if isinstance(path, Path) else "interactions"
        raise DataError(f"{where}: no interaction is left with these options; lower core or min_rating.")
    described = None if items is None else _described(source_table(items, "items"), item, dropped)
    known = pl.concat([log["item"].unique().cast(pl.String), *([] if described is None else [described["id"]])])
    if core and described is not None:
        described = described_inside(described, rows, core, dropped)
    corpus = assemble(name or own_name, rows, described, dict(+dropped))
    if triples is None:
        return corpus
    if isinstance(triples, str | Path) and is_rdf(Path(triples)):
        raise ConfigError(f"{triples} is RDF, no table; add it by with_triples, or prepare --triples.")
    table = source_table(triples, "triples", comments=True)
    named = named_rows(table, head, relation, tail, weight)
    outside = known.filter(~known.is_in(corpus.items.series.implode())).implode()
    gone = named.filter(pl.col("head").is_in(outside) | pl.col("tail").is_in(outside)).height
    named = named.filter(~pl.col("head").is_in(outside), ~pl.col("tail").is_in(outside))
    tell_of_mixed(named, item_nodes(corpus.items), table.path)
    return with_rows(corpus, named, {"triples of items left out": gone})


def _events(table: Table, asked: dict[str, str | None], min_rating: float | None, unit: str | None) -> pl.DataFrame:
    """Interactions with ids as categories, so that what is kept of a part is about sixteen bytes for each."""
    user, item = (table.need(known, asked[known[0]]) for known in (USER, ITEM))
    if unit is not None and table.find(TIME, asked["time"]) is None:
        columns = ", ".join(map(repr, table.rows.columns[:8]))
        raise DataError(
            f"{table.path} has no column 'time'; its columns are {columns}: rename one, or set the option ordered=true "
            "where rows stand in the order of time."
        )
    named = {kind: ids(table, name, kind).cast(pl.Categorical) for kind, name in (("user", user), ("item", item))}
    liked = True if min_rating is None else ratings(table, table.need(RATING, asked["rating"])) >= min_rating
    rows = pl.DataFrame(named).with_columns(time=pl.lit(0, pl.Int64), liked=liked)
    return (
        rows if unit is None else rows.with_columns(moments(table, table.need(TIME, asked["time"]), unit).alias("time"))
    )


def _described(table: Table, item: str | None, dropped: Counter[str]) -> pl.DataFrame:
    asked = item if item in table.rows.columns else None
    column = table.find(ITEM, asked) or table.find(("id",)) or table.need(ITEM)
    if column != "id" and "id" in table.rows.columns:
        raise DataError(f"{table.path} has a column 'id' beside '{column}'; rename it, the name is kept for item ids.")
    texts, other = text_columns(table, {column})
    dropped["columns that are not text"] += other
    return pl.DataFrame([ids(table, column, "item", unique=True).alias("id"), *texts])


def _one(folder: Path, stem: str) -> Path | None:
    found = [folder / f"{stem}{suffix}" for suffix in SUFFIXES if (folder / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        raise DataError(f"{folder} holds {' and '.join(f.name for f in found)}; keep one of them.")
    return found[0] if found else None


LOADER = Loader(
    "tables",
    "a folder with interactions.csv, .tsv, .parquet or .jsonl, or such a file",
    recognises,
    read,
    frames=True,
)
