"""A user's own tables: ``interactions``, and optionally ``items`` and ``triples``, as CSV, TSV, Parquet or JSON Lines.

=================  ==============================================================================
``interactions``   ``user``, ``item``, ``time``: seconds since 1970, or ISO dates and datetimes
``items``          ``item`` and any columns of text
``triples``        ``head``, ``relation``, ``tail`` and optionally ``weight`` (or ``posterior``)
=================  ==============================================================================

Every row counts, repeated ones too. TSV cells stand as they are; CSV cells may be quoted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl

from data_loaders.assemble import assemble, text_columns
from data_loaders.columns import ids, moments
from data_loaders.reading import SUFFIXES, Table, read_blocks, read_table
from data_loaders.registry import Loader
from data_loaders.triples import read_triples
from lrdgraph.corpus import Corpus
from lrdgraph.errors import DataError

USER = ("user", "userid", "uid")
ITEM = ("item", "itemid", "asin", "productid", "movieid")
TIME = ("time", "timestamp", "unixtime", "datetime", "date")


def recognises(path: Path) -> bool:
    """A folder with a file ``interactions.*``, or one table file."""
    if path.is_file():
        return path.suffix in SUFFIXES
    return any((path / f"interactions{suffix}").is_file() for suffix in SUFFIXES)


def read(
    path: Path,
    *,
    name: str | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    items: str | Path | None = None,
    triples: str | Path | None = None,
    head: str | None = None,
    relation: str | None = None,
    tail: str | None = None,
    weight: str | None = None,
) -> Corpus:
    """Read a folder of tables, or one file of interactions.

    Args:
        path: the folder or the file.
        name: the corpus's name; by default that of the folder or file.
        user, item, time, head, relation, tail, weight: column names, where they are called otherwise.
        items, triples: files that stand elsewhere or are called otherwise.

    Raises:
        DataError: a column is missing, or a cell does not hold what its column demands.
    """
    folder = None if path.is_file() else path
    source = path if folder is None else _one(folder, "interactions")
    if source is None:
        raise DataError(f"{path} holds no interactions{{{','.join(SUFFIXES)}}}; add one of them.")
    items = items or (_one(folder, "items") if folder else None)
    triples = triples or (_one(folder, "triples") if folder else None)

    events = pl.concat([_events(part, user, item, time) for part in read_blocks(source)], how="vertical_relaxed")
    described, dropped = _described(Path(items), item) if items else (None, {})
    corpus = assemble(name or (folder.absolute().name if folder else path.stem), events, described, dropped)
    if triples:
        linked = read_triples(triples, corpus.items, head=head, relation=relation, tail=tail, weight=weight)
        dropped = dict(Counter(corpus.dropped) + Counter(linked.dropped))
        corpus = replace(corpus, triples=linked.triples, attributes=linked.attributes, dropped=dropped)
    return corpus


def _events(table: Table, user: str | None, item: str | None, time: str | None) -> pl.DataFrame:
    """Interactions with ids as categories, so that what is kept of a part is sixteen bytes for each."""
    columns = {"user": table.need(USER, user), "item": table.need(ITEM, item), "time": table.need(TIME, time)}
    named = {kind: ids(table, columns[kind], kind).cast(pl.Categorical) for kind in ("user", "item")}
    return pl.DataFrame(named | {"time": moments(table, columns["time"])})


def _described(path: Path, item: str | None) -> tuple[pl.DataFrame, dict[str, int]]:
    table = read_table(path, may_be_empty=True)
    asked = item if item in table.rows.columns else None
    column = table.find(ITEM, asked) or table.find(("id",)) or table.need(ITEM)
    if column != "id" and "id" in table.rows.columns:
        raise DataError(f"{path} has a column 'id' beside '{column}'; rename it, the name is kept for item ids.")
    texts, other = text_columns(table, {column})
    described = pl.DataFrame([ids(table, column, "item", unique=True).alias("id"), *texts])
    return described, {"columns that are not text": other} if other else {}


def _one(folder: Path, stem: str) -> Path | None:
    found = [folder / f"{stem}{suffix}" for suffix in SUFFIXES if (folder / f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        raise DataError(f"{folder} holds {' and '.join(f.name for f in found)}; keep one of them.")
    return found[0] if found else None


LOADER = Loader("tables", "a folder with interactions.csv, .tsv, .parquet or .jsonl, or such a file", recognises, read)
