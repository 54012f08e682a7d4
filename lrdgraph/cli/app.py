"""The commands under one name, and what becomes of their errors."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lrdgraph.cli.demo import demo
from lrdgraph.cli.download import download
from lrdgraph.cli.encode import encode
from lrdgraph.cli.evaluate import evaluate
from lrdgraph.cli.export import export
from lrdgraph.cli.index import index
from lrdgraph.cli.name import name
from lrdgraph.cli.prepare import prepare
from lrdgraph.cli.quality import quality
from lrdgraph.cli.recommend import recommend
from lrdgraph.cli.relations import relations
from lrdgraph.cli.synthesize import synthesize
from lrdgraph.cli.train import train
from lrdgraph.errors import ConfigError, LrdgraphError

app = typer.Typer(name="lrdgraph", rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
_COMMANDS = (
    *(download, prepare, synthesize, encode, train, evaluate),
    *(recommend, index, relations, name, quality, export, demo),
)
for _command in _COMMANDS:
    app.command()(_command)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    modules: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="Import a module of yours first; may be repeated."),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Discovers latent relations between items with a language model, and recommends along them."""
    if version:
        from lrdgraph import __version__

        print(f"lrdgraph {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit
    for module in modules or ():
        _import(module)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    An error that the user can act on is one line on stderr and status 2; an interrupt is status 130. A traceback is
    left for defects of ours.

    Args:
        arguments: the words after ``lrdgraph``; those of this process where None.
    """
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot write a title is no reason to end
    words = None if arguments is None else list(arguments)
    try:
        # typer answers an interrupt with status 130, its older versions with Abort
        status = app(words, prog_name="lrdgraph", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
        return 2
    if status == 130:
        print("interrupted: run the same command again to go on from the last good state.", file=sys.stderr)
    return status if isinstance(status, int) else 0


_REFUSED = ("No space left on device", "(os error", "I/O error", "IO error", "write error")
"""What safetensors, polars and faiss, whose errors are no OSError, say where the system refuses a file."""


def _sentence(error: Any) -> str | None:
    """What to tell the user, or None for a defect of ours."""
    if isinstance(error, LrdgraphError):
        return str(error)
    if hasattr(error, "format_message"):  # a wrong word on the command line; the class moved between typer's versions
        path = error.ctx.command_path if getattr(error, "ctx", None) else "lrdgraph"
        return f"{error.format_message().rstrip('.')}; see '{path} --help'."
    if isinstance(error, MemoryError) or "not enough memory" in str(error) or "out of memory" in str(error):
        return "There is not enough memory; lower [training] batch_size or [evaluation] item_chunk, or free some."
    if isinstance(error, OSError):
        place = f" at {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}; free or permit it, or choose another place."
    if any(part in str(error) for part in _REFUSED):
        full = _REFUSED[0] in str(error)
        reason = _REFUSED[0] if full else f"A file cannot be read or written ({error})"
        return f"{reason}; free or permit it, or choose another place."
    return None


def _import(name: str) -> None:
    """Import a user's module, which registers models and loaders of their own, also from the current folder."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"The module '{name}' cannot be imported ({type(error).__name__}: {error}).") from error
