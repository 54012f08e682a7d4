"""Models by name; a model of a reader's own is registered from outside."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from lrdgraph.config import settings
from lrdgraph.errors import ConfigError, nearest
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs

ModelT = TypeVar("ModelT", bound=Recommender)
_BUILT_IN = {
    "lrdgraph": "lrdgraph.models.flagship",
    "sasrec": "lrdgraph.models.sasrec",
    "tisasrec": "lrdgraph.models.tisasrec",
    "bert4rec": "lrdgraph.models.bert4rec",
    "gru4rec": "lrdgraph.models.gru4rec",
    "narm": "lrdgraph.models.narm",
    "rcf": "lrdgraph.models.rcf",
    "kda": "lrdgraph.models.kda",
    "bpr-mf": "lrdgraph.models.factorization",
    "lightgcn": "lrdgraph.models.lightgcn",
    "cfkg": "lrdgraph.models.cfkg",
    "slrc": "lrdgraph.models.slrc",
    "chorus": "lrdgraph.models.chorus",
    "item-knn": "lrdgraph.models.neighbours",
    "text-knn": "lrdgraph.models.neighbours",
    "popularity": "lrdgraph.models.statistics",
    "relation-count": "lrdgraph.models.statistics",
}
_MODELS: dict[str, type[Recommender]] = {}


def register(name: str) -> Callable[[type[ModelT]], type[ModelT]]:
    """Class decorator that makes a recommender known by ``name``, to experiment files and checkpoints alike.

    Raises:
        ConfigError: a model of ours has that name.
    """

    def add(model: type[ModelT]) -> type[ModelT]:
        if name in _BUILT_IN and model.__module__ != _BUILT_IN[name]:
            raise ConfigError(f"There is a model named '{name}' already; choose another name.")
        _MODELS[name] = model
        return model

    return add


def model_names() -> list[str]:
    """All known names, built-in and registered."""
    return sorted({*_BUILT_IN, *_MODELS})


def model_class(name: str) -> type[Recommender]:
    """The class behind a name.

    Raises:
        ConfigError: no model has this name; the message gives the nearest one.
    """
    if name not in _MODELS and name in _BUILT_IN:
        importlib.import_module(_BUILT_IN[name])
    if name not in _MODELS:
        raise ConfigError(
            f"There is no model '{name}'{nearest(name, model_names())}; known: {', '.join(model_names())}, and those "
            "of modules that are imported, by 'lrdgraph --import MODULE …' on the command line."
        )
    return _MODELS[name]


def build_model(name: str, inputs: ModelInputs, values: dict[str, Any] | None = None) -> Recommender:
    """A model from its name and a dictionary of settings, checked against its ``Settings``.

    Raises:
        ConfigError: an unknown model or setting, or inputs that the model needs and did not get.
    """
    cls = model_class(name)
    return cls(inputs, settings(cls.Settings, values or {}, "model"))
