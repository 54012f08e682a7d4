"""``lrdgraph download``: the public files of a data set into a folder, with resume and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lrdgraph.cli.console import Bar, say
from lrdgraph.errors import ConfigError, nearest


def download(
    name: Annotated[str, typer.Argument(help="RELEASE/CATEGORY, as amazon-2014/Office_Products.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    subset: Annotated[
        str, typer.Option(help="5-core or full; of amazon-2023 also 5-core-temporal and 5-core-ratings.")
    ] = "5-core",
    sha256: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE=HEX", help="The SHA-256 that a file must have; may be repeated."),
    ] = None,
) -> None:
    """Fetch the public files of a data set.

    A broken download goes on where it stopped when the command is run again.
    """
    from data_loaders.amazon_sources import addresses
    from data_loaders.download import download as fetch

    wanted = addresses(name, subset)
    expected = _expected(sha256 or (), [address.rsplit("/", 1)[-1] for address in wanted])
    for address in wanted:
        file = address.rsplit("/", 1)[-1]
        with Bar(file, lines=True) as bar:
            got = fetch(address, out, sha256=expected.get(file), progress=bar)
        say(f"{got.path}: {got.bytes:,} bytes, SHA-256 {got.sha256}{'' if got.fetched else ' (was there)'}")
    say(f"next: lrdgraph prepare {out} --out FOLDER")


def _expected(assignments: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    expected: dict[str, str] = {}
    for assignment in assignments:
        file, equals, digest = assignment.partition("=")
        if not equals:
            raise ConfigError(f"The checksum '{assignment}' is not of the form FILE=HEX.")
        if file not in files:
            raise ConfigError(
                f"The file '{file}' is not fetched{nearest(file, files)}; fetched are {', '.join(files)}."
            )
        expected[file] = digest
    return expected
