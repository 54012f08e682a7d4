"""What all commands print with: plain lines, tables, and a bar that only a terminal sees."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Annotated, Any

import typer

from lrdgraph import distributed

PIPE_WIDTH = 120
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Replace a setting, as training.epochs=5; may be repeated."
    ),
]


def say(line: str = "") -> None:
    """Print a line at once, above a bar where one is shown; of several processes the first alone talks."""
    if distributed.is_first():
        print(line, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, words: int = 1) -> None:
    """Print a table; floats get four digits, integers commas.

    Args:
        title: stands above it.
        columns: headings.
        rows: cells; None is shown as a dash.
        words: how many columns, from the left, hold words; the others hold numbers and are aligned right.
    """
    if not distributed.is_first():
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    wide = None if sys.stdout.isatty() else PIPE_WIDTH
    say()
    Console(markup=False, emoji=False, highlight=False, width=wide).print(table)
    say()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Bar:
    """A progress bar on a terminal; elsewhere a line for every tenth, or nothing.

    Called as ``bar(done, total)``; it appears with the first call and goes when all is done, so that it may run many
    times, and no two stand at once.

    Args:
        label: stands before the bar, and may be changed while it runs.
        lines: whether tenths are told where there is no terminal.
    """

    def __init__(self, label: str, *, lines: bool = False) -> None:
        self.label = label
        self.lines = lines
        self._tenth = 0
        self._progress: Any = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def __call__(self, done: int, total: int) -> None:
        if not distributed.is_first():
            return
        if sys.stdout.isatty() or self._progress is not None:
            self._draw(done, total)
            if done == total:
                self._stop()
        elif self.lines and 10 * done // total > self._tenth:
            self._tenth = 10 * done // total
            say(f"{self.label}: {done:,} of {total:,}")

    def _draw(self, done: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._progress is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, transient=True)
            self._progress.add_task(self.label, total=total)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], description=self.label, completed=done, total=total)

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
