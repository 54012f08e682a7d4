"""Put the figures of ``results/scale.json`` and ``results/speed-distributed.json`` into ``docs/scaling.md``.

    python -m benchmarks.speed.scaling_page

A page asks for a piece as ``<!-- scaling: growth -->`` up to ``<!-- end -->``; pieces are ``growth`` and ``processes``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown, short_commit
from benchmarks.settle import settle
from lrdgraph.storage import read_json

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS = ROOT / "docs" / "scaling.md", ROOT / "benchmarks" / "results"
MARKER = re.compile(r"(<!-- scaling: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
WAITING = "Not run yet."
STAGES = {
    "synthesize": "write made-up tables",
    "corpus": "build the corpus",
    "words": "encode texts (TF-IDF, SVD)",
    "pairs": "candidate pairs",
    "enrich": "enrich the graph",
    "train": "train an epoch",
    "evaluate": "evaluate 10,000 people",
    "export": "export triples",
}
RATES = {"transitions": "training, transitions/s", "targets": "ranking, targets/s", "texts": "texts/s"}


def growth(result: dict[str, Any]) -> str:
    """Processor seconds of each stage by size, exponents of time and memory, and memory at the largest size."""
    records, exponents = result["records"], result["exponents"]
    sizes = sorted({int(size) for stage in STAGES for size in records.get(stage, {})})
    lines = []
    for stage, words in STAGES.items():
        held = {int(size): row for size, row in records.get(stage, {}).items() if "cpu_seconds" in row}
        if not held:
            continue
        cells = [f"{held[size]['cpu_seconds']:.3g}" if size in held else "–" for size in sizes]
        fit = exponents.get(stage, {})
        cells += [f"{fit[name]['exponent']:.2f}" if name in fit else "–" for name in ("cpu_seconds", "memory_gb")]
        lines.append([words, *cells, f"{held[max(held)]['peak_memory_gb']:.1f}"])
    head = ["processor seconds at … items", *(f"{size:,}" for size in sizes)]
    table = markdown([*head, "exponent of time", "of memory", "peak GB"], lines)
    machine = result["machine"]
    told = f"{machine['processors']} processors, {machine['threads']} thread, commit {short_commit(result['commit'])}."
    encoder = exponents.get("minilm", {}).get("seconds_per_text")
    told += f" MiniLM encodes a title in {1000 * encoder:.1f} ms." if encoder else ""
    model = records.get("train", {}).get(str(max(sizes)), {}).get("model", {})
    settings = ", ".join(f"`{name}` {value}" for name, value in model.items())
    return f"{table}\n\n{told}" + (f" The flagship has {settings}." if settings else "")


def processes(result: dict[str, Any]) -> str:
    """Throughput of one process and of several, by case."""
    lines = []
    for case, held in result["cases"].items():
        one, several = (run for name, run in sorted(held.items()) if name.isdigit())
        for rate, words in RATES.items():
            if (name := f"{rate}_per_second") in one:
                ratio = held[f"{rate}_ratio"]
                lines.append([case, words, f"{one[name]:,.0f}", f"{several[name]:,.0f}", f"{ratio:.2f}"])
    table = markdown(["", "", "one process", "two", "ratio"], lines)
    worst = max(held.get("loss_difference", 0.0) for held in result["cases"].values())
    told = (
        f"Load of the machine before: {result['load_before']:.1f}. Largest relative difference of a loss: {worst:.1e}."
    )
    return f"{table}\n\n{told}"


def render(text: str, results: Path = RESULTS) -> str:
    """The text of a page with the pieces it asks for."""
    sources = {"growth": ("scale.json", growth), "processes": ("speed-distributed.json", processes)}

    def piece(found: re.Match[str]) -> str:
        file, make = sources[found[2]]
        shown = make(read_json(results / file)) if (results / file).exists() else WAITING
        return f"{found[1]}{shown}\n{found[4]}"

    return MARKER.sub(piece, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the page; with ``--check`` only say whether it is as it should be, and end with 1 if it is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    stale = settle(PAGE, render(PAGE.read_text(encoding="utf-8")), check=chosen.check)
    return int(chosen.check and stale)


if __name__ == "__main__":
    sys.exit(main())
