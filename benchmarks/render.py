"""Put the figures of the results into the pages of ``docs/``, between markers; what stands around them is left alone.

    python benchmarks/render.py

A page asks for a piece of a table by name, and may ask for other targets than the table's own::

    <!-- benchmark: office metrics test@last-event -->
    <!-- end -->

Pieces of a table are ``metrics``, ``buckets``, ``bars``, ``curves``, ``search``, ``usage`` and ``provenance``;
``contrasts`` is of a file in ``benchmarks/contrasts/``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from benchmarks.contrasts import contrasts_table
from benchmarks.markdown import buckets_table, left_out, metrics_table, provenance_list, search_table, usage_table
from benchmarks.plan import read_table
from benchmarks.plots import Plot, bars, curves, draw
from benchmarks.summary import Summary
from lrdgraph.errors import ConfigError, LrdgraphError, nearest
from lrdgraph.storage import atomic_file

ROOT = Path(__file__).resolve().parents[1]
MARKER = re.compile(r"(<!-- benchmark: ([\w.-]+) (\w+)(?: (\S+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
WORDS: dict[str, Callable[[Summary, str], str]] = {
    "metrics": metrics_table,
    "buckets": buckets_table,
    "search": search_table,
    "usage": usage_table,
    "provenance": provenance_list,
}
PLOTS: dict[str, Callable[[Summary, str, Path], Plot | None]] = {"bars": bars, "curves": curves}


class Renderer:
    """Fills pages from the tables of a folder; each table and its records are read once.

    Attributes:
        plots: that the pages filled so far show.
    """

    def __init__(self, tables: Path) -> None:
        self.plots: list[Plot] = []
        self._contrasts = tables.parent / "contrasts"
        self._summary = cache(lambda name: Summary(read_table(tables / f"{name}.toml")))

    def page(self, path: Path, text: str) -> str:
        """The text of a page with the pieces it asks for.

        Raises:
            ConfigError: it asks for a table or a piece that there is not, or a marker has no end.
        """
        filled = MARKER.sub(lambda found: f"{found[1]}{self._piece(path, *found.group(2, 3, 4))}\n{found[6]}", text)
        if text.count("<!-- benchmark:") != len(MARKER.findall(text)):
            raise ConfigError(f"{path} has a benchmark marker that is malformed or has no '<!-- end -->'; correct it.")
        return filled

    def _piece(self, page: Path, name: str, kind: str, role: str | None) -> str:
        if kind == "contrasts":
            return contrasts_table(self._contrasts / f"{name}.toml", self._summary)
        if kind not in WORDS and kind not in PLOTS:
            known = [*WORDS, *PLOTS, "contrasts"]
            raise ConfigError(f"{page} asks for '{kind}'{nearest(kind, known)}; pieces are {', '.join(known)}.")
        summary = self._summary(name)
        own = summary.table.role
        role = role or own
        if kind in WORDS:
            return WORDS[kind](summary, role)
        image = page.parent / "plots" / f"{name}-{kind}{'' if role == own else f'-{role}'}.svg"
        plot = PLOTS[kind](summary, role, image)
        if plot is None:
            return "\n\n".join(left_out(summary))
        self.plots.append(plot)
        return f"![{plot.title}]({os.path.relpath(image, page.parent)})\n\n{plot.caption}"


def render(docs: Path, tables: Path) -> tuple[dict[Path, tuple[str, str]], list[Plot]]:
    """Every page of a folder as it is and as it should be, and the plots they show.

    Raises:
        LrdgraphError: a page, a table or a record is wrong.
    """
    renderer = Renderer(tables)
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(docs.rglob("*.md"))}
    return {path: (text, renderer.page(path, text)) for path, text in texts.items()}, renderer.plots


def main(arguments: Sequence[str] | None = None) -> int:
    """Render all pages; with ``--check`` only say which are not as they should be, and end with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--tables", type=Path, default=ROOT / "benchmarks" / "tables")
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    try:
        pages, plots = render(chosen.docs, chosen.tables)
        changed = [path for path, (was, now) in pages.items() if was != now]
        stale = [plot for plot in plots if not plot.is_drawn]
        for path in [*changed, *(plot.path for plot in stale)]:
            print(f"{path} {'is not what the results say' if chosen.check else 'written'}")
        if not chosen.check:
            for path in changed:
                with atomic_file(path) as temporary:
                    temporary.write_text(pages[path][1], encoding="utf-8")
            for plot in stale:
                draw(plot)
    except LrdgraphError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if chosen.check and (changed or stale) else 0


if __name__ == "__main__":
    sys.exit(main())
