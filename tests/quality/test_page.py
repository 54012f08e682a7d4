"""The page on relations runs, and its figures are those of the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.relations_page import WAITING, main, render
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.reliability import reliability
from lrdgraph.storage import write_json
from tests.documents import ROOT, play

PAGE = ROOT / "docs" / "relations.md"
RESULTS = ROOT / "benchmarks" / "results"


def test_the_page_runs(tmp_path: Path) -> None:
    told = play(PAGE, tmp_path, commands=False)  # which are about a run that is not here
    for word in ("log-posterior   MRR", "random          MRR", "own texts (", "shuffled ("):
        assert word in told
    assert (tmp_path / "calibration.json").is_file()


def test_figures_are_those_of_the_results() -> None:
    text, plots = render(PAGE, RESULTS)
    assert text == PAGE.read_text(encoding="utf-8"), "run python benchmarks/relations_page.py"
    assert all(plot.is_drawn for plot in plots)


def record(mrr: float, method: str = "cosine", relation: str = "complement") -> dict[str, Any]:
    metrics = dict.fromkeys(("Hits@1", "Hits@3", "Hits@10", "tail/MRR", "head/MRR"), 0.5) | {"MRR": mrr}
    origin = {"commit": "abc", "versions": {"python": "3", "torch": "2"}}
    return {"metrics": {relation: {method: metrics}}, "settings": {"epochs": 3}} | origin


@pytest.fixture
def results(tmp_path: Path) -> Path:
    usage = {"perplexity": 2.0}
    own = {"adjusted_rand": 0.75, "matched_mass": 0.8, "perplexity": 2.0, "information": 0.5, "states": 3}
    own |= {"each": {"usage": [usage, usage]}}
    records = {
        "complement/text/0": record(0.1),
        "complement/text/1": record(0.3),
        "complement/discovery/0": record(0.5, "posterior"),
        "stability/discovery/all": record(0)
        | {"metrics": {"pairs": 1234, "own texts": own, "shuffled texts": own | {"adjusted_rand": 0.0}}},
    }
    corpus = {"name": "office", "fingerprint": "f" * 64}
    write_json(tmp_path / "relations-office.json", {"corpus": corpus, "records": records})
    curve = reliability([0.2, 0.8], [0, 1]).to_json()  # type: ignore[arg-type]
    write_json(
        tmp_path / "relations-office-quality.json",
        {
            "alignment": [
                {"latent": "latent_0", "relation": "r", "nmi": 0.1, "precision": {"100": 0.5}, "base": 0.25},
            ],
            "new": [
                {"latent": "latent_0", "pairs": 9, "rate": 0.5, "control": 0.0, "candidates": 0.1, "lift": None},
            ],
            "unseen": [],
            "calibration": {"latent_0": {"relation": "r", "negatives": 9.5, "before": curve, "after": curve}},
        },
    )
    return tmp_path


def test_pieces_by_hand(results: Path, tmp_path: Path) -> None:
    names = ("complement", "pairs", "stability", "provenance", "alignment", "novelty", "calibration")
    page = tmp_path / "page.md"
    page.write_text("# Page\n" + "".join(f"<!-- relations: {name} -->\nold\n<!-- end -->\n" for name in names))
    text, plots = render(page, results)
    assert "old" not in text
    lines = text.splitlines()
    assert "| posterior | 1 | 0.5000 | 0.5000 | 0.5000 | 0.5000 | 0.5000 | 0.5000 |" in lines
    cosine = next(line for line in lines if line.startswith("| cosine"))
    assert cosine.startswith("| cosine | 2 | 0.2000 ± 0.1414 |")
    assert lines.index(cosine) > lines.index(next(line for line in lines if line.startswith("| posterior")))
    assert WAITING in text, "no pairs were run"
    assert "| own texts | 0.750 | 0.800 | 2.000 | 0.500 |" in lines
    assert "1,234 held-out pairs, 2 seeds, 3 states" in text
    assert "- 4 records" in text
    assert "| latent_0, r | 0.1000 | 0.500 | 0.250 |" in lines
    assert "| latent_0, not in the graph | 9 | 0.5000 | 0.0000 | 0.1000 | – |" in lines
    assert "| latent_0 as r | 9.5 | 0.2000 | 0.2000 | 0.0400 | 0.0400 | 0.2500 |" in lines
    assert not plots[0].is_drawn
    words = ["--page", str(page), "--results", str(results)]
    assert main([*words, "--check"]) == 1
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    assert plots[0].is_drawn


def test_what_a_page_may_not_ask_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text, says in (("alignmnt -->\n<!-- end -->", "did you mean 'alignment'"), ("pairs -->\n", "malformed")):
        page.write_text(f"# Page\n<!-- relations: {text}")
        with pytest.raises(ConfigError, match=says):
            render(page, tmp_path)
