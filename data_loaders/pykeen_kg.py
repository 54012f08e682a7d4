"""Triples out of PyKEEN (Ali et al., JMLR 2021): a ``TriplesFactory``, its saved folder, or a file of its triples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_loaders.columns import ids
from data_loaders.reading import read_table
from data_loaders.triples import Named
from lrdgraph.errors import DataError

TRIPLES = "numeric_triples.tsv.gz"


def is_factory(source: object) -> bool:
    """Whether an object is a ``TriplesFactory``."""
    return all(hasattr(source, name) for name in ("mapped_triples", "entity_to_id", "relation_to_id"))


def read_pykeen(source: Any) -> Named:
    """Read triples by the labels of their entities and relations.

    Args:
        source: a ``TriplesFactory``; the folder that its ``to_path_binary`` wrote, of which the tables are read and
            the pickle is not; or a tab-separated file of head, relation and tail without a header.

    Raises:
        DataError: the files are not of that kind.
    """
    if is_factory(source):
        labels = [pl.DataFrame({"id": list(of.values()), "label": list(of)}) for of in _mappings(source)]
        return Named(_labelled(np.asarray(source.mapped_triples), *labels), {})
    path = Path(source)
    if path.is_dir():
        try:
            triples = pl.read_csv(path / TRIPLES, separator="\t", glob=False).to_numpy()
            labels = [
                pl.read_csv(path / f"{name}.tsv.gz", separator="\t", schema_overrides={"label": pl.String}, glob=False)
                for name in ("entity_to_id", "relation_to_id")
            ]
            return Named(_labelled(triples, *labels), {})
        except (OSError, KeyError, pl.exceptions.PolarsError) as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"{path} is not the folder of a whole TriplesFactory ({reason}); save it anew.") from None
    columns = ("head", "relation", "tail")
    table = read_table(path, separator="\t", header=columns)
    return Named(pl.DataFrame({name: ids(table, name, name).alias(name) for name in columns}), {})


def _mappings(factory: Any) -> tuple[dict[str, int], dict[str, int]]:
    return factory.entity_to_id, factory.relation_to_id


def _labelled(triples: np.ndarray, entities: pl.DataFrame, relations: pl.DataFrame) -> pl.DataFrame:
    rows = pl.DataFrame({name: triples[:, n].astype(np.int64) for n, name in enumerate(("head", "relation", "tail"))})
    for name, labels in (("head", entities), ("relation", relations), ("tail", entities)):
        table = labels.select(pl.col("id").cast(pl.Int64).alias(name), pl.col("label").cast(pl.String))
        rows = rows.join(table, on=name, how="left", maintain_order="left").drop(name).rename({"label": name})
        if rows[name].null_count():
            raise KeyError(f"a {name} has no label")
    return rows.select("head", "relation", "tail")
