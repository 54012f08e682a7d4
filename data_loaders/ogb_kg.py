"""Triples out of the raw files of an Open Graph Benchmark link-prediction set (Hu et al., NeurIPS 2020).

Read is what ``ogbl-wikikg2`` and ``ogbl-biokg`` have on disk, and what OGB's own ``DatasetSaver`` writes: the graph in
``raw/``, as gzipped CSV or as npz, and the names in ``mapping/``. That graph is the training split; the others are
pickles, which are not opened.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import unquote
from zipfile import BadZipFile

import numpy as np
import polars as pl

from data_loaders.triples import Named
from lrdgraph.errors import DataError
from lrdgraph.storage import read_json

BETWEEN = "___"


def is_ogb(path: Path) -> bool:
    """Whether a folder holds raw files of a set of OGB's."""
    return any(
        (path / "raw" / name).exists() for name in ("data.npz", "edge.csv.gz", "edge_index_dict.npz", "relations")
    )


def read_ogb(folder: Path) -> Named:
    """Read the training triples of a set, under the names that ``mapping/`` gives to entities and relations.

    Where there are no names, an entity is its number, and in a heterogeneous set its type and number, ``drug:17``; a
    relation is that of the folder's name, ``drug___treats___disease``, or its number. ``edge_weight`` is the weight.
    Latent edges of :func:`lrdgraph.graph.convert_ogb.to_ogb`, which have a posterior for each relation, are left out
    and counted.

    Raises:
        DataError: the folder holds no such set, or a file of it is broken.
    """
    raw = folder / "raw"
    try:
        if (raw / "data.npz").is_file():
            parts = {"": dict(np.load(raw / "data.npz", allow_pickle=False))}
        elif (raw / "edge_index_dict.npz").is_file():
            parts = _hetero_binary(raw)
        else:
            parts = _csv(raw)
        tables, dropped = [], Counter[str]()
        for triplet, arrays in parts.items():
            if "edge_posterior" in arrays:
                dropped["latent edges"] += arrays["edge_index"].shape[1]
            else:
                tables.append(_named(folder / "mapping", triplet, arrays))
    except (OSError, EOFError, KeyError, ValueError, IndexError, BadZipFile, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{folder} does not hold a whole graph of OGB ({reason}); fetch or write it anew.") from None
    if not tables:
        raise DataError(f"{folder} holds no edges in raw/; name the folder of a set, such as ogbl_wikikg2.")
    return Named(pl.concat(tables, how="diagonal"), dict(dropped))


def _hetero_binary(raw: Path) -> dict[str, dict[str, np.ndarray]]:
    parts = {triplet: {"edge_index": edges} for triplet, edges in np.load(raw / "edge_index_dict.npz").items()}
    for file in sorted(raw.glob("edge_*.npz")):
        if file.stem != "edge_index_dict":
            for triplet, values in np.load(file, allow_pickle=False).items():
                parts[triplet][file.stem] = values
    return parts


def _csv(raw: Path) -> dict[str, dict[str, np.ndarray]]:
    folders = (
        {"": raw} if (raw / "edge.csv.gz").is_file() else {f.name: f for f in sorted((raw / "relations").glob("*"))}
    )
    parts = {}
    for triplet, folder in folders.items():
        parts[triplet] = {"edge_index": _numbers(folder / "edge.csv.gz").T}
        for name in ("edge_reltype", "edge_weight"):
            if (folder / f"{name}.csv.gz").is_file():
                parts[triplet][name] = _numbers(folder / f"{name}.csv.gz")
    return parts


def _numbers(path: Path) -> np.ndarray:
    return pl.read_csv(path, has_header=False, infer_schema_length=None, glob=False).to_numpy()


def _named(mapping: Path, triplet: str, arrays: dict[str, np.ndarray]) -> pl.DataFrame:
    kinds = triplet.split(BETWEEN) if triplet else ["", "", ""]
    head, tail = arrays["edge_index"]
    if "edge_reltype" in arrays:
        kind = arrays["edge_reltype"].reshape(-1)
        relation = _names(mapping, ("relidx2*.csv.gz", "reltype2*.csv.gz"), kind, "relation:")
    else:
        relation = pl.repeat(unquote(kinds[1]) or "related", len(head), eager=True)
    ends = [_entities(mapping, kind, index) for kind, index in ((kinds[0], head), (kinds[2], tail))]
    columns = {"head": ends[0], "relation": relation, "tail": ends[1]}
    if "edge_weight" in arrays:
        columns["weight"] = pl.Series(arrays["edge_weight"].reshape(-1).astype(np.float32))
    return pl.DataFrame(columns)


def _entities(mapping: Path, kind: str, index: np.ndarray) -> pl.Series:
    if (mapping / "graph.json").is_file():
        return pl.Series(read_json(mapping / "graph.json")[f"{kind}s"], dtype=pl.String).gather(index)
    patterns = (f"{kind}_entidx2*.csv.gz",) if kind else ("nodeidx2*.csv.gz", "entidx2*.csv.gz")
    return _names(mapping, patterns, index, f"{kind}:" if kind else "")


def _names(mapping: Path, patterns: tuple[str, ...], index: np.ndarray, prefix: str) -> pl.Series:
    """Names of indices by a file of two columns, index and name; without a file, the prefix and the number."""
    files = [file for pattern in patterns for file in sorted(mapping.glob(pattern))]
    if not files:
        return prefix + pl.Series(index).cast(pl.String)
    table = pl.read_csv(files[0], infer_schema=False, glob=False)
    known = table.select(index=pl.nth(0).cast(pl.Int64), name=pl.nth(1))
    found = pl.DataFrame({"index": index.astype(np.int64)}).join(known, on="index", how="left", maintain_order="left")
    if found["name"].null_count():
        raise ValueError(f"{files[0].name} has no name for {found.filter(pl.col('name').is_null())['index'][0]}")
    return found["name"]
