"""Pairs of rows, from any tables, that differ in one part: what that part is worth, and under which conditions.

They are read from ``benchmarks/contrasts/NAME.toml``::

    metrics = ["candidates-99/NDCG@5", "full/NDCG@10"]

    [[pair]]
    label = "Office"
    table = "office"
    model = "office-flagship"
    baseline = "office-flagship-no-latent"
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.markdown import markdown, p_value
from benchmarks.plan import names
from benchmarks.summary import Line, Summary
from lrdgraph.config import read_toml, settings
from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.evaluation.significance import compare, holm


@dataclass(frozen=True)
class Pair:
    """Two rows of a table.

    Attributes:
        label: the condition under which they are compared.
        table: its name.
        model, baseline: names of the rows, with the part and without it.
        role: which targets are ranked, and when they are asked for.
        group: of targets, as ``"degree 0"``; all where empty. Groups are not tested, since ranks are kept without them.
    """

    label: str
    table: str
    model: str
    baseline: str
    role: Literal["validation", "test", "test@last-event"] = "test"
    group: str = ""


@dataclass(frozen=True)
class Contrasts:
    """Pairs that are shown, and tested, together.

    Attributes:
        pair: its pairs.
        metrics: by full name.
    """

    pair: tuple[Pair, ...]
    metrics: tuple[str, ...]


def contrasts_table(path: Path, summary: Callable[[str], Summary]) -> str:
    """Every pair of a file with the means of both rows, the gain in per cent, and p; then what has not been run.

    Args:
        path: of the file.
        summary: gives a table by its name.

    Raises:
        ConfigError: the file has a key that is unknown or of the wrong type, two pairs have one label, a row is in no
            table, or a group in no result.
        DataError: the rows of a pair rank different targets.
    """
    asked = settings(Contrasts, read_toml(path), str(path))
    for label in (labels := [pair.label for pair in asked.pair]):
        if labels.count(label) > 1:
            raise ConfigError(f"{path}: two pairs are labelled '{label}'; give each a label of its own.")
    sides = [tuple(_line(path, summary(p.table), name) for name in (p.model, p.baseline)) for p in asked.pair]
    cells: dict[tuple[str, str], tuple[float, float]] = {}
    tested: dict[tuple[str, str], float] = {}
    for pair, (model, baseline) in zip(asked.pair, sides, strict=True):
        ours, theirs = ([] if pair.group else line.evaluations(pair.role) for line in (model, baseline))
        for metric in asked.metrics:
            values = [_values(path, line, pair, metric) for line in (model, baseline)]
            if not all(values):
                continue
            cells[pair.label, metric] = statistics.mean(values[0]), statistics.mean(values[1])
            if not ours or not theirs:
                continue
            if model.targets != baseline.targets:
                raise DataError(f"{pair.model} and {pair.baseline} rank different targets; run one again.")
            tested[pair.label, metric] = compare(ours, theirs, metric, samples=1).p_t  # no interval is shown
    p = dict(zip(tested, holm(list(tested.values())), strict=True))
    rows, waiting = [], []
    for pair, lines in zip(asked.pair, sides, strict=True):
        keys = [(pair.label, metric) for metric in asked.metrics]
        if not any(key in cells for key in keys):
            waiting.append(pair.label)
            continue
        seeds = " and ".join(dict.fromkeys(str(len(line.records)) for line in lines))
        rows.append([pair.label, seeds, *(text for key in keys for text in _cells(cells.get(key), p.get(key)))])
    head = [
        "condition",
        "seeds",
        *(f"{metric}{of}" for metric in asked.metrics for of in (" without", " with", ", gain")),
    ]
    caption = (
        "Means over seeds; p of the paired t-test over users, each user's metric averaged over seeds, with Holm's "
        f"correction over {len(p)} comparisons. Groups of targets are not tested."
    )
    left = [f"Not run yet: {'; '.join(waiting)}."] if waiting else []
    return "\n\n".join([markdown(head, rows), caption, *left])


def _line(path: Path, summary: Summary, name: str) -> Line:
    for line in summary.lines:
        if line.row.name == name:
            return line
    known = names(summary.table.row)
    raise ConfigError(
        f"{path}: table '{summary.table.name}' has no row '{name}'{nearest(name, known)}; name one of its rows."
    )


def _values(path: Path, line: Line, pair: Pair, metric: str) -> list[float]:
    if not pair.group:
        return line.values(pair.role, metric)
    protocol, _, name = metric.partition("/")
    groups = [record["buckets"].get(pair.role, {}).get(protocol, {}) for record in line.records]
    for known in groups:
        if known and pair.group not in known:
            hint = nearest(pair.group, known)
            raise ConfigError(f"{path}: '{pair.group}' is no group of targets{hint}; known are {', '.join(known)}.")
    held = [known.get(pair.group, {}) for known in groups]
    return [metrics[name] for metrics in held] if all(name in metrics for metrics in held) else []


def _cells(means: tuple[float, float] | None, p: float | None) -> list[str]:
    if means is None:
        return ["–"] * 3
    model, baseline = means
    gain = f"{100 * (model / baseline - 1):+.1f} %" if baseline else "–"
    return [f"{baseline:.4f}", f"{model:.4f}", gain if p is None else f"{gain}, {p_value(p)}"]
