"""lrdgraph: latent relations between items, discovered with a language model, for sequential recommendation.

``import lrdgraph`` loads nothing heavy; each name below is imported from its module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_loaders import load as load
    from data_loaders import with_attributes as with_attributes
    from data_loaders import with_triples as with_triples
    from lrdgraph.corpus import Corpus as Corpus
    from lrdgraph.discovery.dvae import RelationDVAE as RelationDVAE
    from lrdgraph.evaluation import evaluate as evaluate
    from lrdgraph.experiment import evaluate_run as evaluate_run
    from lrdgraph.experiment import experiment_settings as experiment_settings
    from lrdgraph.experiment import load_run as load_run
    from lrdgraph.experiment import read_experiment as read_experiment
    from lrdgraph.experiment import run_experiment as run_experiment
    from lrdgraph.export import export_triples as export_triples
    from lrdgraph.export import relation_report as relation_report
    from lrdgraph.graph.build import build_graph as build_graph
    from lrdgraph.graph.item_graph import ItemGraph as ItemGraph
    from lrdgraph.language import TextSettings as TextSettings
    from lrdgraph.language import encode_items as encode_items
    from lrdgraph.models.everyone import recommend_everyone as recommend_everyone
    from lrdgraph.models.extend import extend as extend
    from lrdgraph.models.recommend import recommend as recommend
    from lrdgraph.models.serving import build_index as build_index
    from lrdgraph.models.serving import load_index as load_index
    from lrdgraph.models.serving import recommend_with as recommend_with
    from lrdgraph.splits import split as split

    __version__: str

_MODULES = {
    "Corpus": "lrdgraph.corpus",
    "ItemGraph": "lrdgraph.graph.item_graph",
    "RelationDVAE": "lrdgraph.discovery.dvae",
    "TextSettings": "lrdgraph.language",
    "build_graph": "lrdgraph.graph.build",
    "build_index": "lrdgraph.models.serving",
    "encode_items": "lrdgraph.language",
    "evaluate": "lrdgraph.evaluation",
    "evaluate_run": "lrdgraph.experiment",
    "experiment_settings": "lrdgraph.experiment",
    "export_triples": "lrdgraph.export",
    "extend": "lrdgraph.models.extend",
    "load": "data_loaders",
    "load_index": "lrdgraph.models.serving",
    "load_run": "lrdgraph.experiment",
    "read_experiment": "lrdgraph.experiment",
    "recommend": "lrdgraph.models.recommend",
    "recommend_everyone": "lrdgraph.models.everyone",
    "recommend_with": "lrdgraph.models.serving",
    "relation_report": "lrdgraph.export",
    "run_experiment": "lrdgraph.experiment",
    "split": "lrdgraph.splits",
    "with_attributes": "data_loaders",
    "with_triples": "data_loaders",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name == "__version__":
        value: Any = _version()
    elif name in _MODULES:
        import importlib

        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'lrdgraph' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lrdgraph")
    except PackageNotFoundError:
        return "0+not-installed"
