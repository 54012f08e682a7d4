from __future__ import annotations

import torch

from lrdgraph.models.negatives import UnseenItems, contains


def test_what_was_had_is_never_drawn_and_all_else_is() -> None:
    torch.manual_seed(0)
    unseen = UnseenItems(torch.tensor([1, 1, 1, 2]), torch.tensor([1, 2, 2, 5]), 5)
    drawn = unseen(torch.tensor([1, 2, 3]), 600)
    assert drawn.shape == (3, 600)
    assert [sorted(set(row)) for row in drawn.tolist()] == [[3, 4, 5], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    shares = torch.bincount(drawn[0], minlength=6)[3:] / 600
    assert (shares - 1 / 3).abs().max() < 0.08


def test_who_has_had_everything_still_gets_an_answer() -> None:
    unseen = UnseenItems(torch.ones(3, dtype=torch.int64), torch.tensor([1, 2, 3]), 3)
    assert unseen(torch.tensor([1]), 4).shape == (1, 4)


def test_contains() -> None:
    keys = torch.tensor([2, 5, 9])
    assert contains(keys, torch.tensor([[1, 2], [9, 10]])).tolist() == [[False, True], [True, False]]
    assert contains(keys[:0], torch.tensor([3])).tolist() == [False]
