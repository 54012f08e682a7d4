"""``lrdgraph recommend``: a history in, titles with scores and reasons out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrdgraph.cli.console import say
from lrdgraph.cli.item_file import ids_in
from lrdgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

    from lrdgraph.corpus import Corpus
    from lrdgraph.experiment import Run
    from lrdgraph.models.recommend import Recommendation

INDEX = "index"
"""Of an index within the folder of its run."""
WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda table, path: table.write_parquet(path),
    ".csv": lambda table, path: table.write_csv(path),
    ".tsv": lambda table, path: table.write_csv(path, separator="\t"),
    ".jsonl": lambda table, path: table.write_ndjson(path),
}


def recommend(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    history: Annotated[
        str | None, typer.Option(metavar="ID,ID,…", help="Item ids, oldest first; one with a comma in double quotes.")
    ] = None,
    times: Annotated[
        str | None, typer.Option(metavar="T,T,…", help="When each happened: seconds since 1970, or ISO dates (UTC).")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="T", help="The moment of the request; by default that of the last event.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Take this person's history from the corpus.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the corpus lies now, for --user and --to.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many items.")] = 10,
    reasons: Annotated[int | None, typer.Option(help="At most so many reasons for each; 3 by default.")] = None,
    index: Annotated[
        bool, typer.Option("--index", help="Look in DIR/index, as 'lrdgraph index DIR' builds it.")
    ] = False,
    hits: Annotated[int | None, typer.Option(help="Items of the index that are scored; 200 by default.")] = None,
    only: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recommend these items alone: ids, one in a line.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recommend none of these: ids, one in a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="With --to, pass over events with items that are new to the model.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write those for everyone in the corpus: {', '.join(WRITERS)}."),
    ] = None,
) -> None:
    """Recommend items and say why; or, with --to, for everyone at once.

    The history may be that of a person never seen, and hold items never trained on.
    """
    if to is not None:
        if index or as_json or any(one is not None for one in (history, user, times, reasons, hits)):
            raise ConfigError(
                "--to is for everyone in the corpus; leave out --history, --times, --user, --index, --hits, --reasons "
                "and --json."
            )
        some = _some(only, exclude)
        for_everyone(folder, to, data, None if at is None else seconds_of(at, "--at"), k, skip_unknown, some)
        return
    if skip_unknown:
        raise ConfigError("--skip-unknown is for everyone in the corpus; give it with --to.")
    if (history is None) == (user is None):
        raise ConfigError("Give either --history with item ids or --user with an id of the corpus.")
    if times is not None and history is None:
        raise ConfigError("--times belongs to --history; a --user brings the times of the corpus.")
    if hits is not None and not index:
        raise ConfigError("--hits is how many items of an index are scored; give it with --index.")
    if data is not None and user is None:
        raise ConfigError("--data is where the corpus lies, for --user or --to; leave it out with --history.")
    moments = None if times is None else [seconds_of(text, "--times") for text in times.split(",")]
    asked = None if at is None else seconds_of(at, "--at")
    from lrdgraph.experiment import load_run

    run = load_run(folder)
    best = run.model.recommend if not index else _with_index(run, 200 if hits is None else hits)
    best = partial(best, **_some(only, exclude))
    if user is not None:
        items, moments, number = history_of(run, user, data)
        best = partial(best, users=[number])
    else:
        items = ids_of(str(history))
    found = best([items], None if moments is None else [moments], asked, k, reasons=3 if reasons is None else reasons)[
        0
    ]
    if as_json:
        names = dict(zip(run.model.inputs.items.series.to_list(), run.titles, strict=True))
        say(json.dumps({"history": items, "recommendations": _plain(found, names)}, indent=2, ensure_ascii=False))
    else:
        show_recommendations(run, items, found)


def for_everyone(
    folder: Path,
    to: Path,
    data: str | None,
    at: int | None,
    k: int,
    skip_unknown: bool = False,
    some: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write recommendations for everyone in the run's corpus, or in a later one; ``some`` is what may be recommended.

    Raises:
        UnknownIdError, DataError: as ``recommend_everyone``.
        ConfigError: the file has another ending than :data:`WRITERS`.
    """
    if to.suffix not in WRITERS:
        raise ConfigError(f"{to} ends in '{to.suffix}'; recommendations are written to {', '.join(WRITERS)}.")
    from lrdgraph.experiment import load_run
    from lrdgraph.experiment.inputs import load_corpus
    from lrdgraph.models.everyone import recommend_everyone
    from lrdgraph.storage import atomic_file

    run = load_run(folder)
    corpus = load_corpus(run.settings, data)
    # a run of an earlier version knows people by their place in its own corpus alone
    strangers = corpus.fingerprint != run.fingerprint and run.model.inputs.users is None
    table = recommend_everyone(run.model, corpus, k, at=at, strangers=strangers, skip_unknown=skip_unknown, **some)
    with atomic_file(to) as temporary:
        WRITERS[to.suffix](table, temporary)
    say(f"{len(table):,} recommendations for {table['user'].n_unique():,} people in {to}")


def ids_of(text: str) -> list[str]:
    """Item ids separated by commas; one that holds a comma, or begins or ends with a space, stands in double quotes.

    Raises:
        DataError: an id is empty, or a quote is not closed.
    """
    try:
        (row,) = csv.reader([text], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise DataError(f"The history '{text}' is no list of ids ({error}); close its quotes.") from None
    quoted = '"' in text
    items = row if quoted else [item.strip() for item in row]
    if not items or not all(items):
        raise DataError(f"The history '{text}' has an empty id; separate ids by single commas.")
    return items


def _some(only: Path | None, exclude: Path | None) -> dict[str, Any]:
    return {name: ids_in(path) for name, path in (("only", only), ("exclude", exclude)) if path is not None}


def _with_index(run: Run, hits: int) -> Callable[..., list[list[Recommendation]]]:
    from lrdgraph.models.serving import load_index, recommend_with

    return partial(recommend_with, load_index(run.folder / INDEX, run.model), hits=hits)


def show_recommendations(run: Run, items: Sequence[str], found: Sequence[Recommendation], recent: int = 5) -> None:
    """Print the end of a history and what is recommended after it, by title, each with its reasons."""
    names = dict(zip(run.model.inputs.items.series.to_list(), run.titles, strict=True))
    say(f"after {len(items)} items, the last {min(recent, len(items))} being")
    for item in items[-recent:]:
        say(f"    {names[item]} [{item}]")
    for number, one in enumerate(found, start=1):
        say(f"{number:>3}. {names[one.item]} [{one.item}]  {one.score:.3f}")
        for reason in one.reasons:
            say(f"       {replace(reason, item=names[reason.item])}  ({reason.weight:+.3f})")


def history_of(run: Run, user: str, data: str | None = None) -> tuple[list[str], list[int], int]:
    """Items and times of all that a person did, oldest first, from the corpus as it is now, and her number in training.

    Raises:
        UnknownIdError: the corpus has no such person.
        DataError: it is not the corpus of the run, and the run, of an earlier version, does not know people by id.
    """
    from lrdgraph.experiment.inputs import load_corpus

    corpus, known = load_corpus(run.settings, data), run.model.inputs.users
    if known is None and corpus.fingerprint != run.fingerprint:
        source = run.settings.data.source if data is None else data
        raise DataError(f"{source} is not the corpus of {run.folder}; name that one with --data.")
    number = int(corpus.users.index([user])[0])
    return *events_of(corpus, number), number if known is None else int(known.index([user], missing=0)[0])


def events_of(corpus: Corpus, user: int) -> tuple[list[str], list[int]]:
    """Item ids and times of one user's events, oldest first; ties stand as in the source."""
    import numpy as np

    rows = np.flatnonzero(corpus.user == user)
    rows = rows[np.argsort(corpus.time[rows], kind="stable")]
    return corpus.items.ids(corpus.item[rows]), corpus.time[rows].tolist()


def _plain(found: Sequence[Recommendation], names: dict[str, str]) -> list[dict[str, Any]]:
    return [
        asdict(one)
        | {"title": names[one.item]}
        | {"reasons": [asdict(reason) | {"title": names[reason.item]} for reason in one.reasons]}
        for one in found
    ]


def seconds_of(text: str, option: str) -> int:
    """A moment that was given to an option: whole seconds since 1970, or an ISO date, of UTC where it names no zone.

    Raises:
        ConfigError: it is neither.
    """
    with suppress(ValueError):
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{option} has '{text}', which is no moment; give seconds since 1970 or a date such as 2014-07-23."
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
