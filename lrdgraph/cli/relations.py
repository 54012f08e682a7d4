"""``lrdgraph relations``: what each discovered relation is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrdgraph.cli.console import say

if TYPE_CHECKING:
    from lrdgraph.export import RelationSummary


def relations(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    examples: Annotated[int, typer.Option(help="Pairs shown of each relation.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the discovered relations.

    How much each is used, and its clearest pairs by title.
    """
    from lrdgraph.experiment import load_run
    from lrdgraph.export import relation_report

    run = load_run(folder)
    found = relation_report(run.model, run.titles, examples)
    if as_json:
        rows = [_plain(summary) for summary in found]
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        show_relations(found)


def show_relations(found: Sequence[RelationSummary]) -> None:
    """Print a paragraph for each relation."""
    for summary in found:
        say(str(summary))
        say()


def _plain(summary: RelationSummary) -> dict[str, object]:
    said = {key: value for key, value in asdict(summary.relation).items() if key != "kind"}
    figures = {key: getattr(summary, key) for key in ("usage", "chosen", "confidence", "resembles")}
    pairs = {"examples": [example._asdict() for example in summary.examples]}
    shares = {"overlap": {name: overlap._asdict() for name, overlap in summary.overlap.items()}}
    return said | figures | pairs | shares
