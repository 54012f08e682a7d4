"""Plots of a table. An image carries a hash of what it shows, so that it is drawn anew only when that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.summary import Summary, mean_deviation
from lrdgraph.config import config_hash
from lrdgraph.errors import MissingExtraError
from lrdgraph.storage import atomic_file

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lrdgraph",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True)
class Plot:
    """An image and all that it shows.

    Attributes:
        path: of the SVG file.
        title: for who cannot see it.
        caption: stands below.
        kind: ``"bars"``, ``"curves"`` or ``"reliability"``.
        data: figures and labels, in JSON's types.
    """

    path: Path
    title: str
    caption: str
    kind: str
    data: list[Any]

    @property
    def digest(self) -> str:
        return config_hash([self.kind, self.data])

    @property
    def is_drawn(self) -> bool:
        """Whether the file shows these data."""
        if not self.path.exists():
            return False
        found = re.search(r"<dc:description>(\w+)<", self.path.read_text(encoding="utf-8"))
        return found is not None and found[1] == self.digest


def bars(summary: Summary, role: str, path: Path) -> Plot | None:
    """Compared metrics of all rows with standard deviations and stars against the reference; None without a run."""
    table, tested = summary.table, summary.gains(role)
    panels = []
    for metric in table.compare or table.metrics[:1]:
        rows = []
        for line in summary.shown(role):
            if values := line.values(role, metric):
                mean, deviation = mean_deviation(values)
                gain = tested.get((line.row.name, metric))
                rows.append([line.label, mean, deviation or 0.0, stars(gain.p) if gain else ""])
        if rows:
            panels.append([metric, rows])
    caption = "Mean and standard deviation over seeds."
    if tested:
        caption += " Stars: different from what the table tests it against, with p < 0.05, 0.01 and 0.001 after Holm."
    title = f"{table.title}: {', '.join(metric for metric, _ in panels)}"
    return Plot(path, title, caption, "bars", panels) if panels else None


def curves(summary: Summary, role: str, path: Path) -> Plot | None:
    """The validation metric over seconds of training, a line for each seed; None without a run."""
    held = [
        [line.label, record["curve"]] for line in summary.shown(role) for record in line.records if "curve" in record
    ]
    found = [[label, curve["metric"], curve["seconds"], curve["value"]] for label, curve in held if curve["value"]]
    title = f"{summary.table.title}: validation over seconds of training"
    return Plot(path, title, "One line for each seed.", "curves", found) if found else None


def stars(p: float) -> str:
    """One star below 0.05, two below 0.01, three below 0.001."""
    return "*" * sum(p < bound for bound in (0.05, 0.01, 0.001))


def draw(plot: Plot) -> None:
    """Write the image.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("Plots need matplotlib; install it with 'pip install lrdgraph[benchmarks]'.") from None
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        _DRAWN[plot.kind](figure, plot.data)
        with atomic_file(plot.path) as temporary:
            about = {"Title": plot.title, "Description": plot.digest, "Date": None}
            figure.savefig(temporary, format="svg", metadata=about)


def _draw_bars(figure: Any, panels: list[Any]) -> None:
    names = list(dict.fromkeys(label for _, rows in panels for label, *_ in rows))
    figure.set_size_inches(2.2 + 3.2 * len(panels), 0.6 + 0.24 * len(names))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (metric, rows) in zip(axes, panels, strict=True):
        place = [names.index(label) for label, *_ in rows]
        mean, deviation = [row[1] for row in rows], [row[2] for row in rows]
        axis.barh(place, mean, xerr=deviation, color="#9db8d2", ecolor="#333333", capsize=2, height=0.7)
        for y, (_, value, spread, mark) in zip(place, rows, strict=True):
            axis.text(value + spread, y, f" {mark}", va="center")
        axis.set_xlabel(metric)
        axis.margins(x=0.1, y=0.02)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()


def _draw_curves(figure: Any, lines: list[Any]) -> None:
    import matplotlib

    figure.set_size_inches(7.5, 4.0)
    axis = figure.subplots()
    labels = list(dict.fromkeys(label for label, *_ in lines))
    named: set[str] = set()
    for label, _, seconds, value in lines:
        colour = matplotlib.colormaps["tab20"](labels.index(label) % 20)
        axis.plot(seconds, value, color=colour, linewidth=1, label=None if label in named else label)
        named.add(label)
    axis.set_xscale("log")
    axis.set_xlabel("seconds of training and validating")
    axis.set_ylabel(f"validation {' / '.join(dict.fromkeys(metric for _, metric, *_ in lines))}")
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_reliability(figure: Any, lines: list[Any]) -> None:
    figure.set_size_inches(4.2, 3.6)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for label, stated, found in lines:
        axis.plot(stated, found, marker="o", markersize=3, linewidth=1, label=label)
    axis.set_xlabel("stated")
    axis.set_ylabel("share of recorded links")
    axis.legend(frameon=False, fontsize=7)


_DRAWN = {"bars": _draw_bars, "curves": _draw_curves, "reliability": _draw_reliability}
