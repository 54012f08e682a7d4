"""Lines, tables and bars, on a terminal and in a pipe."""

from __future__ import annotations

import io
import sys

import pytest

from lrdgraph.cli.console import Bar, show_table
from lrdgraph.cli.train import epoch_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("texts", lines=True) as bar:
        for done in range(1, 101):
            bar(done, 100)
    assert capsys.readouterr().out.splitlines() == [f"texts: {n} of 100" for n in range(10, 101, 10)]
    with Bar("steps") as bar:
        bar(1, 1)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    with Bar("first") as first, Bar("second") as second:
        first(2, 2)  # a finished bar makes room for the next
        second(1, 2)
        print("a line")
        assert sys.stdout is not screen
    assert sys.stdout is screen
    text = screen.getvalue()
    assert "first" in text
    assert "1/2" in text
    assert "a line\n" in text


def test_a_bar_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    def work() -> None:
        with Bar("steps") as bar:
            bar(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert sys.stdout is screen
    assert screen.getvalue().endswith("\x1b[2K")  # the last line is wiped


def test_a_table_shows_titles_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("facts", ["name", "n", "share"], [("[bold] :smile: Alien³", 1234, 0.5), ("x", None, 1.0)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["facts"]
    assert lines[3:] == [["[bold]", ":smile:", "Alien³", "1,234", "0.5000"], ["x", "–", "1.0000"]]


def test_an_epoch_is_one_line() -> None:
    loss = {"total": 4.0, "recommendation": 3.5, "discovery/total": 5.0, "discovery/kl": 0.1}
    entry = {"epoch": 3, "loss": loss, "seconds": 1.0, "evaluation_seconds": 0.5, "validation": {"full/HR@5": 0.25}}
    line = epoch_line(entry, 10, "full/HR@5")
    assert line == "epoch  3/10  loss 4.0000 (recommendation 3.5000, discovery 5.0000)  full/HR@5 0.2500  1.5 s"
    plain = {"epoch": 3, "loss": {"total": 4.0, "recommendation": 4.0}, "seconds": 1.0}
    assert epoch_line(plain, 3, "full/HR@5") == "epoch 3/3  loss 4.0000  1.0 s"
