"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from data_loaders import load
from tests.documents import ROOT, play, script

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def parse(words: list[str]) -> None:
    """Read a command line as ``lrdgraph`` would, without doing what it says."""
    import typer

    from lrdgraph.cli.app import app

    group = typer.main.get_command(app)
    for command in group.commands.values():  # type: ignore[attr-defined]
        command.callback = lambda **_: None
    group.main(list(words), standalone_mode=False)


def test_python_blocks_run(tmp_path: Path) -> None:
    told = play(README, tmp_path, commands=False)  # which are about data that are not here
    assert "Evaluation(60 targets: full/HR@5" in told
    assert "latent_0: " in told
    assert "of the posterior" in told
    assert "Run('experiment' in runs/mine: MeanOfHistory(40 items" in told
    assert (tmp_path / "relations.tsv").read_text().startswith("# run: runs/ml\n")


def test_all_python_is_run() -> None:
    held = script(TEXT)
    assert len(blocks("python")) == 3
    for block in blocks("python"):
        for line in block.splitlines():
            assert "epochs" in line or line in held.splitlines()


@pytest.mark.parametrize("words", [c for c in commands() if c[:1] == ["lrdgraph"]], ids=" ".join)
def test_commands_parse(words: list[str]) -> None:
    parse(words[1:])
    for word in words:
        assert not word.endswith(".toml") or (ROOT / word).is_file(), f"{word} is not there"


@pytest.mark.parametrize("line", ["train x.toml", "trian x.toml --out y", "export runs/x --to y --topk 3"])
def test_the_parser_refuses(line: str) -> None:
    with pytest.raises(Exception, match="(?i)missing param|no such"):
        parse(line.split())


def test_commands_are_of_make_or_lrdgraph() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for words in filter(None, commands()):
        assert words[0] in ("make", "lrdgraph")
        assert words[0] == "lrdgraph" or words[1] in targets
    for target, variable in re.findall(r"`make (\w+) (\w+)=", TEXT):
        assert target in targets
        assert f"$({variable})" in (ROOT / "Makefile").read_text().replace("$(if $(", "$(")


def test_items_of_commands_are_in_the_data_that_they_are_about(office: Path) -> None:
    items = load(office).items
    named = [items.index(word.split(",")) for words in commands() for word in words if word.startswith("B0")]
    assert len(named) == 1
