"""The corpus: what every data loader returns and everything else reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lrdgraph.errors import DataError
from lrdgraph.parquet import read_parquet
from lrdgraph.storage import atomic_folder, check_replaceable, read_json, settle_folder, write_json
from lrdgraph.vocabulary import Vocabulary

TRAIN, VALIDATION, TEST = 0, 1, 2
ROLES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Triples:
    """Predefined relations ``(head, relation, tail)`` over nodes.

    Node ``n`` is item ``n`` for ``1 <= n <= N`` and attribute value ``n - N`` above, so that a head or a tail may
    be either.

    Attributes:
        head, tail: ``(n,)`` int64 node indices.
        relation: ``(n,)`` int64 positions in ``names``.
        names: relation names.
        weight: ``(n,)`` float32 confidence in [0, 1], or None where every triple counts 1.
    """

    head: np.ndarray
    relation: np.ndarray
    tail: np.ndarray
    names: tuple[str, ...] = ()
    weight: np.ndarray | None = None

    @classmethod
    def empty(cls) -> Triples:
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, none)

    def __len__(self) -> int:
        return len(self.head)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Users, items, what happened between them, and what is known about the items; immutable.

    External ids stand in the vocabularies; arrays hold indices from 1, where 0 is padding. ``M`` interactions,
    ``N`` items. Interactions keep the order of the source, which breaks ties in time.

    Attributes:
        name: a short name for tables, e.g. ``"office"``.
        users, items, attributes: vocabularies.
        user, item: ``(M,)`` int64 indices.
        time: ``(M,)`` int64 seconds since 1970-01-01 UTC.
        fields: ``N`` rows of columns (``title``, ``brand`` …), row ``i - 1`` for item ``i``; language models read those
            of text.
        triples: predefined relations.
        split: ``(M,)`` int8 of TRAIN, VALIDATION, TEST where the source publishes one, else None.
        candidates: role name (``"validation"``, ``"test"``) → ``(n, C)`` int64 negative items, one row for each
            interaction of that role, in corpus order; empty where the source publishes none.
        dropped: what the loader left out, by reason, counted.
    """

    name: str
    users: Vocabulary
    items: Vocabulary
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    fields: pl.DataFrame
    attributes: Vocabulary = field(default_factory=lambda: Vocabulary([], "attribute"))
    triples: Triples = field(default_factory=Triples.empty)
    split: np.ndarray | None = None
    candidates: dict[str, np.ndarray] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_types(self)
        _check(self)
        triples = (self.triples.head, self.triples.relation, self.triples.tail, self.triples.weight)
        for array in (self.user, self.item, self.time, self.split, *triples, *self.candidates.values()):
            if array is not None:
                array.flags.writeable = False

    @property
    def num_users(self) -> int:
        return len(self.users)

    @property
    def num_items(self) -> int:
        return len(self.items)

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.user)

    def __repr__(self) -> str:
        split = "published split" if self.split is not None else "no split of its own"
        return (
            f"Corpus({self.name!r}: {self.num_users:,} users, {self.num_items:,} items, {len(self):,} interactions, "
            f"{len(self.triples):,} triples of {len(self.triples.names)} relations, "
            f"fields {', '.join(self.fields.columns) or 'none'}; {split}; {self.fingerprint[:12]})"
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over everything the corpus holds; equal contents give equal fingerprints."""
        digest = hashlib.sha256(f"lrdgraph-corpus-{FORMAT}".encode())
        for vocabulary in (self.users, self.items, self.attributes):
            _digest_strings(digest, vocabulary.series)
        for name in sorted(self.fields.columns):
            digest.update(name.encode())
            _digest_strings(digest, self.fields[name])
        digest.update("\x1f".join((*self.triples.names, "", *sorted(self.candidates))).encode())
        weight = self.triples.weight if self.triples.weight is not None else np.zeros(0, np.float32)
        arrays = [self.user, self.item, self.time, self.triples.head, self.triples.relation, self.triples.tail, weight]
        arrays += [self.split if self.split is not None else np.zeros(0, np.int8)]
        arrays += [self.candidates[k] for k in sorted(self.candidates)]
        for array in arrays:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, folder: Path | str) -> Path:
        """Write Parquet and JSON files to ``folder``, replacing a corpus that stands there.

        Raises:
            ConfigError: ``folder`` is a file, or holds other files than those of a corpus.
        """
        folder = Path(folder)
        check_replaceable(folder, "corpus.json", "a corpus")
        with atomic_folder(folder) as out:
            for key in ("users", "items", "attributes"):
                table = getattr(self, key).series.to_frame()
                table = pl.concat([table, self.fields], how="horizontal") if key == "items" else table
                table.write_parquet(out / f"{key}.parquet")
            columns = {"user": self.user, "item": self.item, "time": self.time}
            if self.split is not None:
                columns["split"] = self.split
            pl.DataFrame(columns).write_parquet(out / "interactions.parquet")
            triples = {"head": self.triples.head, "relation": self.triples.relation, "tail": self.triples.tail}
            if self.triples.weight is not None:
                triples["weight"] = self.triples.weight
            pl.DataFrame(triples).write_parquet(out / "triples.parquet")
            for role, rows in self.candidates.items():
                pl.DataFrame({"items": rows}).write_parquet(out / f"candidates-{role}.parquet")
            about = {"format": FORMAT, "name": self.name, "relations": list(self.triples.names)}
            about |= {"candidates": sorted(self.candidates), "dropped": self.dropped, "fingerprint": self.fingerprint}
            write_json(out / "corpus.json", about)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Corpus:
        """Read a corpus that :meth:`save` wrote.

        Raises:
            DataError: a file is missing, truncated, or does not match the recorded fingerprint.
        """
        folder = Path(folder)
        settle_folder(folder)
        about = read_json(folder / "corpus.json")
        held = about.get("format") if isinstance(about, dict) else None
        if held != FORMAT:
            raise DataError(f"{folder} holds corpus format {held}, expected {FORMAT}; prepare it again.")
        try:
            corpus = cls._read(folder, about)
        except (KeyError, pl.exceptions.ColumnNotFoundError) as error:
            missing = str(error).splitlines()[0]
            raise DataError(f"{folder} is incomplete ({missing} is missing); prepare the corpus again.") from None
        if corpus.fingerprint != about.get("fingerprint"):
            raise DataError(f"{folder} does not match its recorded fingerprint; it was changed: prepare it again.")
        return corpus

    @classmethod
    def _read(cls, folder: Path, about: dict[str, Any]) -> Corpus:
        users, items, attributes = (_parquet(folder / f"{k}.parquet") for k in ("users", "items", "attributes"))
        rows = _parquet(folder / "interactions.parquet")
        triples = _parquet(folder / "triples.parquet")
        return cls(
            name=about["name"],
            users=Vocabulary(users["id"], "user"),
            items=Vocabulary(items["id"], "item"),
            attributes=Vocabulary(attributes["id"], "attribute"),
            fields=items.drop("id"),
            user=rows["user"].to_numpy(),
            item=rows["item"].to_numpy(),
            time=rows["time"].to_numpy(),
            split=rows["split"].to_numpy().copy() if "split" in rows.columns else None,
            triples=Triples(
                head=triples["head"].to_numpy(),
                relation=triples["relation"].to_numpy(),
                tail=triples["tail"].to_numpy(),
                names=tuple(about["relations"]),
                weight=triples["weight"].to_numpy() if "weight" in triples.columns else None,
            ),
            candidates={
                r: _parquet(folder / f"candidates-{r}.parquet")["items"].to_numpy() for r in about["candidates"]
            },
            dropped=about["dropped"],
        )


def _parquet(path: Path) -> pl.DataFrame:
    return read_parquet(path, "prepare the corpus again")


def _digest_strings(digest: hashlib._Hash, series: pl.Series) -> None:
    filled = series.cast(pl.String).fill_null("\x00")
    digest.update(np.ascontiguousarray(filled.str.len_bytes().to_numpy()).tobytes())
    digest.update("".join(filled.to_list()).encode())


def _check_types(corpus: Corpus) -> None:
    triples = corpus.triples
    whole = {"user": corpus.user, "item": corpus.item, "time": corpus.time}
    whole |= {"head": triples.head, "relation": triples.relation, "tail": triples.tail}
    whole |= {f"{role} candidates": rows for role, rows in corpus.candidates.items()}
    for name, array in whole.items():
        if array.dtype != np.int64:
            raise DataError(f"Column '{name}' is {array.dtype}, expected int64; convert it with astype.")
    if corpus.split is not None and corpus.split.dtype != np.int8:
        raise DataError(f"Column 'split' is {corpus.split.dtype}, expected int8; convert it with astype.")
    if triples.weight is not None and not ((triples.weight >= 0) & (triples.weight <= 1)).all():
        raise DataError("A triple has a weight outside [0, 1]; scale the weights, or leave them out.")


def _check(corpus: Corpus) -> None:
    size = len(corpus.user)
    lengths = {"item": len(corpus.item), "time": len(corpus.time)}
    if corpus.split is not None:
        lengths["split"] = len(corpus.split)
    for name, length in lengths.items():
        if length != size:
            raise DataError(f"Column '{name}' has {length} rows and 'user' has {size}; they must be equal.")
    if "id" in corpus.fields.columns:
        raise DataError("A field is called 'id', which is kept for the items' own ids; rename it.")
    if corpus.fields.height != len(corpus.items) and corpus.fields.width:
        raise DataError(
            f"There are {corpus.fields.height} rows of fields for {len(corpus.items)} items; give one each."
        )
    triples = corpus.triples
    parts = [triples.relation, triples.tail] + ([] if triples.weight is None else [triples.weight])
    if any(len(part) != len(triples) for part in parts):
        raise DataError("Head, relation, tail and weight of triples differ in length; give each triple all of them.")
    nodes = len(corpus.items) + len(corpus.attributes)
    bounds = [("user", corpus.user, len(corpus.users)), ("item", corpus.item, len(corpus.items))]
    bounds += [("head", triples.head, nodes), ("tail", triples.tail, nodes)]
    bounds += [(f"{role} candidates", rows, len(corpus.items)) for role, rows in corpus.candidates.items()]
    for name, array, top in bounds:
        if array.size and (array.min() < 1 or array.max() > top):
            raise DataError(f"Column '{name}' holds an index outside 1…{top}; map ids through the vocabulary.")
    if len(triples) and not 0 <= triples.relation.min() <= triples.relation.max() < len(triples.names):
        raise DataError("A triple names a relation that has no name; list every relation in Triples.names.")
    if corpus.split is not None and not np.isin(corpus.split, list(ROLES.values())).all():
        raise DataError(f"Column 'split' holds a value that is no role; the roles are {ROLES}.")
    for role, rows in corpus.candidates.items():
        if role not in ("validation", "test"):
            raise DataError(f"There are candidate lists for '{role}'; give them for 'validation' or 'test'.")
        held = 0 if corpus.split is None else int((corpus.split == ROLES[role]).sum())
        if len(rows) != held:
            raise DataError(f"There are {len(rows)} candidate lists for {held} {role} interactions; give one for each.")
