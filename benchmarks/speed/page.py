"""Put the figures of ``results/speed.json`` into ``docs/speed.md``, between markers; what stands around them stays.

    python -m benchmarks.speed.page

A page asks for a piece by name, as ``<!-- speed: ratios -->`` up to ``<!-- end -->``. Pieces are ``ratios``,
``stages``, ``operators``, ``before``, ``peers``, ``sooner``, ``ceiling``, ``plot`` and ``provenance``. ``before`` sets
``results/speed-before.json``, the same rows of an earlier commit, beside those of now; ``sooner`` reads the flagship's
records beside them.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.plots import Plot
from benchmarks.settle import settle
from benchmarks.speed.ceiling import share
from lrdgraph.errors import ConfigError, LrdgraphError, nearest
from lrdgraph.storage import read_json

ROOT = Path(__file__).resolve().parents[2]
MARKER = re.compile(r"(<!-- speed: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
WAITING = "Not run yet."
METRIC = "full/NDCG@10"
LABELS = {
    "flagship": "flagship, Office",
    "kda-lrd": "KDA + LRD, Office",
    "sasrec": "SASRec, Office",
    "sasrec-ml100k": "SASRec, MovieLens-100k",
    "kda-lrd-published": "KDA + LRD, published settings, Office",
    "rcf-lrd-published": "RCF + LRD, published settings, Office",
}
WHAT = {
    "encode": "encode texts, Office",
    "build": "build the graph, Office",
    "enrich": "enrich it, Office",
    "export": "export N-Triples, Office",
}
PEERS = {"recbole": "RecBole's SASRec", "rectools": "RecTools' SASRec"}
PUBLIC = {
    "kda-lrd": "public KDA + LRD",
    "rcf-lrd": "public RCF + LRD",
    "kda-lrd, all cores": "public KDA + LRD, all cores",
    "rcf-lrd, all cores": "public RCF + LRD, all cores",
}
PUBLIC_BEST = (0.367, 39)
"""Best validation candidates-99/NDCG@5 of the public KDA + LRD, and its epoch, in a run with seed 2019."""
Rows = dict[str, dict[str, Any]]
Ratio = tuple[str, str, float, float | None]


def ratios(rows: Rows) -> list[Ratio]:
    """How many times as fast as others ours is: as whom, at what, by the clock and by the processor's seconds."""
    found: list[Ratio] = []
    own = rows.get("peer lrdgraph")
    for name, label in PEERS.items():
        other = rows.get(f"peer {name}")
        if own and other:
            for stage, rates, words in (
                ("train", ("positions_per_second", "positions_per_cpu_second"), "training, target positions/s"),
                ("evaluate", ("per_second", "per_cpu_second"), "full-ranking evaluation"),
            ):
                clock, processor = (own[stage][rate] / other[stage][rate] for rate in rates)
                found.append((label, words, clock, processor))
    for name, label in PUBLIC.items():
        if (held := rows.get(f"public {name}")) is not None:
            found += [
                (label, "training, epoch", held["ratio"]["train"], None),
                (label, "evaluation", held["ratio"]["evaluate"], None),
            ]
    return found


def ratios_piece(rows: Rows) -> str:
    """Factors first, then accuracy after equal steps and the flagship's share of the ceiling."""
    found = ratios(rows)
    if not found:
        return WAITING
    lines = [[who, at, f"{clock:.1f}", f"{used:.1f}" if used else "–"] for who, at, clock, used in found]
    pieces = [markdown(["against", "at", "times as fast", "by processor time"], lines)]
    own = rows.get("peer lrdgraph")
    for name, label in PEERS.items():
        if own and (other := rows.get(f"peer {name}")):
            told = [f"{row['metrics'][METRIC]:.4f} after {row['train']['steps']} steps" for row in (own, other)]
            pieces.append(f"Test {METRIC}: ours {told[0]}, {label} {told[1]}.")
    if (shares := shares_of(rows)).get("train flagship"):
        part, binding = shares["train flagship"]
        pieces.append(f"The flagship's training step takes {_percent(part)} of the binding ceiling, {binding}.")
    return "\n\n".join(pieces)


def shares_of(rows: Rows) -> dict[str, tuple[float, str]]:
    """Part of the binding ceiling that each row reaches, and which that is."""
    top = rows.get("ceiling")
    return {
        name: share(row["operations"], row["moved"], seconds_of(row), top)
        for name, row in rows.items()
        if top and "moved" in row
    }


def seconds_of(row: dict[str, Any]) -> float:
    """Seconds that a share is formed with: of the processor where one thread did all, else of the clock."""
    return float(median(row["cpu_seconds"]) if row["machine"]["threads"] == 1 else row["median_seconds"])


def stages_piece(rows: Rows) -> str:
    """Every stage: how much in a second, seconds, memory, and its share of the ceiling."""
    shares = shares_of(rows)
    lines = []
    for name, row in rows.items():
        if "amount" not in row:
            continue
        ((unit, amount),) = row["amount"].items()
        seconds = row["median_seconds"]
        part, binding = shares.get(name, (0.0, "–"))
        cells = [_label(name), _figure(amount / seconds), unit, f"{seconds:.3g}", f"{median(row['cpu_seconds']):.3g}"]
        cells += [f"{row['operations'] / 1e9:.3g}", f"{row['moved'] / 1e9:.3g}", f"{row['compulsory'] / 1e9:.2g}"]
        cells += [_percent(part) if name in shares else "–", binding]
        lines.append([*cells, f"{row['peak_memory_gb']:.2f}"])
    if not lines:
        return WAITING
    head = ["stage", "per second", "of", "s", "processor s", "Gop", "GB moved", "GB at least", "share", "bound by"]
    return markdown([*head, "peak GB"], lines)


def operators_piece(rows: Rows) -> str:
    """What the operators of a training step of the flagship ask for, and the least time that takes."""
    row, top = rows.get("train flagship"), rows.get("ceiling")
    if row is None or top is None:
        return WAITING
    steps, lines, least = row["steps"], [], 0.0
    for name, (calls, operations, moved) in row["operators"].items():
        each = [calls / steps, operations / steps, moved / steps]
        floor = max(each[1] / top["flops"], each[2] / top["bytes"])
        least += floor
        cells = [f"{each[0]:.0f}", f"{each[1] / 1e9:.3f}", f"{each[2] / 1e6:.1f}", f"{floor * 1e3:.2f}"]
        lines.append([f"`{name}`", *cells])
    table = markdown(["operator", "calls", "Gop", "MB", "ms at least"], lines)
    seconds = row["step_cpu_seconds" if row["machine"]["threads"] == 1 else "step_seconds"]
    return (
        f"{table}\n\nA step takes {seconds * 1e3:.0f} ms (median). Its operators one after another, each at the "
        f"ceiling that binds it, would take {least * 1e3:.0f} ms, {_percent(least / seconds)} of that."
    )


def before_piece(rows: Rows, earlier: Rows) -> str:
    """Stages of an earlier commit beside those of now: seconds, bytes and memory."""
    lines = []
    for name, old in earlier.items():
        new = rows.get(name)
        if new is None or "amount" not in old:
            continue
        pairs = [(seconds_of(row), row["moved"] / 1e9, row["peak_memory_gb"]) for row in (old, new)]
        times = f"{pairs[0][0] / pairs[1][0]:.2f}"
        lines.append([_label(name), *(f"{v:.3g}" for both in zip(*pairs, strict=True) for v in both), times])
    if not lines:
        return WAITING
    commits = sorted({str(row["commit"]).split("+")[0][:10] for row in earlier.values()})
    head = ["stage", "processor s before", "now", "GB moved before", "now", "peak GB before", "now", "times as fast"]
    return f"{markdown(head, lines)}\n\nBefore: commit {', '.join(commits)}."


def peers_piece(rows: Rows) -> str:
    """SASRec of others beside ours, and the public LRD code beside ours."""
    lines = []
    for name, label in {"lrdgraph": "this library's SASRec", **PEERS}.items():
        if (row := rows.get(f"peer {name}")) is None:
            continue
        trained, ranked = row["train"], row["evaluate"]
        cells = [label, f"{trained['steps']}", f"{trained['positions_per_step']:.0f}"]
        cells += [_figure(trained["positions_per_second"]), _figure(trained["positions_per_cpu_second"])]
        cells += [_figure(ranked["per_second"]), f"{row['metrics'][METRIC]:.4f}", f"{row['parameters']:,}"]
        lines.append([*cells, f"{row['peak_memory_gb']:.2f}"])
    head = ["", "steps", "positions a step", "positions/s", "positions/processor s", "users × items/s"]
    pieces = [markdown([*head, f"test {METRIC}", "parameters", "peak GB"], lines)] if lines else []
    lines = []
    for name, label in PUBLIC.items():
        if (row := rows.get(f"public {name}")) is not None:
            for side, words in (("public", label), ("ours", f"ours, {label.removeprefix('public ')}")):
                best, seconds = row["fastest"][side], row["seconds"][side]
                cells = [f"{best['train']:.1f}", f"{best['evaluate']:.1f}", f"{seconds['loss'][0]:.3f}"]
                lines.append([words, *cells, f"{seconds['NDCG@5'][0]:.4f}"])
    if lines:
        head = ["", "s an epoch", "s an evaluation", "loss of the first epoch", "candidates-99/NDCG@5 after it"]
        pieces.append(markdown(head, lines))
    return "\n\n".join(pieces) or WAITING


def sooner_piece(rows: Rows, curves: Sequence[dict[str, Any]]) -> str:
    """How long the flagship takes to the best validation of the public code, by the curve of each seed."""
    row = rows.get("public kda-lrd")
    if row is None or not curves:
        return WAITING
    value, epochs = PUBLIC_BEST
    ours = [next((s for s, v in zip(c["seconds"], c["value"], strict=True) if v >= value), math.inf) for c in curves]
    training, evaluation = (epochs * row["fastest"]["public"][part] for part in ("train", "evaluate"))
    theirs = training + evaluation
    return (
        f"{epochs} epochs of the public KDA + LRD with as many evaluations take {_figure(theirs)} s at that speed, "
        f"{_figure(training)} s without evaluations. The flagship, validations included, passes {value} after "
        f"{min(ours):.0f} to {max(ours):.0f} s ({len(ours)} seeds): with the slowest {theirs / max(ours):.0f} times "
        f"sooner, {training / max(ours):.0f} times if the public code is given its evaluations for nothing."
    )


def ceiling_piece(rows: Rows) -> str:
    """Measured rates of the machine."""
    top = rows.get("ceiling")
    if top is None:
        return WAITING
    lines = [
        [f"{name} ({' × '.join(map(str, top['shapes'][name]))})", f"{rate:.1f} Gop/s"]
        for name, rate in top["gflops"].items()
    ]
    lines += [[f"memory, {name}", f"{rate:.1f} GB/s"] for name, rate in top["gigabytes"].items()]
    return markdown(["what", "rate"], lines)


def provenance_piece(rows: Rows) -> str:
    """What the rows rest on."""
    if not rows:
        return WAITING
    machines = {(m["platform"], m["processors"], m["threads"]) for m in (row["machine"] for row in rows.values())}
    told = {
        "Machine": {f"{platform}, {count} processors, {threads} threads" for platform, count, threads in machines},
        "Corpora": {f"{r['corpus']['name']} {r['corpus']['fingerprint']}" for r in rows.values() if "corpus" in r},
        "Versions": {f"{package} {held}" for row in rows.values() for package, held in row["versions"].items()},
        "Of peers": {
            f"{name.removeprefix('peer ')}: " + ", ".join(f"{p} {v}" for p, v in row["peer_versions"].items())
            for name, row in rows.items()
            if "peer_versions" in row
        },
        "Commit": {"+".join([sha[:10], *more]) for sha, *more in (str(r["commit"]).split("+") for r in rows.values())},
    }
    return "\n".join(f"- {name}: {'; '.join(sorted(values))}" for name, values in told.items() if values)


def plot(rows: Rows, path: Path) -> Plot | None:
    """Factors against others, and shares of the ceiling; None without either."""
    factors = [[f"{who}, {at.split(',')[0]}", round(times, 2), 0.0, ""] for who, at, times, _ in ratios(rows)]
    parts = [[_label(name), round(100 * part, 1), 0.0, ""] for name, (part, _) in shares_of(rows).items()]
    panels = [["times as fast as others", factors], ["% of the binding ceiling", parts]]
    panels = [panel for panel in panels if panel[1]]
    title = "Speed: times as fast as others, and share of the machine's binding ceiling"
    return Plot(path, title, "", "bars", panels) if panels else None


def render(page: Path, results: Path) -> tuple[str, list[Plot]]:
    """The text of a page with the pieces it asks for, and the plots it shows.

    Raises:
        ConfigError: it asks for a piece that there is not, or a marker has no end.
    """
    text = page.read_text(encoding="utf-8")
    old = results.with_name(f"{results.stem}-before.json")
    rows, earlier = (read_json(file)["rows"] if file.exists() else {} for file in (results, old))
    curves = [read_json(file)["curve"] for file in sorted(results.parent.glob("office-flagship-seed*.json"))]
    plots: list[Plot] = []

    def shown(rows: Rows) -> str:
        found = plot(rows, page.parent / "plots" / "speed.svg")
        if found is None:
            return WAITING
        plots.append(found)
        return f"![{found.title}]({os.path.relpath(found.path, page.parent)})"

    pieces: dict[str, Callable[[Rows], str]] = {
        "ratios": ratios_piece,
        "stages": stages_piece,
        "operators": operators_piece,
        "before": lambda rows: before_piece(rows, earlier),
        "peers": peers_piece,
        "sooner": lambda rows: sooner_piece(rows, curves),
        "ceiling": ceiling_piece,
        "provenance": provenance_piece,
        "plot": shown,
    }

    def piece(found: re.Match[str]) -> str:
        if found[2] not in pieces:
            known = ", ".join(pieces)
            raise ConfigError(f"{page} asks for '{found[2]}'{nearest(found[2], pieces)}; pieces are {known}.")
        return f"{found[1]}{pieces[found[2]](rows)}\n{found[4]}"

    if text.count("<!-- speed:") != len(MARKER.findall(text)):
        raise ConfigError(f"{page} has a marker that is malformed or has no '<!-- end -->'; correct it.")
    return MARKER.sub(piece, text), plots


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the page; with ``--check`` only say whether it is as it should be, and end with 1 if it is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "speed.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "speed.json")
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    try:
        text, plots = render(chosen.page, chosen.results)
        stale = settle(chosen.page, text, plots, check=chosen.check)
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if chosen.check and stale else 0


def _label(name: str) -> str:
    stage, _, which = name.partition(" ")
    return f"{stage}, {LABELS[which]}" if which in LABELS else WHAT[stage]


def _figure(value: float) -> str:
    """Three digits that count, with thousands apart."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.01 else f"{100 * part:.1f} %"


if __name__ == "__main__":
    sys.exit(main())
