"""Write a rendered page and its plots where they are not what the results say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plots import Plot, draw
from lrdgraph.storage import atomic_file


def settle(page: Path, text: str, plots: Sequence[Plot] = (), *, check: bool = False) -> bool:
    """Whether a page was other than ``text`` or a plot was not drawn; both are mended, unless this is only a check."""
    stale = text != page.read_text(encoding="utf-8") or any(not plot.is_drawn for plot in plots)
    if stale and not check:
        with atomic_file(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        for plot in plots:
            draw(plot)
    if stale:
        print(f"{page} {'is not what the results say' if check else 'written'}")
    return stale
