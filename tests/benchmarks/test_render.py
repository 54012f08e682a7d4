"""Figures on pages are those of the results: worked by hand here, and checked for the project's own pages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.markdown import buckets_table, metrics_table, provenance_list, search_table, usage_table
from benchmarks.plan import read_table
from benchmarks.plots import bars, draw, stars
from benchmarks.records import record_path, usage
from benchmarks.render import main, render
from benchmarks.summary import Summary
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.significance import paired_bootstrap
from lrdgraph.storage import read_json, write_json
from tests.benchmarks.worlds import SHOP, made_up, write_benchmarks, write_made_up
from tests.conftest import ROOT

HALF = 1 / math.log2(4)  # NDCG of rank 3
PAGE = "# Page\n\nProse.\n\n<!-- benchmark: shop metrics -->\nold\n<!-- end -->\n\nMore prose.\n"
# popularity is the reference of the made-up results, so that it may have two seeds
REFERENCE = SHOP.replace('reference = "shop-sasrec"', 'reference = "shop-popularity"')


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = write_benchmarks(tmp_path, REFERENCE + '[[row]]\nname = "shop-waits"\nbase = "shop-sasrec.toml"\n')
    made_up(path)
    return path


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_the_table_by_hand(table: Path) -> None:
    text = metrics_table(Summary(read_table(table)), "test")
    head, _, reference, better, plain = cells(text)
    assert head == ["model", "seeds", "full/HR@10", "full/NDCG@10", "Δ full/NDCG@10", "parameters", "s", "GB"]
    # seed 0: ranks 1, 3, 11, 11, seed 1: 1, 1, 11, 11; only ranks up to 10 count
    means = [(1 + HALF) / 4, 2 / 4]
    assert reference[:3] == ["Popularity", "2", "0.5000 ± 0.0000"]
    assert reference[3] == f"{np.mean(means):.4f} ± {abs(means[0] - means[1]) / math.sqrt(2):.4f}"
    assert reference[4:] == ["–", "1,234", "12", "1.5"], "seconds are a mean, memory is the largest"
    # seed 0: ranks 1, 1, 3, 1, seed 1: 1, 1, 3, 11
    means = [(3 + HALF) / 4, (2 + HALF) / 4]
    assert better[:3] == ["shop-sasrec", "2", f"0.8750 ± {0.25 / math.sqrt(2):.4f}"]
    assert better[3] == f"**{np.mean(means):.4f} ± {0.25 / math.sqrt(2):.4f}**"
    # a user's values are averaged over seeds before they are paired
    delta = np.array([1, 1, HALF, 0.5]) - np.array([1, (1 + HALF) / 2, 0, 0])
    low, high, _ = paired_bootstrap(delta, samples=2_000)
    p = stats.ttest_rel(delta, np.zeros(4)).pvalue
    assert better[4] == f"{delta.mean():+.4f} ({low:+.4f} to {high:+.4f}), p = {p:.3f}"
    assert plain == ["SASRec, one epoch", "1 of 2", "**1.0000**", f"{HALF:.4f}", "–", "1,234", "11", "0.5"]
    assert "Δ is against Popularity, paired over 4 users" in text
    assert "correction over 1 comparisons" in text
    assert text.endswith("Not run yet: shop-waits.")


def test_p_is_corrected_over_the_table(table: Path) -> None:
    alone = Summary(read_table(table)).gains("test")["shop-sasrec", "full/NDCG@10"].p
    write_made_up(read_table(table), read_table(table).row[3], 0, [1, 3, 11, 11])
    both = Summary(read_table(table)).gains("test")
    assert both["shop-sasrec", "full/NDCG@10"].p == pytest.approx(2 * alone)
    assert len(both) == 2


def test_a_metric_that_a_row_was_not_ranked_by_is_not_compared(table: Path) -> None:
    table.write_text(
        table.read_text().replace('compare = ["full/NDCG@10"]', 'compare = ["full/NDCG@10", "full/NDCG@3"]')
    )
    gains = Summary(read_table(table)).gains("test")
    assert [metric for _, metric in gains] == ["full/NDCG@10"]


def test_a_row_may_have_a_reference_of_its_own(table: Path) -> None:
    write_made_up(read_table(table), read_table(table).row[3], 0, [1, 1, 1, 1])
    table.write_text(table.read_text() + 'against = "shop-sasrec"\n')
    summary = Summary(read_table(table))
    waits = summary.gains("test")["shop-waits", "full/NDCG@10"].comparison
    assert waits.difference == pytest.approx(1 - (2.5 + HALF) / 4)
    text = metrics_table(summary, "test")
    assert cells(text)[-1][4].endswith(", vs shop-sasrec")
    assert "vs" not in cells(text)[3][4]
    assert "Δ is against Popularity, or the row that it names, paired" in text


def test_rows_are_sorted_where_the_table_says_so(table: Path) -> None:
    table.write_text('sort = "full/NDCG@10"\n' + table.read_text())
    for role in ("test", "validation"):
        lines = Summary(read_table(table)).shown(role)
        assert [line.row.name for line in lines] == ["shop-sasrec", "shop-sasrec-short", "shop-popularity"]


def test_groups_of_targets_by_hand(table: Path) -> None:
    head, _, reference, better, _ = cells(buckets_table(Summary(read_table(table)), "test"))
    assert head == ["model", "tied (2)", "untied (2)"]
    assert reference[1] == "0.0000 ± 0.0000"
    means = [(1 + HALF) / 2, 1.0]
    assert reference[2] == f"{np.mean(means):.4f} ± {(means[1] - means[0]) / math.sqrt(2):.4f}"
    assert better[1] == f"{(HALF + 0.5) / 2:.4f} ± {0.5 / math.sqrt(2):.4f}"


def test_what_the_figures_rest_on(table: Path) -> None:
    text = provenance_list(Summary(read_table(table)), "test")
    assert text.splitlines() == [
        "- 5 runs: `python benchmarks/run.py benchmarks/tables/shop.toml --data PATH`",
        "- Corpus: shop ffffffffffff, leave-one-out split",
        "- Test targets: aaaaaaaaaaaa",
        "- Ranking: ties realistic, seen items left out in full ranking, request at the target time",
        "- Chosen by: validation full/NDCG@10",
        "- Machine: Linux, 2 processors, 1 threads",
        "- Versions: python 3.11.7, torch 2.13.0, numpy None, lrdgraph None",
        "- Commit: 0123456789+changes",
    ]


def test_results_of_other_settings_are_left_out(table: Path) -> None:
    path = record_path(read_table(table).results, "shop-sasrec", 1)
    record = read_json(path)
    record["settings"]["model"]["dropout"] = 0.9
    write_json(path, record)
    text = metrics_table(Summary(read_table(table)), "test")
    assert "Left out: shop-sasrec (shop-sasrec-seed1.json has [model] dropout = 0.9 where" in text
    assert [row[0] for row in cells(text)[2:]] == ["Popularity", "SASRec, one epoch"]


def test_a_row_without_its_file_is_left_out(table: Path) -> None:
    table.write_text(table.read_text() + '[[row]]\nname = "shop-gone"\n')
    text = metrics_table(Summary(read_table(table)), "test")
    assert text.endswith("Left out: shop-gone (experiments/shop-gone.toml does not exist; check the path).")


def test_other_targets_cannot_be_paired(table: Path) -> None:
    write_made_up(read_table(table), read_table(table).row[1], 1, [1, 1, 3, 11], targets={"test": "b"})
    with pytest.raises(DataError, match="shop-sasrec and shop-popularity rank different targets"):
        metrics_table(Summary(read_table(table)), "test")


def test_runs_of_one_row_on_two_corpora_are_refused(table: Path) -> None:
    other = {"name": "shop", "fingerprint": "0", "split": "given"}
    write_made_up(read_table(table), read_table(table).row[1], 1, [1, 1, 3, 11], corpus=other)
    with pytest.raises(DataError, match="runs of 'shop-sasrec' are of different corpora"):
        Summary(read_table(table))


def test_nothing_run_is_no_table(tmp_path: Path) -> None:
    summary = Summary(read_table(write_benchmarks(tmp_path)))
    said = "Not run yet: Popularity; shop-sasrec; SASRec, one epoch."
    assert [piece(summary, "test") for piece in (metrics_table, buckets_table, provenance_list)] == [said] * 3
    assert bars(summary, "test", tmp_path / "x.svg") is None


SEARCHED = """
[[row]]
name = "shop-searched"
base = "shop-sasrec.toml"
set = ["training.epochs=2"]
searched = true
label = "SASRec, searched"
"""
FOUND = {
    "metric": "full/NDCG@10",
    "budget": {"trials": 3, "minutes": 5.0, "seed": 0},
    "chosen": {"model.dropout": 0.2, "model.max_length": 6},
    "trials": [
        {"values": {"model.dropout": 0.5, "model.max_length": 6}, "validation": 0.25, "seconds": 60.0},
        {"values": {"model.dropout": 0.9, "model.max_length": 9}, "failed": "it diverged"},
        {"values": {"model.dropout": 0.2, "model.max_length": 6}, "validation": 0.375, "seconds": 90.0},
    ],
}


def test_a_searched_row_has_what_its_search_chose(tmp_path: Path) -> None:
    path = write_benchmarks(tmp_path, SHOP + SEARCHED)
    table = read_table(path)
    row = table.row[-1]
    said = search_table(Summary(table), "test")
    assert "Left out: SASRec, searched (shop-searched has the settings of a search, and search/results" in said
    assert said.endswith("is missing; run benchmarks/search.py).")
    write_json(tmp_path / "search" / "results" / "shop-sasrec.json", FOUND)
    settings = table.experiment(row)
    assert (settings.model["dropout"], settings.model["max_length"], settings.training.epochs) == (0.2, 6, 2)
    assert search_table(Summary(table), "test").splitlines() == [
        "| model | settings of the file | best trial | minutes | chosen instead |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| SASRec, searched | 0.2500 | 0.3750 | 2 | dropout 0.2 |",
        "",
        "Validation full/NDCG@10, 3 trials of at most 5 minutes with one seed.",
    ]


def test_the_use_of_relations_by_hand(table: Path) -> None:
    figures = [(1.0004, 0.00004), (2.5, 0.3), (3.0, 0.41239)]
    named = ("relations/perplexity", "relations/information")
    log = [{"diagnostics": {**dict(zip(named, both, strict=True)), "gate": 1.0}} for both in figures]
    used = usage(log)
    assert used == {"perplexity": [1.0004, 2.5, 3.0], "information": [0.0, 0.3, 0.4124]}
    assert usage([*log, {"diagnostics": {"gate": 1.0}}]) == usage([{}]) == usage([]) == {}
    held = read_table(table)
    row = held.row[1]
    write_made_up(held, row, 0, [1, 1, 3, 1], usage=used, epochs=3, best_epoch=2)
    write_made_up(held, row, 1, [1, 1, 3, 1], usage=used, epochs=3, best_epoch=3)
    assert cells(usage_table(Summary(read_table(table)), "test"))[2:] == [
        ["shop-sasrec", "0, 1", "1.000, 1.000", "1.000, 1.000", "2.500, 3.000", "0.300, 0.412"]
    ]


def test_where_no_run_kept_the_use_of_relations_the_table_is_empty(table: Path) -> None:
    assert "|" not in usage_table(Summary(read_table(table)), "test")


def test_prose_around_markers_survives_and_the_second_time_nothing_changes(table: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "below" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text(
        PAGE + "<!-- benchmark: shop bars -->\n<!-- end -->\n<!-- benchmark: shop curves -->\n<!-- end -->\nEnd.\n"
    )
    words = ["--docs", str(tmp_path / "docs"), "--tables", str(table.parent)]
    assert main([*words, "--check"]) == 1
    assert "old" in page.read_text()
    assert main(words) == 0
    text = page.read_text()
    assert text.startswith("# Page\n\nProse.\n\n<!-- benchmark: shop metrics -->\n| model |")
    assert "<!-- end -->\n\nMore prose.\n" in text
    assert text.endswith("End.\n")
    assert "old" not in text
    assert "](plots/shop-bars.svg)\n\nMean and standard deviation over seeds. Stars: different from what" in text
    assert sorted(path.name for path in (page.parent / "plots").iterdir()) == ["shop-bars.svg", "shop-curves.svg"]
    assert main([*words, "--check"]) == 0
    write_made_up(read_table(table), read_table(table).row[1], 1, [2, 2, 2, 2])
    assert main([*words, "--check"]) == 1


def test_a_plot_shows_its_data_and_is_not_drawn_twice(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot = bars(Summary(read_table(table)), "test", tmp_path / "x.svg")
    assert plot is not None
    ((metric, rows),) = plot.data
    assert metric == "full/NDCG@10"
    assert [row[0] for row in rows] == ["Popularity", "shop-sasrec", "SASRec, one epoch"]
    assert rows[1][1:3] == pytest.approx([(2.5 + HALF) / 4, 0.25 / math.sqrt(2)])
    assert not plot.is_drawn
    draw(plot)
    assert plot.is_drawn
    first = plot.path.read_bytes()
    draw(plot)
    assert plot.path.read_bytes() == first
    assert "SASRec, one epoch" in first.decode()
    write_made_up(read_table(table), read_table(table).row[1], 1, [2, 2, 2, 2])
    again = bars(Summary(read_table(table)), "test", tmp_path / "x.svg")
    assert again is not None
    assert not again.is_drawn


@pytest.mark.parametrize(("p", "expected"), [(0.05, ""), (0.049, "*"), (0.0099, "**"), (0.0009, "***"), (1.0, "")])
def test_stars(p: float, expected: str) -> None:
    assert stars(p) == expected


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- benchmark: shop metrics -->\n", "malformed or has no '<!-- end -->'"),
        ("<!-- benchmark: shop metrics>\n<!-- end -->", "malformed"),
        ("<!-- benchmark: shop metric -->\n<!-- end -->", r"asks for 'metric' \(did you mean 'metrics'\?\)"),
        ("<!-- benchmark: shops metrics -->\n<!-- end -->", r"shops\.toml does not exist"),
    ],
)
def test_a_wrong_marker_is_named(page: str, message: str, table: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(page)
    with pytest.raises(ConfigError, match=message):
        render(tmp_path / "docs", table.parent)


def test_the_pages_of_the_project_are_what_the_results_say() -> None:
    """If this fails: ``python benchmarks/render.py``."""
    pages, plots = render(ROOT / "docs", ROOT / "benchmarks" / "tables")
    assert [str(path.relative_to(ROOT)) for path, (was, now) in pages.items() if was != now] == []
    assert [str(plot.path.relative_to(ROOT)) for plot in plots if not plot.is_drawn] == []
