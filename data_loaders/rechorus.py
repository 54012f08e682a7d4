"""The ReChorus layout, in which LRD, KDA and Chorus publish their Amazon data (https://github.com/THUwangcy/ReChorus).

==========================  =====================================================================================
``train, dev, test.csv``    tab separated ``user_id``, ``item_id``, ``time`` in seconds; in dev and test also
                            ``neg_items``, a list of negative items such as ``[3, 7]``
``item_meta.csv``           ``item_id``; ``i_NAME`` columns: an attribute's number, 0 for none; ``r_NAME`` columns:
                            a list of related items
``NAME.item2index``         optional, no header: external id, ``item_id``
``NAME.text``               optional, ``id``, ``text``
``NAME.feat.X``             the LRD authors' language vectors, see :func:`read_feat`
==========================  =====================================================================================
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from data_loaders.columns import LAST_SECOND, ids, lists, whole_numbers
from data_loaders.reading import Table, read_table
from data_loaders.registry import Loader
from data_loaders.triples import with_rows
from lrdgraph.corpus import ROLES, Corpus
from lrdgraph.errors import DataError
from lrdgraph.vocabulary import Vocabulary

FILES = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}


def recognises(path: Path) -> bool:
    """A folder with ``train.csv``, ``dev.csv`` and ``test.csv``."""
    return all((path / name).is_file() for name in FILES.values())


def read(path: Path, *, name: str | None = None) -> Corpus:
    """Read a folder in the ReChorus layout, with its split and its candidate lists.

    Items stand in the order of ``.item2index`` under their external ids, or without that file in the order of their
    numbers. Candidate lists keep their order and their duplicates. An ``r_NAME`` list makes triples from the row's
    item to each listed item, an ``i_NAME`` column triples to an attribute value ``NAME:number``.

    Args:
        path: the folder.
        name: the corpus's name; by default the prefix of ``.item2index`` or ``.text``, else the folder's name.

    Raises:
        DataError: a file or column is missing, a cell does not hold what its column demands, or an item is unknown.
    """
    tables = {role: read_table(path / file, separator="\t") for role, file in FILES.items()}
    meta = read_table(path / "item_meta.csv", separator="\t") if (path / "item_meta.csv").is_file() else None
    index, text = _one(path, ".item2index"), _one(path, ".text")
    known, items = _index(index) if index else _numbers([*tables.values(), *([meta] if meta else [])])
    events = pl.concat([_events(table, role, known) for role, table in tables.items()])
    users = Vocabulary(events["user"].unique().sort().cast(pl.String), "user")
    fields, dropped = _texts(text, items) if text else (pl.DataFrame(), {})
    named = index or text
    corpus = Corpus(
        name=name or (named.stem if named else path.absolute().name).lower(),
        users=users,
        items=items,
        user=users.index(events["user"].cast(pl.String)),
        item=events["item"].to_numpy(),
        time=events["time"].to_numpy(),
        fields=fields,
        split=events["role"].to_numpy().copy(),
        candidates={r: _candidates(tables[r], known) for r in tables if "neg_items" in tables[r].rows.columns},
        dropped=dropped,
    )
    return _related(corpus, meta, known) if meta else corpus


def _one(folder: Path, suffix: str) -> Path | None:
    found = sorted(folder.glob(f"*{suffix}"))
    if len(found) > 1:
        raise DataError(f"{folder} holds {' and '.join(f.name for f in found)}; keep one data set in a folder.")
    return found[0] if found else None


def _index(path: Path) -> tuple[pl.DataFrame, Vocabulary]:
    table = read_table(path, separator="\t", header=("id", "number"))
    names, numbers = ids(table, "id", "item", unique=True), whole_numbers(table, "number")
    table.refuse(~numbers.is_first_distinct(), "number", "a number that no earlier row has")
    return _in_order(numbers), Vocabulary(names, "item")


def _numbers(tables: list[Table]) -> tuple[pl.DataFrame, Vocabulary]:
    numbers = pl.concat([whole_numbers(table, table.need(("itemid",))).alias("number") for table in tables])
    numbers = numbers.unique().sort()
    return _in_order(numbers), Vocabulary(numbers.cast(pl.String), "item")


def _in_order(numbers: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"number": numbers, "node": np.arange(1, len(numbers) + 1, dtype=np.int64)})


def _nodes(
    table: Table, column: str, numbers: pl.Series, known: pl.DataFrame, row: pl.Series | None = None
) -> pl.Series:
    """Item indices of item numbers; ``row`` says which row each number is from, where a row has several."""
    found = numbers.alias("number").to_frame().join(known, on="number", how="left", maintain_order="left")["node"]
    if found.null_count():
        at = int(found.is_null().arg_max() or 0)
        where = table.place(at if row is None else int(row[at]))
        raise DataError(
            f"{where}: column '{column}' names item {numbers[at]}, which is unknown; correct it or list the item."
        )
    return found


def _events(table: Table, role: str, known: pl.DataFrame) -> pl.DataFrame:
    user, item, time = (table.need(names) for names in (("userid",), ("itemid",), ("time",)))
    if role == "train" and "neg_items" in table.rows.columns:
        raise DataError(f"{table.path} has a column 'neg_items', expected in dev.csv and test.csv alone; remove it.")
    seconds = whole_numbers(table, time)
    table.refuse(seconds > LAST_SECOND, time, "seconds since 1970, not milliseconds")
    return pl.DataFrame(
        {
            "user": whole_numbers(table, user),
            "item": _nodes(table, item, whole_numbers(table, item), known),
            "time": seconds,
            "role": pl.repeat(ROLES[role], table.rows.height, dtype=pl.Int8, eager=True),
        }
    )


def _candidates(table: Table, known: pl.DataFrame) -> np.ndarray:
    cells = lists(table, "neg_items")
    width = cells.list.len()[0]
    table.refuse(cells.list.len() != width, "neg_items", f"{width} items as in the first row")
    rows = pl.Series(np.repeat(np.arange(len(cells)), width))
    return _nodes(table, "neg_items", cells.explode(), known, rows).to_numpy().reshape(len(cells), width)


def _texts(path: Path, items: Vocabulary) -> tuple[pl.DataFrame, dict[str, int]]:
    table = read_table(path, separator="\t")
    texts = pl.DataFrame(
        {
            "id": ids(table, table.need(("id", "itemid")), "item", unique=True),
            "text": table.rows[table.need(("text",))].fill_null(""),
        }
    )
    fields = (
        items.series.to_frame().join(texts, on="id", how="left", maintain_order="left").select("text").fill_null("")
    )
    of_others = texts.height - int(texts["id"].is_in(items.series.implode()).sum())
    if of_others == texts.height:
        raise DataError(f"{path} has a text for none of the items; its ids must be those of .item2index.")
    counts = {"texts of unknown items": of_others, "items without text": int((fields["text"] == "").sum())}
    return fields, {reason: n for reason, n in counts.items() if n}


def _related(corpus: Corpus, meta: Table, known: pl.DataFrame) -> Corpus:
    column = meta.need(("itemid",))
    numbers = whole_numbers(meta, column)
    meta.refuse(~numbers.is_first_distinct(), column, "an item that no earlier row has")
    heads = corpus.items.series.gather(_nodes(meta, column, numbers, known) - 1).alias("head")
    rows, dropped = [], {}
    for name in (c for c in meta.rows.columns if c.startswith("r_")):
        cells = lists(meta, name)
        pairs = pl.DataFrame({"row": np.arange(len(cells)), "head": heads, "tail": cells})
        pairs = pairs.filter(pl.col("tail").list.len() > 0).explode("tail")
        tails = _nodes(meta, name, pairs["tail"], known, pairs["row"])
        named = corpus.items.series.gather(tails - 1)
        rows.append(pairs.select("head", relation=pl.lit(name[2:]), tail=named))
    for name in (c for c in meta.rows.columns if c.startswith("i_")):
        values = whole_numbers(meta, name, optional=True)
        dropped[f"items without {name[2:]}"] = int((values == 0).sum())
        pairs = pl.DataFrame({"head": heads, "value": values}).filter(pl.col("value") > 0)
        tail = pl.format("{}:{}", pl.lit(name[2:]), "value")
        rows.append(pairs.select("head", relation=pl.lit(name[2:]), tail=tail))
    if not rows:
        return corpus
    return with_rows(corpus, pl.concat(rows), dropped)


def read_feat(path: str | Path, corpus: Corpus, width: int | None = None) -> np.ndarray:
    """Item vectors as the LRD authors publish them: raw little-endian float32, ``N`` rows in ``.item2index`` order.

    Args:
        path: the file, ``NAME.feat.X``.
        corpus: the corpus, whose items stand in that order.
        width: ``T``; by default what the size of the file gives.

    Returns:
        ``(N, T)`` float32, row ``i - 1`` for item ``i``.

    Raises:
        DataError: the file is missing, its size does not fit ``N`` and ``T``, or it holds NaN or infinity.
    """
    path, items = Path(path), corpus.num_items
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file; check the path.")
    size = path.stat().st_size
    row = 4 * (width if width is not None else max(1, size // (4 * items)))
    if size != row * items:
        wanted = f"{items} × {width} × 4 = {row * items}" if width is not None else f"a multiple of 4 × {items}"
        raise DataError(f"{path} has {size} bytes, expected {wanted} for the {items} items; check width and corpus.")
    vectors = np.fromfile(path, dtype="<f4").astype(np.float32, copy=False).reshape(items, row // 4)
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        at = int(bad.argmax())
        raise DataError(f"{path}, row {at + 1} (item {corpus.items.id(at + 1)}) holds NaN or infinity; encode it anew.")
    return vectors


LOADER = Loader("rechorus", "a folder with train.csv, dev.csv and test.csv", recognises, read)
