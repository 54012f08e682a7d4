"""Recent popularity against a count of the events before each request's step, one by one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lrdgraph.models.trend import RecentPopularity
from lrdgraph.nn.time import DAY

WEEK = 7 * DAY


def looped(item: Tensor, time: Tensor, moment: int, num_items: int, half_lives: tuple[float, ...]) -> list[list[float]]:
    """``log(1 + n_s(c, t))`` ``(N + 1, S)`` of events strictly before the step of the moment."""
    first, last = int(time.min()), int(time.max())
    step = (moment - first) // WEEK
    step = min(max(step, 0), (last - first) // WEEK + 1)
    begins = first + step * WEEK
    counts = [[0.0] * len(half_lives) for _ in range(num_items + 1)]
    for i, t in zip(item.tolist(), time.tolist(), strict=True):
        if t < begins:
            for s, half_life in enumerate(half_lives):
                counts[i][s] += 0.5 ** ((begins - t) / DAY / half_life)
    return [[math.log1p(n) for n in row] for row in counts]


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_a_count_of_earlier_events(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    item = torch.randint(1, 6, (60,), generator=g)
    time = torch.randint(10**8, 10**8 + 200 * DAY, (60,), generator=g)
    half_lives = (10.0, 100.0)
    trend = RecentPopularity(item, time, 5, half_lives)
    trend.weight.data = torch.tensor([0.7, -0.3])
    moment = torch.cat([time, torch.randint(10**8 - 50 * DAY, 10**8 + 300 * DAY, (40,), generator=g)])
    expected = [torch.tensor(looped(item, time, int(t), 5, half_lives)) @ trend.weight.detach() for t in moment]
    torch.testing.assert_close(trend(moment).detach(), torch.stack(expected), rtol=0, atol=2e-3)


def test_one_event_by_hand() -> None:
    trend = RecentPopularity(torch.tensor([2, 1]), torch.tensor([1000, 1000 + 3 * WEEK]), 2, (7.0,))
    trend.weight.data = torch.tensor([1.0])
    found = trend(torch.tensor([1000, 1000 + WEEK, 1000 + 2 * WEEK + 5]))
    expected = [[0, 0, 0], [0, 0, math.log(1.5)], [0, 0, math.log(1.25)]]
    torch.testing.assert_close(found.detach(), torch.tensor(expected), rtol=0, atol=1e-3)


def test_an_event_never_counts_for_itself_nor_for_an_earlier_request() -> None:
    g = torch.Generator().manual_seed(0)
    item, time = torch.randint(1, 6, (50,), generator=g), torch.randint(0, 100 * DAY, (50,), generator=g)
    time[0] = 0  # keeps the first step where it is
    whole = RecentPopularity(item, time, 5)
    for held in range(1, 50):
        earlier = time[time <= time[held]]
        left = torch.arange(50) != held
        without = RecentPopularity(item[left], time[left], 5)
        assert torch.equal(whole(earlier), without(earlier))


def test_an_event_counts_from_the_next_step_on() -> None:
    item, time = torch.tensor([1, 2, 1]), torch.tensor([0, 3 * DAY, 30 * DAY])
    trend = RecentPopularity(item, time, 2)
    assert (trend(torch.tensor([6 * DAY, 7 * DAY]))[:, 2] > 0).tolist() == [False, True]


def test_moments_outside_the_range_read_the_first_or_the_last_step() -> None:
    item, time = torch.tensor([1, 1, 2]), torch.tensor([10**9, 10**9 + DAY, 10**9 + 20 * DAY])
    trend = RecentPopularity(item, time, 2)
    early, first, last, late = trend(torch.tensor([0, 10**9, 10**9 + 27 * DAY, 2 * 10**9]))
    assert torch.equal(early, first)
    assert not early.any()
    assert torch.equal(last, late)
    assert (late[1:] > 0).all()


def test_no_events_give_no_trend() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert not RecentPopularity(none, none, 3)(torch.tensor([0, 10**9])).any()


def test_the_weights_learn() -> None:
    trend = RecentPopularity(torch.tensor([1, 2]), torch.tensor([0, WEEK]), 2)
    trend(torch.tensor([3 * WEEK])).sum().backward()
    assert trend.weight.grad is not None
    assert (trend.weight.grad > 0).all()
