"""The formats that discovered relations are written in; one of a reader's own is registered without editing ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from lrdgraph.errors import ConfigError, nearest
from lrdgraph.graph.enrichment import EnrichedGraph

Exporter = Callable[..., int]
"""``exporter(source, path, *, provenance, **options) -> int``, how many relations between two items it wrote."""

ExporterT = TypeVar("ExporterT", bound=Exporter)
_exporters: dict[str, Exporter] = {}


@runtime_checkable
class Discovers(Protocol):
    """A model that gives its graph with the relations it has discovered."""

    def enriched(self) -> EnrichedGraph:
        """The graph and its latent edges."""
        ...


def register_exporter(name: str) -> Callable[[ExporterT], ExporterT]:
    """Make an exporter known by name: ``@register_exporter("mine")`` above it.

    Raises:
        ConfigError: the name is taken.
    """

    def add(exporter: ExporterT) -> ExporterT:
        if name in _exporters:
            raise ConfigError(f"There is an exporter named '{name}' already; choose another name.")
        _exporters[name] = exporter
        return exporter

    return add


def exporter_names() -> list[str]:
    """Names of all registered exporters."""
    return sorted(_exporters)


def export(
    name: str, source: EnrichedGraph | object, path: Path | str, *, provenance: Mapping[str, object], **options: Any
) -> int:
    """Write discovered relations in a registered format.

    Args:
        name: of the format.
        source: a model with discovered relations, or a graph.
        path: file or folder to write.
        provenance: where the relations come from: model, seed, corpus fingerprint.
        options: those of the format.

    Returns:
        How many relations between two items were written.

    Raises:
        ConfigError: the format is unknown, or the model has discovered no relations.
    """
    if name not in _exporters:
        known = ", ".join(exporter_names())
        raise ConfigError(f"There is no export format '{name}'{nearest(name, _exporters)}; known are {known}.")
    return _exporters[name](source, path, provenance=provenance, **options)


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
