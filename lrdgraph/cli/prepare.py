"""``lrdgraph prepare``: raw files in, a saved corpus out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrdgraph.cli.console import say, show_table
from lrdgraph.errors import ConfigError
from lrdgraph.storage import check_replaceable

if TYPE_CHECKING:
    from lrdgraph.corpus import Corpus


def prepare(
    source: Annotated[str, typer.Argument(help="A folder, a file, or a name such as movielens-100k.")],
    out: Annotated[Path, typer.Option(help="Folder for the corpus.")],
    format: Annotated[str | None, typer.Option(help="The format; by default the one that recognises SOURCE.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the format's loader; may be repeated."),
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="A field of items whose values become attributes; may be repeated."),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What stands between several values of such a field.")
    ] = None,
    triples: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A knowledge graph to add: RDF, a table, a folder of OGB or PyKEEN."),
    ] = None,
    triples_format: Annotated[
        str | None, typer.Option(help="table, rdf, ogb or pykeen; by default what PATH looks like.")
    ] = None,
    links: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table of item and entity, where ids in the graph differ.")
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="IRI", help="What IRIs of items in the graph begin with.")] = None,
) -> None:
    """Load a data set and save it as a corpus.

    Says what it holds and what was dropped.
    """
    check_replaceable(out, "corpus.json", "a corpus")
    options = _options(option or ())
    from data_loaders import load, with_attributes, with_triples

    for name, value in (("triples-format", triples_format), ("links", links), ("base", base)):
        if value is not None and triples is None:
            raise ConfigError(f"--{name} says how to read --triples, which is not given; name a knowledge graph.")
    if separator is not None and not attributes:
        raise ConfigError("--separator parts the values of --attributes, which are not given; name a field.")
    corpus = load(source, format, **options)
    corpus = with_attributes(corpus, attributes or (), separator)
    if triples is not None:
        corpus = with_triples(corpus, triples, format=triples_format, links=links, base=base)
    show_corpus(corpus)
    corpus.save(out)
    say(f"saved in {out}")


def show_corpus(corpus: Corpus) -> None:
    """Print the facts of a corpus: sizes, relations, split and what its loader dropped."""
    import numpy as np

    from lrdgraph.splits import split

    users, items = corpus.num_users, corpus.num_items
    density = len(corpus) / max(users * items, 1)
    say(f"{corpus.name}: {users:,} users, {items:,} items, {len(corpus):,} interactions (density {density:.3%})")
    if len(corpus):
        first, last = (
            np.datetime64(int(t), "s").astype("datetime64[D]") for t in (corpus.time.min(), corpus.time.max())
        )
        say(f"times: {first} to {last}")
    say(f"item fields: {', '.join(corpus.fields.columns) or 'none'}")
    say(f"split: {split(corpus)!r}")
    lists = [f"{role} {rows.shape[1]}" for role, rows in corpus.candidates.items()]
    if lists:
        say(f"published negatives for each target: {', '.join(lists)}")
    say(f"fingerprint: {corpus.fingerprint[:12]}")
    triples = corpus.triples
    if len(triples):
        counts = np.bincount(triples.relation, minlength=len(triples.names))
        between = np.bincount(
            triples.relation[(triples.head <= items) & (triples.tail <= items)], minlength=len(triples.names)
        )
        rows = [(triples.names[r], int(counts[r]), int(between[r])) for r in np.argsort(-counts, kind="stable")]
        show_table("predefined relations", ["relation", "triples", "between items"], rows)
    else:
        say("predefined relations: none")
    for reason, count in corpus.dropped.items():
        say(f"dropped: {count:,} {reason}")
    if not corpus.dropped:
        say("dropped: nothing")


def _options(assignments: Sequence[str]) -> dict[str, object]:
    from lrdgraph.config import override

    options: dict[str, object] = {}
    for assignment in assignments:
        if "=" not in assignment:
            raise ConfigError(f"The option '{assignment}' is not of the form key=value, as min_rating=4.")
        options |= override({}, [f"options.{assignment}"])["options"]
    return options
