"""Recent popularity without a table is recent popularity."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.models import sparse_trend
from lrdgraph.models.sparse_trend import SparseRecentPopularity, recent_popularity
from lrdgraph.models.trend import RecentPopularity
from lrdgraph.nn.time import DAY


def events(number: int = 400, items: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Items 11 and 12 have none; some have many in one step and then none for years."""
    chance = torch.Generator().manual_seed(0)
    item = torch.randint(1, items - 1, (number,), generator=chance)
    time = torch.randint(0, 900 * DAY, (number,), generator=chance).sort().values + 10_000 * DAY
    time[item == 3] = 10_001 * DAY
    return item, time


@pytest.mark.parametrize("step_days", [1.0, 7.0])
def test_it_is_the_table_in_every_form(step_days: float) -> None:
    item, time = events()
    table = RecentPopularity(item, time, 12, step_days=step_days)
    sparse = SparseRecentPopularity(item, time, 12, step_days=step_days)
    with torch.no_grad():
        sparse.weight.copy_(torch.tensor([0.3, -0.2, 0.7]))
        table.weight.copy_(sparse.weight)
    moment = torch.tensor([0, 10_000, 10_001, 10_008, 10_500, 10_500, 10_899, 20_000]) * DAY
    shared, own = torch.tensor([4, 1, 1, 12, 3]), torch.randint(0, 13, (8, 5))
    expected = table(moment)
    close = {"rtol": 2e-3, "atol": 2e-3}  # the table is in half precision
    torch.testing.assert_close(sparse(moment)[:, 1:], expected[:, 1:], **close)
    for model in (sparse, table):
        torch.testing.assert_close(model.at(moment, shared), expected[:, shared], **close)
        torch.testing.assert_close(model.at(moment, own), expected.gather(1, own), **close)
    sparse(moment).square().sum().backward()
    assert sparse.weight.grad.abs().min() > 0


def test_no_events_are_no_popularity() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert (SparseRecentPopularity(none, none, 4)(torch.tensor([5])) == 0).all()


def test_a_large_table_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    item, time = events()
    assert isinstance(recent_popularity(item, time, 12), RecentPopularity)
    monkeypatch.setattr(sparse_trend, "LARGEST_TABLE", 4000)
    large = recent_popularity(item, time, 12)
    assert isinstance(large, SparseRecentPopularity)
    assert large.state_dict().keys() == RecentPopularity(item, time, 12).state_dict().keys()
