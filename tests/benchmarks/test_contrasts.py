"""Pairs of rows from several tables: worked by hand, and refused where they cannot be compared."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.contrasts import contrasts_table
from benchmarks.plan import read_table
from benchmarks.render import main
from benchmarks.summary import Summary
from lrdgraph.errors import ConfigError, DataError
from tests.benchmarks.test_render import cells
from tests.benchmarks.worlds import made_up, write_benchmarks, write_made_up

HALF = 1 / math.log2(4)  # NDCG of rank 3
FILE = """
metrics = ["full/NDCG@10"]

[[pair]]
label = "all"
table = "shop"
model = "shop-sasrec"
baseline = "shop-popularity"

[[pair]]
label = "tied"
table = "shop"
model = "shop-sasrec"
baseline = "shop-popularity"
group = "tied"
"""
OTHER = FILE.partition('[[pair]]\nlabel = "tied"')[0]


def summary(table: Path, name: str) -> Summary:
    return Summary(read_table(table.parent / f"{name}.toml"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = write_benchmarks(tmp_path)
    made_up(path)
    return path


def shown(table: Path, text: str) -> str:
    file = table.parent / "pairs.toml"
    file.write_text(text)
    return contrasts_table(file, partial(summary, table))


def test_pairs_by_hand(table: Path) -> None:
    text = shown(table, FILE)
    head, _, everyone, tied = cells(text)
    assert head == ["condition", "seeds", *(f"full/NDCG@10{of}" for of in (" without", " with", ", gain"))]
    # ranks 1, 3, 11, 11 and 1, 1, 11, 11 without, 1, 1, 3, 1 and 1, 1, 3, 11 with; only ranks up to 10 count
    without, better = np.array([1, (1 + HALF) / 2, 0, 0]), np.array([1, 1, HALF, 0.5])
    p = stats.ttest_rel(better, without).pvalue
    gain = f"{100 * (better.mean() / without.mean() - 1):+.1f} %, p = {p:.3f}"
    assert everyone == ["all", "2", f"{without.mean():.4f}", f"{better.mean():.4f}", gain]
    assert tied == ["tied", "2", "0.0000", f"{better[2:].mean():.4f}", "–"]
    assert "over 1 comparisons" in text


def test_p_is_corrected_over_all_pairs(table: Path) -> None:
    once = cells(shown(table, FILE))[2][-1]
    twice = cells(shown(table, FILE.replace('group = "tied"', 'role = "test"')))[2][-1]
    p, corrected = (float(text.partition("p = ")[2]) for text in (once, twice))
    assert corrected == pytest.approx(min(1, 2 * p), abs=2e-3)


def test_what_has_not_been_run_is_named(table: Path) -> None:
    text = shown(table, FILE.replace('role = "test"', "").replace('group = "tied"', 'role = "test@last-event"'))
    assert [row[0] for row in cells(text)[2:]] == ["all"]
    assert text.endswith("Not run yet: tied.")


def test_a_pair_of_different_targets_is_refused(table: Path) -> None:
    held = read_table(table)
    write_made_up(held, held.row[1], 1, [1, 1, 3, 11], targets={"test": "b" * 64})
    with pytest.raises(DataError, match="shop-sasrec and shop-popularity rank different targets"):
        shown(table, OTHER)


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ('model = "shop-sasrec"', 'model = "shop-sasrek"', r"no row 'shop-sasrek' \(did you mean 'shop-sasrec'\?\)"),
        ('table = "shop"', 'table = "shops"', "shops.toml"),
        ("baseline", "basline", "basline"),
    ],
)
def test_a_pair_that_is_in_no_table_is_refused(table: Path, was: str, now: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shown(table, OTHER.replace(was, now))


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ('group = "tide"', r"'tide' is no group of targets \(did you mean 'tied'\?\); known are .*tied"),
        ('role = "tset"', "role"),
    ],
)
def test_a_group_or_role_that_no_result_has_is_refused(table: Path, now: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shown(table, FILE.replace('group = "tied"', now))


def test_a_label_stands_for_one_pair(table: Path) -> None:
    with pytest.raises(ConfigError, match="two pairs are labelled 'all'; give each a label of its own"):
        shown(table, FILE.replace('label = "tied"', 'label = "all"'))


def test_a_page_asks_for_contrasts(table: Path, tmp_path: Path) -> None:
    pages, folder = tmp_path / "docs", tmp_path / "contrasts"
    pages.mkdir()
    folder.mkdir()
    (folder / "pairs.toml").write_text(FILE)
    page = pages / "page.md"
    page.write_text("<!-- benchmark: pairs contrasts -->\n<!-- end -->\n")
    assert main(["--docs", str(pages), "--tables", str(table.parent)]) == 0
    assert "| all | 2 |" in page.read_text()
