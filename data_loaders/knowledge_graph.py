"""A knowledge graph from outside → predefined relations of a corpus, its entities aligned to the items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from data_loaders.columns import ids, without_types
from data_loaders.frames import source_table
from data_loaders.ogb_kg import is_ogb, read_ogb
from data_loaders.pykeen_kg import TRIPLES, is_factory, read_pykeen
from data_loaders.rdf import is_rdf, named, read_rdf
from data_loaders.reading import SUFFIXES, suffix_of
from data_loaders.triples import Named, item_nodes, named_rows, tell_of_mixed, with_rows
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.vocabulary import Vocabulary

FORMATS = ("table", "rdf", "ogb", "pykeen")
ITEM = ("item", "itemid", "id")
COLUMNS = ("head", "relation", "tail", "weight")
ENTITY = ("entity", "entityid", "iri", "uri", "link")


class Links(NamedTuple):
    """Columns ``id``, ``node``: the entities that items are, and how many rows were left out, by reason."""

    known: pl.DataFrame
    dropped: dict[str, int]


def with_triples(
    corpus: Corpus,
    source: Path | str | Any,
    *,
    format: str | None = None,
    links: Path | str | Any = None,
    base: str | None = None,
    literals: bool = False,
    **columns: str | None,
) -> Corpus:
    """A corpus with the triples of a knowledge graph added as predefined relations.

    An end that is an item's id, or the entity that ``links`` gives to an item, is that item; any other end is an
    attribute value. What joins no item is left out and counted in ``dropped``. A relation that the corpus has already
    grows; triples that it has already change nothing, so that reading a file twice is reading it once. So are exported
    relations read back, with their posterior as weight.

    Args:
        corpus: the corpus; it stays as it is.
        source: a table as :func:`data_loaders.triples.read_named` reads it, or a data frame of it; an RDF file, as
            :func:`data_loaders.rdf.read_rdf`; the folder of an OGB link-prediction set, as
            :func:`data_loaders.ogb_kg.read_ogb`; or a PyKEEN ``TriplesFactory``, its saved folder or a table without a
            header, as :func:`data_loaders.pykeen_kg.read_pykeen`.
        format: ``"table"``, ``"rdf"``, ``"ogb"`` or ``"pykeen"``; by default what the source looks like.
        links: a table of ``item`` and ``entity``, such as MovieLens's Freebase links; without one the ids are compared.
        base: what the IRIs of items begin with, in RDF and in the entities of ``links``.
        literals: whether the literals of RDF are attribute values.
        columns: ``head=``, ``relation=``, ``tail=``, ``weight=``, where a table calls them otherwise.

    Raises:
        ConfigError: the format does not exist, or an option is of another format.
        DataError: the source cannot be read, or none of its triples joins an item.
        MissingExtraError: RDF is read without pyoxigraph.
    """
    form = _format(source) if format is None else format
    if form not in FORMATS:
        raise ConfigError(f"There is no format '{form}'{nearest(form, FORMATS)}; triples come as {', '.join(FORMATS)}.")
    if form in ("rdf", "ogb") and not isinstance(source, str | Path):
        raise ConfigError(f"Triples of format '{form}' are files, not {type(source).__name__}; name a path.")
    if form == "pykeen" and not is_factory(source) and not isinstance(source, str | Path):
        raise ConfigError(f"Triples of PyKEEN are a TriplesFactory or files, not {type(source).__name__}; name a path.")
    given = {"base": base, "literals": literals or None} if form != "rdf" else {}
    given |= columns if form != "table" else {}
    for option, value in given.items():
        if value is not None and not (option == "base" and links is not None):
            raise ConfigError(f"Triples of format '{form}' take no option '{option}'; leave it out.")
    aligned = Links(item_nodes(corpus.items), {}) if links is None else read_links(links, corpus.items, base)
    if form == "table":
        for option in columns.keys() - COLUMNS:
            raise ConfigError(
                f"A table takes no option '{option}'{nearest(option, COLUMNS)}; it takes {', '.join(COLUMNS)}."
            )
        table = source_table(source, "triples", comments=True)
        found = Named(named_rows(table, **{name: columns.get(name) for name in COLUMNS}), {})
        tell_of_mixed(found.rows, aligned.known, table.path)
    elif form == "rdf":
        found = read_rdf(Path(source), aligned.known["id"], base, literals=literals)
    else:
        found = read_ogb(Path(source)) if form == "ogb" else read_pykeen(source)
    of_items = pl.any_horizontal(pl.col("head", "tail").is_in(aligned.known["id"].implode()))
    if found.rows.height and not found.rows.select(of_items.any()).item():
        raise _nothing_aligned(source, found, aligned.known)
    return with_rows(corpus, found.rows, Counter(found.dropped) + Counter(aligned.dropped), aligned.known)


def read_links(path: Path | str | Any, items: Vocabulary, base: str | None = None) -> Links:
    """Read a table that says which entity of a knowledge graph each item is; an item may be several.

    Args:
        path: a table or data frame with columns ``item`` and ``entity``, or a ``.link`` file of RecBole's.
        items: the corpus's items; rows of others are left out and counted.
        base: of IRIs; entities that begin with it are called by the rest, as :func:`data_loaders.rdf.read_rdf` does.

    Raises:
        DataError: a column is missing, a cell is empty, or an entity is given to two items.
    """
    table = source_table(path, "links")
    if table.path.suffix == ".link":
        table = without_types(table)
    column = table.need(ENTITY)
    entities = ids(table, column, "entity")
    if base is not None:
        entities = named(entities, base, pl.Series([], dtype=pl.String)).alias("entity")
    table.refuse(~entities.is_first_distinct(), column, "an entity id that no earlier row has")
    pairs = pl.DataFrame({"item": ids(table, table.need(ITEM), "item"), "id": entities})
    known = pairs.join(item_nodes(items).rename({"id": "item"}), on="item", maintain_order="left").drop("item")
    unknown = pairs.height - known.height
    return Links(known, {"links to unknown items": unknown} if unknown else {})


def _format(source: Path | str | Any) -> str:
    if is_factory(source):
        return "pykeen"
    if not isinstance(source, str | Path):
        return "table"
    path = Path(source)
    if (path / TRIPLES).is_file():
        return "pykeen"
    if is_ogb(path):
        return "ogb"
    if path.is_dir():
        raise DataError(f"{path} holds neither raw files of OGB nor {TRIPLES} of PyKEEN; name a file or such a folder.")
    if is_rdf(path):
        return "rdf"
    if path.exists() and suffix_of(path) not in (*SUFFIXES, ".txt", ".kg"):
        raise DataError(f"{path} ends in no known way; say its format, one of {', '.join(FORMATS)}.")
    return "table"


def _nothing_aligned(source: object, found: Named, known: pl.DataFrame) -> DataError:
    name = source if isinstance(source, str | Path) else type(source).__name__
    head, tail = (found.rows[end][0] for end in ("head", "tail"))
    own = known["id"][0] if known.height else "none"
    return DataError(
        f"{name} holds {found.rows.height:,} triples and none joins an item: its ends are such as '{head}' and "
        f"'{tail}', the items such as '{own}'; give a table of links, or the base of the items' IRIs."
    )
