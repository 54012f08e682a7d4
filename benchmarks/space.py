"""What a search may choose from: read from ``benchmarks/search/NAME.toml``.

A search stands beside a folder ``experiments``::

    trials = 8
    minutes = 5.0

    [space]
    "training.learning_rate" = { low = 1e-3, high = 1e-2, log = true }

    [[row]]
    name = "office-sasrec"
    space = { "model.dropout" = [0.1, 0.2, 0.3, 0.5] }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.plan import Row, check_rows, experiments
from lrdgraph.config import read_toml, settings, to_dict
from lrdgraph.errors import ConfigError
from lrdgraph.experiment import ExperimentSettings, read_experiment


@dataclass(frozen=True)
class Searched(Row):
    """A row of a search.

    Attributes:
        space: choices of its own, by ``section.key``; a list, or ``low`` and ``high`` and whether in ``log``.
    """

    space: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """Models that are searched with one budget.

    Attributes:
        row: what is searched.
        space: choices that every row has.
        trials: runs of each, the first with the settings of its file.
        minutes: of training and validating that each run may take; the epoch that passes them is its last.
        seed: of every run, and of the search.
        set: what differs from the files in every row.
        path: of the file.
    """

    row: tuple[Searched, ...]
    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 8
    minutes: float = 5.0
    seed: int = 0
    set: tuple[str, ...] = ()
    path: Path = Path()

    @property
    def results(self) -> Path:
        """Folder of what was found."""
        return self.path.parent / "results"

    def file(self, row: Row) -> Path:
        """The experiment file of a row."""
        return experiments(self.path) / (row.base or f"{row.name}.toml")

    def changes(self, row: Row) -> tuple[str, ...]:
        """What a row, and the budget, replace in the file."""
        return (*self.set, *row.set, f"training.max_minutes={self.minutes}")

    def experiment(self, row: Row, data: str | None) -> ExperimentSettings:
        """Settings of a row's first run."""
        return read_experiment(self.file(row), self.changes(row), data=data, seed=self.seed)

    def space_of(self, row: Searched) -> dict[str, Any]:
        """All choices of a row."""
        return self.space | row.space


def read_search(path: Path) -> Search:
    """Read a search file.

    Raises:
        ConfigError: a key is unknown or of the wrong type, or a name occurs twice.
    """
    path = Path(path)
    found = replace(settings(Search, read_toml(path), str(path)), path=path)
    check_rows(found.row, path)
    if found.trials < 1 or not found.minutes > 0:
        raise ConfigError(f"{path} needs at least one trial, and minutes above 0; correct them.")
    return found


def distributions(
    space: Mapping[str, Any], now: ExperimentSettings, where: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A space as Optuna's distributions, and what the settings choose from it now.

    Raises:
        ConfigError: a choice is malformed, names no setting, or does not hold the setting's present value.
    """
    held, found, present = to_dict(now), {}, {}
    for name, choice in space.items():
        section, _, key = name.partition(".")
        if not isinstance(held.get(section), dict) or key not in held[section]:
            raise ConfigError(f"{where} has no setting '{name}' to search; name one as section.key.")
        value = held[section][key]
        found[name] = _distribution(choice, f"{where}: '{name}'")
        if value not in choice if isinstance(choice, list) else not choice["low"] <= value <= choice["high"]:
            raise ConfigError(f"{where} has {name} = {value!r}, which its space does not hold; widen the space.")
        present[name] = value
    return found, present


def _distribution(choice: Any, where: str) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    try:
        if isinstance(choice, list):
            return CategoricalDistribution(choice)
        whole = isinstance(choice["low"], int) and isinstance(choice["high"], int)
        return (IntDistribution if whole else FloatDistribution)(**choice)
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"{where} must be a list, or low and high and, if wanted, log = true.") from None
