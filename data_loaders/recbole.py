"""RecBole's atomic files: ``NAME.inter`` and optionally ``NAME.item``, ``NAME.kg`` with ``NAME.link``.

A split of RecBole's ``benchmark_filename`` has ``NAME.train.inter``, ``NAME.valid.inter`` and ``NAME.test.inter``, with
an event in each row or, for sequential models, a history and the item after it.
The format: https://recbole.io/docs/user_guide/data/atomic_files.html. Cells are separated by tabs, and a column is
called ``name:type``, where type is ``token``, ``token_seq``, ``float`` or ``float_seq``. Knowledge-graph files in this
layout come from KB4Rec (Zhao et al. 2019, https://arxiv.org/abs/1807.11141), which links items to Freebase.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from data_loaders.assemble import assemble, text_columns
from data_loaders.columns import ids, moments, ratings, without_types
from data_loaders.kcore import described_inside, kept
from data_loaders.reading import Table, read_table
from data_loaders.recbole_histories import holds_histories, unrolled
from data_loaders.registry import Loader
from data_loaders.triples import item_nodes, with_rows
from lrdgraph.corpus import ROLES, Corpus
from lrdgraph.errors import ConfigError, DataError

PARTS = {"train": "train", "valid": "validation", "test": "test"}
"""What the files of a split are called, and their roles."""


def recognises(path: Path) -> bool:
    """A folder with a ``.inter`` file."""
    return path.is_dir() and any(path.glob("*.inter"))


def read(path: Path, *, name: str | None = None, min_rating: float | None = None, core: int = 0) -> Corpus:
    """Read a folder of atomic files.

    Every column of ``.item`` but ``float_seq`` ones becomes a text field. An entity that ``.link`` gives to an item is
    that item, every other one an attribute value; triples that touch no item are left out and counted, and so are
    rows of a ``.inter`` file that repeat another in every column.

    Rows of a split that hold an ``item_id_list`` are unrolled into events, which have no times but count as a second
    apart: what a model makes of times then says nothing; leave them to it by ``time = "none"``.

    Args:
        path: the folder.
        name: the corpus's name; by default the prefix of the files.
        min_rating: interactions rated lower are left out and counted; by default all count.
        core: keep the k-core alone, users and items with at least so many interactions, taken after ratings. Items
            outside are left out. 0 keeps all.

    Raises:
        DataError: a file or column is missing, a cell does not hold what its column demands, or no interaction is left.
        ConfigError: ``core`` is negative, or asked of a split; or ``min_rating`` is asked of histories.
    """
    stem, files = _files(path)
    if core and "" not in files:
        raise ConfigError(f"core is {core}, but {path} holds a split, which a k-core would break; leave core out.")
    tables = {part: _atomic(file) for part, file in files.items()}
    if "" not in tables and holds_histories(tables["train"]):
        if min_rating is not None:
            raise ConfigError(
                f"min_rating is {min_rating:g}, but {path} holds histories without ratings; leave it out."
            )
        events, dropped = unrolled({PARTS[part]: table for part, table in tables.items()}), Counter[str]()
    else:
        found = {part: interactions(table, min_rating) for part, table in tables.items()}
        of_parts = [rows.with_columns(_role(part)) if part else rows for part, (rows, _) in found.items()]
        events = pl.concat(of_parts, how="vertical_relaxed")  # one part may have times with fractions
        dropped = sum((left_out for _, left_out in found.values()), Counter[str]())
    events = kept(events.with_columns(pl.col("user", "item").cast(pl.Categorical)), core, "all", dropped)
    if not events.height:
        raise DataError(f"{path}: no interaction is left with these options; lower core or min_rating.")
    described, about = None, path / f"{stem}.item"
    if about.is_file():
        described, dropped["columns of type float_seq"] = _items(about)
        described = described_inside(described, events, core, dropped) if core else described
    corpus = assemble(name or stem.lower(), events, described, dict(+dropped))
    graph = (path / f"{stem}.kg", path / f"{stem}.link")
    if all(file.is_file() for file in graph):
        return _linked(corpus, *graph)
    for file, other in (graph, graph[::-1]):
        if file.is_file():
            raise DataError(f"{file} stands without {other.name}; add that file or remove this one.")
    return corpus


def _files(path: Path) -> tuple[str, dict[str, Path]]:
    """Prefix of the files, and the ``.inter`` ones by their part of a split, or one file of all under ``""``."""
    found = sorted(path.glob("*.inter"))
    parts = {file.stem.rpartition(".")[2]: file for file in found}
    names = {file.stem.rpartition(".")[0] for file in found}
    if len(found) == len(PARTS) and set(parts) == set(PARTS) and len(names) == 1:
        return names.pop(), {part: parts[part] for part in PARTS}
    if len(found) == 1 and not set(parts) & set(PARTS):
        return found[0].stem, {"": found[0]}
    raise DataError(
        f"{path} holds {', '.join(file.name for file in found)}; expected one .inter file, or NAME.train.inter, "
        "NAME.valid.inter and NAME.test.inter; keep one data set in a folder."
    )


def _role(part: str) -> pl.Expr:
    return pl.lit(ROLES[PARTS[part]], dtype=pl.Int8).alias("role")


def interactions(table: Table, min_rating: float | None) -> tuple[pl.DataFrame, Counter[str]]:
    """Columns ``user``, ``item``, ``time`` of a table of ratings, and how many rows were left out.

    Raises:
        DataError: a column is missing, or a cell does not hold what its column demands.
    """
    user, item, time = (table.need(known) for known in (("userid", "user"), ("itemid", "item"), ("timestamp", "time")))
    events = pl.DataFrame(
        {"user": ids(table, user, "user"), "item": ids(table, item, "item"), "time": moments(table, time)}
    )
    fresh = table.rows.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    dropped = Counter({"repeated rows": int((~fresh).sum())})
    if min_rating is not None:
        liked = ratings(table, table.need(("rating",))) >= min_rating
        dropped[f"ratings below {min_rating:g}"] = int((fresh & ~liked).sum())
        fresh = fresh & liked
    return events.filter(fresh), +dropped


def _atomic(path: Path) -> Table:
    return without_types(read_table(path, separator="\t"))


def _items(path: Path) -> tuple[pl.DataFrame, int]:
    typed = read_table(path, separator="\t")
    vectors = {column.rsplit(":", 1)[0] for column in typed.rows.columns if column.endswith(":float_seq")}
    table = without_types(typed)
    column = table.need(("itemid", "item"))
    if "id" in table.rows.columns:
        raise DataError(f"{path} has a column 'id' beside '{column}'; rename it, the name is kept for item ids.")
    texts, _ = text_columns(table, vectors | {column})
    return pl.DataFrame([ids(table, column, "item", unique=True).alias("id"), *texts]), len(vectors)


def _linked(corpus: Corpus, kg: Path, links: Path) -> Corpus:
    table = _atomic(kg)
    ends = {"head": ("headid", "head"), "relation": ("relationid", "relation"), "tail": ("tailid", "tail")}
    rows = pl.DataFrame({end: ids(table, table.need(known), end).alias(end) for end, known in ends.items()})
    table = _atomic(links)
    pairs = pl.DataFrame(
        {
            "item": ids(table, table.need(("itemid", "item")), "item", unique=True),
            "entity": ids(table, table.need(("entityid", "entity")), "entity", unique=True),
        }
    )
    nodes = item_nodes(corpus.items).rename({"id": "item"})
    known = pairs.join(nodes, on="item", maintain_order="left").select(id="entity", node="node")
    return with_rows(corpus, rows, {"links to unknown items": pairs.height - known.height}, known)


LOADER = Loader("recbole", "a folder with NAME.inter", recognises, read)
