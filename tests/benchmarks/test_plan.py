"""A table file, and what is wrong with it, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plan import read_table, select
from lrdgraph.errors import ConfigError
from tests.benchmarks.worlds import SHOP, write_benchmarks
from tests.conftest import ROOT


def test_settings_of_a_row_are_file_then_table_then_row(tmp_path: Path) -> None:
    text = SHOP.replace("seeds = [0, 1]", 'seeds = [3, 4]\nset = ["data.split=temporal", "training.epochs=9"]')
    table = read_table(write_benchmarks(tmp_path, text))
    whole, short = (table.experiment(row, data="there", seed=7) for row in table.row[1:])
    assert (whole.training.epochs, short.training.epochs) == (9, 1)
    assert {s.data.split for s in (whole, short)} == {"temporal"}
    assert {(s.data.source, s.training.seed, s.training.batch_size) for s in (whole, short)} == {("there", 7, 32)}
    assert [table.seeds_of(row) for row in table.row] == [(3,), (3, 4), (3, 4)], "popularity is not trained"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", r"no setting 'titel' \(did you mean 'title'\?\)"),
        (
            'reference = "shop-sasrec"',
            'reference = "shop-sasrek"',
            r"no row 'shop-sasrek' .*did you mean 'shop-sasrec'",
        ),
        ('name = "shop-popularity"', 'name = "shop-sasrec"', "names the row 'shop-sasrec' twice"),
        ('label = "Popularity"', 'label = "SASRec, one epoch"', "names the row 'SASRec, one epoch' twice"),
        ('label = "Popularity"', 'against = "shop"', "no row 'shop' to be tested against"),
        ("seeds = [0, 1]", "seeds = []", "needs at least one seed"),
        ("seeds = [0, 1]", 'seeds = ["a"]', "must be an integer"),
        ('label = "Popularity"', "seed = 3", "no setting 'row.0.seed'"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_table(write_benchmarks(tmp_path, SHOP.replace(old, new, 1)))


def test_only_known_rows_are_selected(tmp_path: Path) -> None:
    table = read_table(write_benchmarks(tmp_path))
    assert [row.name for row in select(table.row, ["shop-sasrec"], table.path)] == ["shop-sasrec"]
    assert select(table.row, None, table.path) == table.row
    with pytest.raises(ConfigError, match=r"no row 'shop-sas' \(did you mean"):
        select(table.row, ["shop-sas"], table.path)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "tables").glob("*.toml")), ids=lambda path: path.stem)
def test_the_tables_of_the_project_can_be_run(path: Path) -> None:
    table = read_table(path)
    for row in table.row:
        assert table.experiment(row).model_name
    assert set(table.compare) <= set(table.metrics)
    assert not table.compare or table.reference
