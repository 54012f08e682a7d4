"""The folder that :meth:`lrdgraph.corpus.Corpus.save` writes."""

from __future__ import annotations

from pathlib import Path

from data_loaders.registry import Loader
from lrdgraph.corpus import Corpus


def recognises(path: Path) -> bool:
    """Whether ``corpus.json`` is there, or in the old folder that a swap killed half-way has left."""
    old = path.absolute().parent / f".{path.absolute().name}.old"
    return any((folder / "corpus.json").is_file() for folder in (path, old))


def read(path: Path) -> Corpus:
    """Read the corpus.

    Raises:
        DataError: a file is missing, truncated, or not as it was written.
    """
    return Corpus.load(path)


# its interactions.parquet looks like a table of a user's own
LOADER = Loader("lrdgraph", "a folder with corpus.json", recognises, read, refines="tables")
