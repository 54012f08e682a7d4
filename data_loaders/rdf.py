"""Triples out of RDF files: N-Triples, N-Quads, Turtle, TriG, RDF/XML and JSON-LD, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from data_loaders.iris import ATTRIBUTE, ITEM, RELATION, TERMS, checked_base, decode
from data_loaders.triples import WEIGHTS, Named
from lrdgraph.errors import DataError, MissingExtraError

ENDINGS = (".nt", ".nq", ".ttl", ".trig", ".rdf", ".owl", ".jsonld")
QUADS_AT_ONCE = 200_000
TRIPLE = ("head", "relation", "tail")
_SCHEMA = dict.fromkeys((*TRIPLE, "graph", "kind"), pl.String)
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PARTS = {"head": f"{_RDF}subject", "relation": f"{_RDF}predicate", "tail": f"{_RDF}object"}
# what an export says of its relations and of itself, in these vocabularies, and the classes it gives to its nodes
_SAID = (
    f"{_RDF}type",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://purl.org/dc/terms/",
    "http://www.w3.org/ns/prov#",
    TERMS,
)
_CLASSES = [f"{TERMS}Item", f"{TERMS}Attribute"]


def is_rdf(path: Path) -> bool:
    """Whether a file's name ends as those of RDF do."""
    return Path(path.name.removesuffix(".gz")).suffix in ENDINGS


def read_rdf(path: Path, items: pl.Series, base: str | None = None, *, literals: bool = False) -> Named:
    """Read the triples between IRIs; how sure an export of lrdgraph says they are becomes their weight.

    An IRI under the base is called by what follows, percent-decoded, and without the ``item/``, ``attribute/`` or
    ``relation/`` that exports put between; any other stands as it is. A blank node is ``_:`` and its label in the file.

    Args:
        path: the file; its ending tells the format.
        items: names of items; an attribute value of such a name keeps its whole IRI.
        base: what the IRIs of items begin with; ``urn:lrdgraph:``, that of exports, where None.
        literals: take a literal for an attribute value, in quotes where it spells an item's name; by default such
            triples are left out and counted.

    Raises:
        MissingExtraError: pyoxigraph is not installed.
        DataError: the file is missing or not of its format, or a weight is no number from 0 to 1.
    """
    base = TERMS if base is None else checked_base(base)
    literal = pl.col("kind") == "literal"
    measure = literal & pl.col("relation").is_in([TERMS + weight for weight in WEIGHTS])
    about = pl.any_horizontal(
        (pl.col("head") == f"{prefix}export") | pl.col("head").str.starts_with(prefix + RELATION)
        for prefix in sorted({base, TERMS})
    )
    about = about | pl.any_horizontal(pl.col("head").str.starts_with(TERMS + kind) for kind in ("software/", "corpus/"))
    said = pl.any_horizontal(pl.col("relation").str.starts_with(vocabulary) for vocabulary in _SAID)
    own = pl.col("tail").is_in(_CLASSES) | (about & said)
    blocks, left_out = [pl.DataFrame(schema=_SCHEMA)], 0
    for block in _blocks(path):
        quads = block.filter(~own)
        blocks.append(quads if literals else quads.filter(measure | ~literal))
        left_out += quads.height - blocks[-1].height
    quads = pl.concat(blocks)
    rows = quads.filter(~measure & (pl.col("kind") != "reified") & ~pl.col("relation").is_in(list(_PARTS.values())))
    sure = _sure(quads.filter(measure), path)
    if sure.height:
        rows = _weighed(rows, quads, sure)
    names = {end: named(rows[end], base, items) for end in TRIPLE}
    if literals:
        quoted = pl.when(pl.col("tail").is_in(items.implode())).then(pl.format('"{}"', "tail")).otherwise("tail")
        names["tail"] = rows.select(pl.when(literal).then(quoted).otherwise(names["tail"])).to_series()
    return Named(rows.drop("graph", "kind").with_columns(**names), {"literals": left_out} if left_out else {})


def _blocks(path: Path) -> Iterator[pl.DataFrame]:
    try:
        import pyoxigraph
    except ImportError:
        raise MissingExtraError(f"{path} needs pyoxigraph; install it with 'pip install lrdgraph[rdf]'.") from None
    ending = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")
    kind = pyoxigraph.RdfFormat.from_extension("rdf" if ending == "owl" else ending)
    if kind is None:
        raise DataError(f"{path} does not end as RDF files do; end it in one of {', '.join(ENDINGS)}.")

    def name(term: Any) -> str:
        return f"_:{term.value}" if isinstance(term, pyoxigraph.BlankNode) else str(term.value)

    def row(quad: Any) -> tuple[str, ...]:
        tail = quad.object
        if isinstance(tail, pyoxigraph.Triple):  # of RDF 1.2: the subject reifies it
            return name(tail.subject), tail.predicate.value, name(tail.object), name(quad.subject), "reified"
        graph = "" if isinstance(quad.graph_name, pyoxigraph.DefaultGraph) else name(quad.graph_name)
        kind = "literal" if isinstance(tail, pyoxigraph.Literal) else "node"
        return name(quad.subject), quad.predicate.value, name(tail), graph, kind

    try:
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            quads = pyoxigraph.parse(file, kind)
            # the parser gives one Python object for each statement
            while block := [row(quad) for quad in islice(quads, QUADS_AT_ONCE)]:
                yield pl.DataFrame(block, schema=_SCHEMA, orient="row")
    except SyntaxError as error:
        reason = str(error.msg).rstrip(".")
        raise DataError(f"{path}, line {error.lineno or 1} is not valid RDF: {reason}; correct it.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); check the path and that the file is whole.") from None


def _sure(said: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Columns ``statement`` and ``weight``: of several measures the one that stands first in ``WEIGHTS``."""
    rank = {TERMS + weight: number for number, weight in enumerate(WEIGHTS)}
    table = said.select(
        statement="head",
        rank=pl.col("relation").replace_strict(rank, return_dtype=pl.Int8),
        weight=pl.col("tail").cast(pl.Float32, strict=False),
        told="tail",
    )
    wrong = table.filter(~pl.col("weight").is_between(0, 1).fill_null(False))
    if wrong.height:
        statement, _, _, told = wrong.row(0)
        raise DataError(f"{path}: the weight of {statement} is '{told}', expected a number from 0 to 1; correct it.")
    return table.sort("rank", maintain_order=True).unique("statement", keep="first").select("statement", "weight")


def _weighed(rows: pl.DataFrame, quads: pl.DataFrame, sure: pl.DataFrame) -> pl.DataFrame:
    """Rows with a ``weight``: that of their named graph, or of the statement that reifies them; else 1."""
    parts = [
        quads.filter(pl.col("relation") == iri).select(statement="head", **{part: "tail"})
        for part, iri in _PARTS.items()
    ]
    described = parts[0].join(parts[1], on="statement").join(parts[2], on="statement")
    reified = quads.filter(pl.col("kind") == "reified").select(pl.col("graph").alias("statement"), *TRIPLE)
    statements = pl.concat([reified, described.select(reified.columns)]).join(sure, on="statement")
    statements = statements.drop("statement").unique(TRIPLE, keep="first", maintain_order=True)
    rows = rows.join(sure.rename({"statement": "graph"}), on="graph", how="left", maintain_order="left")
    rows = rows.join(statements, on=TRIPLE, how="left", maintain_order="left", suffix="_reified")
    return rows.with_columns(weight=pl.coalesce("weight", "weight_reified", 1.0)).drop("weight_reified")


def named(iris: pl.Series, base: str, items: pl.Series) -> pl.Series:
    """The names of IRIs, as :func:`read_rdf` gives them."""
    table = iris.to_frame("iri").with_columns(part=pl.col("iri").str.strip_prefix(base))
    under, value = pl.col("iri").str.starts_with(base), pl.col("part").str.starts_with(ATTRIBUTE)
    bare = pl.col("part")
    for kind in (ITEM, ATTRIBUTE, RELATION):
        bare = pl.when(pl.col("part").str.starts_with(kind)).then(pl.col("part").str.strip_prefix(kind)).otherwise(bare)
    table = table.with_columns(name=decode(table.select(bare).to_series()))
    kept = under & (pl.col("name") != "") & ~(value & pl.col("name").is_in(items.implode()))
    return table.select(pl.when(kept).then("name").otherwise("iri")).to_series()
