"""Which experiments make a table: read from ``benchmarks/tables/NAME.toml``.

A table stands beside a folder ``experiments`` of single models, and one ``results`` of what came out::

    title = "Amazon Office Products"
    metrics = ["candidates-99/NDCG@5", "full/NDCG@10"]
    compare = ["candidates-99/NDCG@5"]
    reference = "office-flagship"

    [[row]]
    name = "office-flagship"

    [[row]]
    name = "office-flagship-k8"
    base = "office-flagship.toml"
    set = ["model.num_latent=8"]
    label = "K = 8"
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.write_back import assignments
from lrdgraph.config import read_toml, settings
from lrdgraph.errors import ConfigError, nearest
from lrdgraph.experiment import ExperimentSettings, read_experiment
from lrdgraph.models.registry import model_class
from lrdgraph.storage import read_json


@dataclass(frozen=True)
class Row:
    """One experiment of a table.

    Attributes:
        name: of its result files.
        base: the experiment file; ``NAME.toml`` where empty.
        set: ``section.key=value`` each, what differs from the file.
        searched: whether what a search of the file chose (``benchmarks/search/results/``) takes the place of what
            stands in it.
        label: how the table names it; the name where empty.
        against: name of the row it is tested against, where that is not the table's reference.
    """

    name: str
    base: str = ""
    set: tuple[str, ...] = ()
    searched: bool = False
    label: str = ""
    against: str = ""


AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Table:
    """Rows that are shown, and tested, together.

    Attributes:
        title: stands above it.
        row: its rows.
        metrics: columns, by full name.
        compare: metrics in which rows are tested against the reference.
        reference: name of the row that the others are tested against; empty for none.
        set: what differs from the files in every row, as ``data.split=temporal``.
        seeds: that trained models are run with; a model without training is run with the first alone.
        role: which targets are shown, ``"test"``, ``"test@last-event"`` …
        sort: metric by which rows are sorted, best first; empty keeps the order of the file.
        path: of the file.
    """

    title: str
    row: tuple[Row, ...]
    metrics: tuple[str, ...]
    compare: tuple[str, ...] = ()
    reference: str = ""
    set: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    role: str = "test"
    sort: str = ""
    path: Path = Path()

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def results(self) -> Path:
        """Folder of the results."""
        return self.path.parent.parent / "results"

    def experiment(self, row: Row, *, data: str | None = None, seed: int | None = None) -> ExperimentSettings:
        """Settings of a row's runs.

        Raises:
            ConfigError: as :func:`lrdgraph.experiment.read_experiment`.
        """
        return read_experiment(self.file(row), self.changes(row), data=data, seed=seed)

    def file(self, row: Row) -> Path:
        """The experiment file of a row."""
        return experiments(self.path) / (row.base or f"{row.name}.toml")

    def changes(self, row: Row) -> tuple[str, ...]:
        """What a row replaces in its file.

        Raises:
            ConfigError: it takes what a search chose, and there was none.
        """
        chosen = assignments(self.search(row)["chosen"]) if row.searched else []
        return (*self.set, *chosen, *row.set)

    def search(self, row: Row) -> dict[str, Any]:
        """What a search of a row's file tried and chose.

        Raises:
            ConfigError: there was none.
        """
        path = self.path.parent.parent / "search" / "results" / self.file(row).with_suffix(".json").name
        if not path.exists():
            raise ConfigError(
                f"{row.name} has the settings of a search, and {path} is missing; run benchmarks/search.py."
            )
        found: dict[str, Any] = read_json(path)
        return found

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        """The seeds a row is to be run with."""
        return self.seeds if model_class(self.experiment(row).model_name).trainable else self.seeds[:1]


def experiments(path: Path) -> Path:
    """The folder of experiment files that belongs to a table or a search."""
    return path.parent.parent / "experiments"


def read_table(path: Path) -> Table:
    """Read a table file.

    Raises:
        ConfigError: a key is unknown or of the wrong type, a name occurs twice, or the reference is no row.
    """
    path = Path(path)
    table = replace(settings(Table, read_toml(path), str(path)), path=path)
    check_rows(table.row, path)
    for name in (table.reference, *(row.against for row in table.row)):
        if name and name not in names(table.row):
            hint = nearest(name, names(table.row))
            raise ConfigError(f"{path} has no row '{name}' to be tested against{hint}; name one of its rows.")
    if not table.seeds or not table.metrics:
        raise ConfigError(f"{path} needs at least one seed and one metric; add them.")
    return table


def check_rows(rows: Sequence[Row], path: Path) -> None:
    """Refuse rows that would share a result file, or could not be told apart.

    Raises:
        ConfigError: there is no row, or two have one name or label.
    """
    if not rows:
        raise ConfigError(f"{path} has no [[row]]; add one.")
    for said in (names(rows), [row.label or row.name for row in rows]):
        if twice := [name for name, count in Counter(said).items() if count > 1]:
            raise ConfigError(f"{path} names the row '{twice[0]}' twice; rename one.")


def select(rows: tuple[AnyRow, ...], only: list[str] | None, path: Path) -> tuple[AnyRow, ...]:
    """The rows named in ``only``, all where it is None or empty.

    Raises:
        ConfigError: a name is no row.
    """
    for name in only or ():
        if name not in names(rows):
            raise ConfigError(
                f"{path} has no row '{name}'{nearest(name, names(rows))}; it has {', '.join(names(rows))}."
            )
    return tuple(row for row in rows if not only or row.name in only)


def names(rows: Sequence[Row]) -> list[str]:
    """Names of rows, in order."""
    return [row.name for row in rows]
