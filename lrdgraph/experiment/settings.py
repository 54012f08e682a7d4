"""An experiment as one TOML file: every section is the settings of one room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lrdgraph.config import override, read_toml, settings, to_dict
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.language.settings import TextSettings
from lrdgraph.models.registry import model_class
from lrdgraph.training.settings import TrainingSettings


@dataclass(frozen=True)
class DataSettings:
    """Which corpus, and how it is split.

    Attributes:
        source: a folder, a file, or a name that a loader knows, as ``"movielens-100k"``.
        format: the loader; None recognises it.
        options: what the loader takes besides.
        split: ``"auto"``, ``"given"``, ``"leave-one-out"`` or ``"temporal"``.
        fractions: cuts of the temporal split.
        negatives_avoid: ``"training"``, or ``"all"``: models that draw negatives for a person avoid their validation
            and test items as well, as the public LRD code does. That leaks; it is a control.
    """

    source: str | None = None
    format: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    split: Literal["auto", "given", "leave-one-out", "temporal"] = "auto"
    fractions: tuple[float, float] = (0.8, 0.9)
    negatives_avoid: Literal["training", "all"] = "training"


@dataclass(frozen=True)
class GraphSettings:
    """Which predefined relations become edges.

    Attributes:
        relations: their names; None takes all that the corpus holds.
        exclude: names left out.
        inverses: add the inverse of each.
        min_attribute_items: leave out attribute values that fewer items have.
        share: of the triples of each relation that are kept, at random but always the same, and a smaller share
            within a larger one: what remains of a graph when less is written down.
    """

    relations: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    inverses: bool = True
    min_attribute_items: int = 2
    share: float = 1.0


@dataclass(frozen=True)
class ExperimentSettings:
    """Everything that decides a run.

    Attributes:
        name: for tables and messages.
        data, text, graph, training, evaluation: the sections.
        model: ``{"name": …}`` and that model's own settings.
    """

    name: str = "experiment"
    data: DataSettings = DataSettings()
    text: TextSettings = TextSettings()
    graph: GraphSettings = GraphSettings()
    model: dict[str, Any] = field(default_factory=lambda: {"name": "lrdgraph"})
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @property
    def model_name(self) -> str:
        return str(self.model["name"])

    @property
    def model_values(self) -> dict[str, Any]:
        """The model's own settings, without its name."""
        return {k: v for k, v in self.model.items() if k != "name"}


_SECTIONS = {
    "data": DataSettings,
    "text": TextSettings,
    "graph": GraphSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
}


def experiment_settings(values: Mapping[str, Any]) -> ExperimentSettings:
    """Settings of an experiment from nested values, every key checked before anything is read or trained.

    Raises:
        ConfigError: an unknown section, setting or model, or a value of the wrong type or range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"An experiment is a mapping of sections, got {type(values).__name__}; a file is read by read_experiment."
        )
    plain = {key: value for key, value in values.items() if key not in (*_SECTIONS, "model")}
    checked: dict[str, Any] = {
        name: settings(cls, values.get(name, {}), f"[{name}]") for name, cls in _SECTIONS.items()
    }
    model = values.get("model", {"name": "lrdgraph"})
    if not isinstance(model, Mapping):
        raise ConfigError(f"[model] must be a section of settings, got {model!r}.")
    if not isinstance(model.get("name"), str):
        raise ConfigError('[model] needs a name, as name = "lrdgraph"; add it.')
    own = {k: v for k, v in model.items() if k != "name"}
    full = to_dict(settings(model_class(model["name"]).Settings, own, "[model]"))
    whole = settings(ExperimentSettings, plain | {"model": {"name": model["name"]} | full}, "The experiment")
    return replace(whole, **checked)


def read_experiment(
    path: Path | str, overrides: Iterable[str] = (), *, data: str | None = None, seed: int | None = None
) -> ExperimentSettings:
    """Read an experiment file and replace single settings.

    Args:
        path: a TOML file.
        overrides: ``section.key=value`` each.
        data: replaces ``data.source``.
        seed: replaces ``training.seed``.

    Raises:
        ConfigError: the file is missing or malformed, or as :func:`experiment_settings`.
    """
    if isinstance(overrides, str):
        raise ConfigError(
            f"Overrides are a list of section.key=value; got the string '{overrides}': put it into a list."
        )
    values = override(read_toml(path), overrides)
    values.setdefault("name", Path(path).stem)
    for section, key, value in (("data", "source", data), ("training", "seed", seed)):
        # a section that is none is left to the check of all of them
        if value is not None and isinstance(values.setdefault(section, {}), dict):
            values[section][key] = value
    return experiment_settings(values)


FREE = {
    ("experiment", "name"),
    ("data", "source"),
    ("text", "device"),
    ("text", "batch_size"),
    ("training", "device"),
    ("evaluation", "batch_size"),
    ("evaluation", "item_chunk"),
}
"""Settings, by section, that a run may go on with changed: they say where and how it is computed, not what."""


def trains_longer(was: ExperimentSettings, now: ExperimentSettings) -> bool:
    """Whether more epochs are asked for, and those that were trained would have been the same."""
    return now.training.epochs > was.training.epochs and now.training.schedule == "constant" and not now.training.warmup


def other_settings(was: ExperimentSettings, now: ExperimentSettings) -> list[tuple[str, str]]:
    """Section and key of settings that make another run, and not the same one or a longer one."""
    free = FREE | {("training", "epochs")} if trains_longer(was, now) else FREE
    one, other = _flat(was), _flat(now)
    return [key for key in sorted((one.keys() | other.keys()) - free) if one.get(key) != other.get(key)]


def _flat(settings: ExperimentSettings) -> dict[tuple[str, str], Any]:
    sections = to_dict(settings)
    named = {("experiment", "name"): sections.pop("name")}
    return named | {(section, key): value for section, values in sections.items() for key, value in values.items()}
