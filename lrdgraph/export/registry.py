"""The formats that relations are written in; one of a reader's own is registered without editing ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from lrdgraph.errors import ConfigError, nearest, same
from lrdgraph.graph.enrichment import EnrichedGraph

Exporter = Callable[..., int]
"""``exporter(source, path, *, provenance, **options) -> int``, how many triples it wrote."""

ExporterT = TypeVar("ExporterT", bound=Exporter)
_exporters: dict[str, Exporter] = {}
_endings: dict[str, str] = {}


@runtime_checkable
class Discovers(Protocol):
    """A model that gives its graph with the relations it has discovered."""

    def enriched(self) -> EnrichedGraph:
        """The graph and its latent edges."""
        ...


def register_exporter(name: str, *endings: str) -> Callable[[ExporterT], ExporterT]:
    """Make an exporter known by name: ``@register_exporter("mine", ".mine")`` above it.

    Args:
        name: what ``export`` calls it.
        endings: of the files it writes, from which the format is guessed; none for one that writes folders.

    Raises:
        ConfigError: the name or an ending is taken by another.
    """

    def add(exporter: ExporterT) -> ExporterT:
        if name in _exporters and not same(_exporters[name], exporter):
            raise ConfigError(f"There is an exporter named '{name}' already; choose another name.")
        for ending in endings:
            if _endings.get(ending, name) != name:
                raise ConfigError(f"Files that end in {ending} are of '{_endings[ending]}'; choose another ending.")
        _exporters[name] = exporter
        _endings.update(dict.fromkeys(endings, name))
        return exporter

    return add


def exporter_names() -> list[str]:
    """Names of all registered exporters."""
    return sorted(_exporters)


def exporter_for(path: Path | str, asked: str | None = None) -> str:
    """Name of the format that is asked for, by name or by an ending such as ``"ttl"``, else that of a file's ending.

    Raises:
        ConfigError: there is no such format, or the ending says nothing.
    """
    if asked is not None:
        name = _endings.get(f".{asked.removeprefix('.')}", asked)
        if name not in _exporters:
            raise _unknown(asked)
        return name
    ending = Path(path).suffix.lower()
    if ending not in _endings:
        known = ", ".join(sorted(_endings))
        raise ConfigError(f"The name {path} tells no format; end it in one of {known}, or name a format.")
    return _endings[ending]


def takes(name: str, option: str) -> bool:
    """Whether a format has a parameter of that name."""
    return option in inspect.signature(_exporters[name]).parameters


def export(
    name: str, source: EnrichedGraph | object, path: Path | str, *, provenance: Mapping[str, object], **options: Any
) -> int:
    """Write relations in a registered format.

    Args:
        name: of the format.
        source: a model with discovered relations, or a graph.
        path: file or folder to write.
        provenance: where the relations come from: model, seed, corpus fingerprint.
        options: those of the format.

    Returns:
        How many triples were written.

    Raises:
        ConfigError: the format is unknown, or the model has discovered no relations.
    """
    if name not in _exporters:
        raise _unknown(name)
    return _exporters[name](source, path, provenance=provenance, **options)


def _unknown(name: str) -> ConfigError:
    known = ", ".join(exporter_names())
    return ConfigError(f"There is no export format '{name}'{nearest(name, _exporters)}; known are {known}.")


def discovered(source: EnrichedGraph | object) -> EnrichedGraph:
    """The enriched graph of a model or the graph itself, off the autograd tape and on the CPU.

    Raises:
        ConfigError: the model has discovered no relations.
    """
    if not isinstance(source, EnrichedGraph):
        if not isinstance(source, Discovers):
            raise ConfigError(f"{type(source).__name__} discovers no relations; use a model such as 'lrdgraph'.")
        with torch.no_grad():
            source = source.enriched()
    return EnrichedGraph(source.graph, source.latent_index.cpu(), source.mixture.detach().cpu(), source.latent)
