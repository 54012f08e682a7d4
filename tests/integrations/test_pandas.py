from __future__ import annotations

import sys

import polars as pl
import pytest

from data_loaders import load

pd = pytest.importorskip("pandas")


@pytest.mark.parametrize("arrow", [True, False], ids=["pyarrow", "no pyarrow"])
def test_pandas_frames(arrow: bool, monkeypatch: pytest.MonkeyPatch):
    if arrow:
        pytest.importorskip("pyarrow")
    else:

        def missing(_: object) -> pl.DataFrame:
            raise ModuleNotFoundError("pyarrow is required")

        monkeypatch.setattr("polars.from_pandas", missing)
    when = pd.to_datetime(["2024-01-01T00:00:01Z", "2024-01-02", "2024-01-03"], utc=True, format="ISO8601")
    frame = pd.DataFrame({"user": [7, 8, 7], "item": ["pen", "ink", "ink"], "time": when}, index=[5, 5, 5])
    items = pd.DataFrame({"item": ["ink", "pen"], "title": ["Ink", None], "price": [1.5, float("nan")]})
    corpus = load(frame, items=items)
    assert corpus.users.series.to_list() == ["7", "8"]
    assert corpus.items.ids(corpus.item) == ["pen", "ink", "ink"]
    assert corpus.time.tolist() == [1704067201, 1704153600, 1704240000]
    assert corpus.fields.to_dict(as_series=False) == {"title": ["Ink", ""], "price": ["1.5", ""]}
    assert "pandas" in sys.modules
