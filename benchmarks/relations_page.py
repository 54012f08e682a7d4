"""Put the figures on relations into ``docs/relations.md``, between markers; what stands around them is left alone.

    python benchmarks/relations_page.py

A page asks for a piece by name, as ``<!-- relations: complement -->`` up to ``<!-- end -->``. Pieces are the tasks
(``pairs``, ``complement``, ``substitute``), ``stability`` and ``provenance``, from ``results/relations-office.json``;
``alignment``, ``novelty`` and ``calibration`` from ``results/relations-office-quality.json``, which is the
``quality.json`` of a run; ``joint`` from ``results/stability-office.json``, by ``benchmarks/stability.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown, short_commit
from benchmarks.plots import Plot
from benchmarks.settle import settle
from benchmarks.summary import mean_deviation
from lrdgraph.errors import ConfigError, LrdgraphError, nearest
from lrdgraph.storage import read_json

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"(<!-- relations: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
METRICS = ("MRR", "Hits@1", "Hits@3", "Hits@10", "tail/MRR", "head/MRR")
WAITING = "Not run yet."


def recovery(task: str, result: dict[str, Any]) -> str:
    """Every method of a task, the best mean MRR first, one table for each relation."""
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for key, record in result["records"].items():
        if key.startswith(f"{task}/"):
            for relation, methods in record["metrics"].items():
                for method, metrics in methods.items():
                    found[relation][method].append(metrics)
    pieces = []
    for relation, methods in found.items():
        figures = {m: [[metrics[name] for metrics in held] for name in METRICS] for m, held in methods.items()}
        best_first = sorted(figures, key=lambda m: -mean_deviation(figures[m][0])[0])
        rows = [[m, str(len(figures[m][0])), *(_figure(values) for values in figures[m])] for m in best_first]
        pieces += [f"**{relation}**", markdown(["method", "seeds", *METRICS], rows)]
    return "\n\n".join(pieces) or WAITING


def stability(result: dict[str, Any]) -> str:
    """Agreement and usage, own texts beside shuffled ones."""
    record = result["records"].get("stability/discovery/all")
    if record is None:
        return WAITING
    held = record["metrics"]
    names = ("adjusted_rand", "matched_mass", "perplexity", "information")
    rows = [[texts, *(f"{held[texts][name]:.3f}" for name in names)] for texts in ("own texts", "shuffled texts")]
    head = ["discovery on", "adjusted Rand index", "mass matched", "perplexity", "information, nat"]
    states, seeds = held["own texts"]["states"], len(held["own texts"]["each"]["usage"])
    caption = f"{held['pairs']:,} held-out pairs, {seeds} seeds, {states} states; means over seeds and pairs of seeds."
    return f"{markdown(head, rows)}\n\n{caption}"


def joint(held: dict[str, Any]) -> str:
    """Agreement and usage in trained recommenders."""
    rows = []
    for texts, sets in held["metrics"].items():
        for pairs, figures in sets.items():
            rand = f"{figures['adjusted_rand']:.3f}" if "adjusted_rand" in figures else "–"
            usage = [f"{figures[name]:.3f}" for name in ("perplexity", "information")]
            rows.append([texts, f"{pairs} ({figures['pairs']:,})", str(figures["seeds"]), rand, *usage])
    head = ["discovery reads", "pairs", "seeds", "adjusted Rand index", "perplexity", "information, nat"]
    return f"{markdown(head, rows)}\n\nOf {next(iter(held['metrics']['own texts'].values()))['states']} states."


def provenance(result: dict[str, Any]) -> str:
    """What the records rest on."""
    records = list(result["records"].values())
    if not records:
        return WAITING
    used: dict[str, set[str]] = defaultdict(set)
    for key, record in result["records"].items():
        used[key.split("/")[1] if not key.startswith("stability") else "stability"].add(_settings(record["settings"]))
    told = {
        "Corpus": {f"{result['corpus']['name']} {result['corpus']['fingerprint'][:12]}"},
        "Discovery": used["discovery"],
        "Embeddings": used["distmult"] | used["complex"],
        "Commit": {short_commit(record["commit"]) for record in records},
        "Versions": {f"python {r['versions']['python']}, torch {r['versions']['torch']}" for r in records},
    }
    lines = [f"- {name}: {'; '.join(sorted(values))}" for name, values in told.items() if values]
    return "\n".join([f"- {len(records)} records: `python benchmarks/relations.py --data PATH`", *lines])


def alignment(quality: dict[str, Any]) -> str:
    """Every discovered relation beside every predefined one."""
    tops = list(quality["alignment"][0]["precision"])
    rows = []
    for a in quality["alignment"]:
        shares = (f"{share:.3f}" for share in (*a["precision"].values(), a["base"]))
        rows.append([f"{a['latent']}, {a['relation']}", f"{a['nmi']:.4f}", *shares])
    return markdown(["relations", "NMI", *(f"precision, top {top}" for top in tops), "all pairs"], rows)


def novelty(quality: dict[str, Any]) -> str:
    """How many new pairs come true, by relation."""
    rows = []
    for title, key in (("not in the graph", "new"), ("nor in any history", "unseen")):
        for n in quality[key] or ():
            lift = "–" if n["lift"] is None else f"{n['lift']:.1f}"
            rates = (f"{n[name]:.4f}" for name in ("rate", "control", "candidates"))
            rows.append([f"{n['latent']}, {title}", str(n["pairs"]), *rates, lift])
    return markdown(["new pairs", "number", "come true", "like popularity", "all candidates", "lift"], rows)


def calibration(quality: dict[str, Any], image: Path, page: Path) -> tuple[str, Plot | None]:
    """Errors before and after, and the curve of both."""
    held = quality["calibration"]
    if not held:
        return "No discovered relation has a predefined counterpart: all stay uncalibrated posteriors.", None
    rows, curves = [], []
    for name, c in held.items():
        figures = (f"{c[part][key]:.4f}" for key in ("ece", "brier") for part in ("before", "after"))
        rows.append([f"{name} as {c['relation']}", f"{c['negatives']:.1f}", *figures, f"{c['before']['base']:.4f}"])
        for part, word in (("before", "posterior"), ("after", "calibrated")):
            curves.append([f"{name}, {word}", c[part]["stated"], c[part]["found"]])
    head = ["relation", "random pairs per link", "ECE", "calibrated", "Brier", "calibrated", "of the base rate"]
    plot = Plot(image, "Reliability of posteriors and of calibrated probabilities", "", "reliability", curves)
    return f"{markdown(head, rows)}\n\n![{plot.title}]({os.path.relpath(image, page.parent)})", plot


def render(page: Path, results: Path) -> tuple[str, list[Plot]]:
    """The text of a page with the pieces it asks for, and the plots it shows.

    Raises:
        ConfigError: it asks for a piece that there is not, or a marker has no end.
    """
    text = page.read_text(encoding="utf-8")
    result = _read(results / "relations-office.json") or {"records": {}}
    quality = _read(results / "relations-office-quality.json")
    trained = _read(results / "stability-office.json")
    plots: list[Plot] = []

    def calibrated(held: dict[str, Any]) -> str:
        words, plot = calibration(held, page.parent / "plots" / "relations-calibration.svg", page)
        plots.extend([plot] if plot else [])
        return words

    tasks: dict[str, Callable[[], str]] = {
        **{task: (lambda task=task: recovery(task, result)) for task in ("pairs", "complement", "substitute")},
        "stability": lambda: stability(result),
        "joint": lambda: WAITING if trained is None else joint(trained),
        "provenance": lambda: provenance(result),
    }
    of_run: dict[str, Callable[[dict[str, Any]], str]] = {
        "alignment": alignment,
        "novelty": novelty,
        "calibration": calibrated,
    }

    def piece(found: re.Match[str]) -> str:
        name = found[2]
        if name in tasks:
            words = tasks[name]()
        elif name in of_run:
            words = WAITING if quality is None else of_run[name](quality)
        else:
            known = [*tasks, *of_run]
            raise ConfigError(f"{page} asks for '{name}'{nearest(name, known)}; pieces are {', '.join(known)}.")
        return f"{found[1]}{words}\n{found[4]}"

    if text.count("<!-- relations:") != len(MARKER.findall(text)):
        raise ConfigError(f"{page} has a marker that is malformed or has no '<!-- end -->'; correct it.")
    return MARKER.sub(piece, text), plots


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the page; with ``--check`` only say whether it is as it should be, and end with 1 if it is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "relations.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    try:
        text, plots = render(chosen.page, chosen.results)
        stale = settle(chosen.page, text, plots, check=chosen.check)
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if chosen.check and stale else 0


def _read(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.exists() else None


def _figure(values: list[float]) -> str:
    mean, deviation = mean_deviation(values)
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _settings(held: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in held.items())


if __name__ == "__main__":
    sys.exit(main())
