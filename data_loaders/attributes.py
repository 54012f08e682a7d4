"""Fields of items, such as a brand, read as attribute relations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from data_loaders.triples import with_rows
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, nearest


def with_attributes(corpus: Corpus, fields: str | Iterable[str], separator: str | None = None) -> Corpus:
    """A corpus whose items are joined to the values of some of their fields.

    An item with the brand ``Glow`` gets the triple (item, ``brand``, ``brand:Glow``). Blanks around a value are no part
    of it; an empty cell gives no triple, and items without any value are counted in ``dropped``. Fields stay fields,
    which language models read.

    Args:
        corpus: the corpus; it stays as it is.
        fields: names among ``corpus.fields``; each becomes a relation of that name.
        separator: what stands between several values of a cell; by default a cell is one value.

    Raises:
        ConfigError: there is no such field, it holds lists or the like, or the separator is empty.
    """
    names = [fields] if isinstance(fields, str) else list(fields)
    if separator == "":
        raise ConfigError("The separator of attribute values is empty; give the text that stands between two values.")
    for name in names:
        if name not in corpus.fields.columns:
            known = ", ".join(corpus.fields.columns) or "none"
            raise ConfigError(
                f"The items have no field '{name}'{nearest(name, corpus.fields.columns)}; their fields are {known}."
            )
        kind = corpus.fields.schema[name]
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise ConfigError(f"The field '{name}' is {kind}, expected text or numbers; write its values as text.")
    rows, dropped = [], Counter[str]()
    for name in names:
        pairs = pl.DataFrame({"head": corpus.items.series, "value": corpus.fields[name].cast(pl.String)})
        if separator is not None:
            pairs = pairs.with_columns(pl.col("value").str.split(separator)).explode("value")
        pairs = pairs.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value") != "")
        dropped[f"items without {name}"] += corpus.num_items - pairs["head"].n_unique()
        pairs = pairs.unique(maintain_order=True)
        rows.append(pairs.select("head", relation=pl.lit(name), tail=pl.format("{}:{}", pl.lit(name), "value")))
    if not rows:
        return corpus
    return with_rows(corpus, pl.concat(rows), dropped)
