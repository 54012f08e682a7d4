"""``lrdgraph encode``: item texts in, language vectors in the cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from lrdgraph import distributed
from lrdgraph.cli.console import Bar, Changes, say
from lrdgraph.errors import ConfigError


def encode(
    data: Annotated[str, typer.Argument(help="What to load: a folder, a file, or a name such as movielens-100k.")],
    config: Annotated[Path | None, typer.Option(help="An experiment file; its [text] and [data] count.")] = None,
    changes: Changes = None,
) -> None:
    """Encode item texts with a language model.

    The vectors are kept in the cache; a killed encoding goes on where it stopped.
    """
    from lrdgraph.config import override, read_toml
    from lrdgraph.experiment.inputs import cache_folder, load_corpus
    from lrdgraph.experiment.settings import experiment_settings
    from lrdgraph.language import encode_items
    from lrdgraph.language.settings import RANDOM

    values = override(read_toml(config) if config else {}, changes or ())
    if isinstance(values.setdefault("data", {}), dict):  # a section that is none is left to the check of all of them
        values["data"]["source"] = data
    settings = experiment_settings(values)
    if settings.text.vectors is not None:
        raise ConfigError(f"[text] vectors gives {settings.text.vectors}, so no text is encoded; leave it out.")
    with distributed.processes():
        with distributed.first_before_others():
            corpus = load_corpus(settings)
        worked = []
        began = time.perf_counter()
        with Bar("encoding item texts", lines=True) as bar:

            def progress(done: int, total: int) -> None:
                worked.append(done)
                bar(done, total)

            vectors = encode_items(corpus, settings.text, cache_folder(), progress)
        seconds = f"{time.perf_counter() - began:.1f} s" if worked else "already there"
        rows, width = vectors.shape
        made = f"{rows:,} vectors of {width} numbers by {settings.text.model}"
        if settings.text.model == RANDOM:
            say(f"{made}, which are drawn anew where they are used: nothing is kept")
        else:
            say(f"{made} ({seconds})")
            say(f"in {getattr(vectors, 'filename', cache_folder())}")
