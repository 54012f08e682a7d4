"""The pages of documentation: the guide runs, links lead somewhere, tables of files and keys are those there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.documents import ROOT, play, said, script

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
GUIDE, ARCHITECTURE = ROOT / "docs" / "guide.md", ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of someone who has done all that the guide says; what it printed stands in ``told``."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "told").write_text(play(GUIDE, folder), encoding="utf-8")
    return folder


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading '{heading}'"
    return found[2]


def first_column(text: str) -> set[str]:
    """Names in backticks in the first cells of the tables of a text."""
    cells = re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_guide_runs(followed: Path) -> None:
    told = (followed / "told").read_text()
    assert "Corpus('shop': 2 users, 4 items, 6 interactions, 2 triples of 2 relations" in told
    assert "resuming the run in runs/first after epoch 2 of 2" in told
    assert "latent_0 [predefined]" in told
    assert "new-film" not in json.loads((followed / "runs/first/inputs/graph/graph.json").read_text())["items"]


def test_the_figures_of_the_plan_follow_from_results(tmp_path: Path) -> None:
    play(ROOT / "docs" / "scaling.md", tmp_path, commands=False)


def test_keys_of_a_result(followed: Path) -> None:
    held = json.loads((followed / "runs/first/result.json").read_text())
    assert first_column(section(GUIDE, "Train and evaluate")) == set(held)
    assert set(held["metrics"]) == {"validation", "test", "test@last-event"}


def test_files_of_a_run(followed: Path) -> None:
    run = followed / "runs" / "first"
    there = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert first_column(section(ARCHITECTURE, "The folder of a run")) == there


def test_modules_of_the_layers_are_all_that_there_are() -> None:
    rows = re.findall(r"^\| *`?(\w+)`? *\| ([^|]*) \|", section(ARCHITECTURE, "Layers, bottom to top"), re.MULTILINE)
    named = {row: set(re.findall(r"`\.?([\w.]+)`", cell)) for row, cell in rows if row != "layer"}
    ground = {name.removeprefix("lrdgraph.") for row in ("ground", "corpus") for name in named[row]}
    assert ground == {path.stem for path in (ROOT / "lrdgraph").glob("*.py")} - {"__init__"}
    for layer, modules in named.items():
        if layer not in ("ground", "corpus"):
            folder = ROOT / layer if layer == "data_loaders" else ROOT / "lrdgraph" / layer
            assert modules == {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}, layer


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead, by GitHub's rule for headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page to a file or a heading that is not there."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        url = urlsplit(link)
        if not url.scheme:
            target = page.parent / url.path if url.path else page
            if not target.exists() or (url.fragment and url.fragment not in anchors(target)):
                broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_link_rule_sees(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](#a-title) [b](#b) [c](page.md) [d](gone.md) [e](https://x.y/z)\n```\n[f](g)\n```\n")
    assert broken_links(page) == ["#b", "gone.md"]


def test_a_page_becomes_a_script_line_by_line() -> None:
    page = "# Page\n```sh\nmake x\nlrdgraph a b\n```\ntext\n```toml f/x.toml\nepochs = 30\n```\n```python\nx = 1\n```\n"
    assert script(page).splitlines() == [
        *("from tests import documents", "", "", "documents.run('lrdgraph a b')", "", ""),
        *("documents.write('f/x.toml', r'''", "epochs = 2", "''')", "", "x = 1", ""),
    ]


def test_a_page_that_fails_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\nx.nothing\n```\n")
    with pytest.raises(AssertionError, match=r'page.py", line 5, in <module>'):
        play(page, tmp_path)


@pytest.mark.parametrize("shown", ["error: something", "error: No such command 'trian'"])
def test_another_sentence_than_the_one_shown_is_seen(shown: str) -> None:
    said("$ lrdgraph trian\nerror: No such command 'trian'…\n")
    with pytest.raises(AssertionError, match="'lrdgraph trian' says: error: No such command 'trian'"):
        said(f"$ lrdgraph trian\n{shown}\n")
