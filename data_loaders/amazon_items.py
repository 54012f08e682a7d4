"""Files of Amazon metadata → texts, category paths and related items, of the items that are wanted and no others."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_loaders.amazon_text import clean, clean_lists, is_script
from data_loaders.lines import Block, blocks, record
from lrdgraph.errors import DataError
from lrdgraph.vocabulary import Vocabulary

# looked for in the raw line: most lines are of items that nobody in the corpus has bought, and are not parsed
_ID = re.compile(rb"""['"](?:parent_)?asin['"]\s*:\s*(?:"([^"\\]*)"|'([^'\\]*)')""")
_LINKS = {"head": pl.String, "relation": pl.String, "tail": pl.String}
BETWEEN_LEVELS = " > "


@dataclass(frozen=True)
class ItemFields:
    """How a release calls what is read of an item; a dot leads into a dictionary.

    Attributes:
        item: the id.
        categories: a path of categories from the root down, or a list of such paths, of which the first is taken.
        brand: names, of which the first that is filled counts.
        features: name of the bullet points; None where there are none.
        related: relation → list of items.
    """

    item: str
    categories: str
    brand: tuple[str, ...]
    features: str | None
    related: dict[str, str]


def read_items(path: Path, names: ItemFields, items: Vocabulary) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    """Read the metadata of items.

    Args:
        path: JSON Lines or Python literals, gzipped or not.
        names: what the fields are called.
        items: the items that are wanted.

    Returns:
        ``N`` rows in the order of ``items``: text columns ``title``, ``brand``, ``category`` (the path in words),
        ``description`` and, where the release has them, ``features``, empty where nothing is known, and the list
        ``path``; triples ``head``, ``relation``, ``tail`` between items, by relation; what was left out, counted.

    Raises:
        DataError: the file is damaged, or a line cannot be read.
    """
    wanted, seen, dropped = frozenset(items.series.to_list()), set[str](), Counter[str]()
    texts, links = [], []
    for block in blocks(path):
        rows = _wanted(block, names, wanted, seen, dropped)
        texts.append(_texts(rows, names, dropped))
        links.append(_links(rows, names, wanted, dropped))
    if not texts:
        raise DataError(f"{path} is empty, expected a line for each item; download it again.")
    fields = items.series.to_frame().join(pl.concat(texts), on="id", how="left", maintain_order="left")
    dropped["items without metadata"] += fields["path"].null_count()
    fields = fields.with_columns(pl.col("path").fill_null([]), pl.col(pl.String).fill_null("")).drop("id")
    order = pl.col("relation").replace_strict(list(names.related), range(len(names.related)), return_dtype=pl.Int8)
    return fields, pl.concat(links).sort(order, maintain_order=True), +dropped


def _wanted(
    block: Block, names: ItemFields, wanted: frozenset[str], seen: set[str], dropped: Counter[str]
) -> list[dict[str, Any]]:
    rows = []
    for number, line in block.lines():
        ids = [(double or single).decode(errors="replace") for double, single in _ID.findall(line)]
        if ids and wanted.isdisjoint(ids):
            continue
        row = record(line, f"{block.path}, line {number}")
        item = row.get(names.item)
        if not isinstance(item, str) or item not in wanted:
            continue
        if item in seen:
            dropped["repeated metadata of an item"] += 1
            continue
        seen.add(item)
        rows.append(row)
    return rows


def _texts(rows: list[dict[str, Any]], names: ItemFields, dropped: Counter[str]) -> pl.DataFrame:
    keys: dict[str, tuple[str, ...]] = {"title": ("title",), "brand": names.brand, "description": ("description",)}
    keys |= {"features": (names.features,)} if names.features else {}
    columns: dict[str, pl.Series] = {"id": pl.Series([row[names.item] for row in rows], dtype=pl.String)}
    for field, places in keys.items():
        values = ((_text(_value(row, key), dropped) for key in places) for row in rows)
        columns[field] = pl.Series([next(filter(None, value), "") for value in values], dtype=pl.String)
    script = is_script(columns["title"])
    dropped["titles that are scripts"] += int(script.sum())
    columns["title"] = columns["title"].set(script, "")
    columns |= {field: clean(columns[field]) for field in keys}
    columns["brand"] = columns["brand"].set(columns["brand"].str.to_lowercase() == "unknown", "")
    paths = [_path(_value(row, names.categories), dropped) for row in rows]
    columns["path"] = clean_lists(pl.Series(paths, dtype=pl.List(pl.String)))
    columns["category"] = columns["path"].list.join(BETWEEN_LEVELS)
    order = ("id", "title", "brand", "category", "description", "features", "path")
    return pl.DataFrame({field: columns[field] for field in order if field in columns})


def _links(
    rows: list[dict[str, Any]], names: ItemFields, wanted: frozenset[str], dropped: Counter[str]
) -> pl.DataFrame:
    heads, relations, tails = [], [], []
    for row in rows:
        for relation, key in names.related.items():
            listed = _list(_value(row, key), dropped)
            inside = [tail for tail in listed if tail in wanted]
            dropped[f"{relation} triples to items outside the corpus"] += len(listed) - len(inside)
            heads += [row[names.item]] * len(inside)
            relations += [relation] * len(inside)
            tails += inside
    return pl.DataFrame({"head": heads, "relation": relations, "tail": tails}, schema=_LINKS)


def _value(row: dict[str, Any], key: str) -> Any:
    """What stands under ``key``; None where nothing does, and for a number that is none."""
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if value != value else value


def _text(value: Any, dropped: Counter[str]) -> str:
    if isinstance(value, list):
        return " ".join(filter(None, (_text(part, dropped) for part in value)))
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    dropped["metadata values of another type"] += 1
    return ""


def _list(value: Any, dropped: Counter[str]) -> list[str]:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return value
    if value:
        dropped["metadata values of another type"] += 1
    return []


def _path(value: Any, dropped: Counter[str]) -> list[str]:
    return _list(value[0] if isinstance(value, list) and value and isinstance(value[0], list) else value, dropped)
