"""Lazy Adam beside torch's own, and gradients of a few rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lrdgraph.nn.rows import take_rows
from lrdgraph.training.lazy_adam import LazyAdam, clip_gradients


def table(seed: int = 0) -> nn.Parameter:
    torch.manual_seed(seed)
    return nn.Parameter(torch.randn(7, 3))


@pytest.mark.parametrize("decoupled", [True, False])
def test_dense_gradients_are_stepped_as_torch_does_to_the_bit(decoupled: bool) -> None:
    ours, theirs = table(), table()
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    pair = [
        (ours, LazyAdam([ours], decoupled=decoupled, lr=0.1, weight_decay=0.2)),
        (theirs, kind([theirs], lr=0.1, weight_decay=0.2)),
    ]
    for _ in range(4):
        for parameter, optimizer in pair:
            optimizer.zero_grad()
            (parameter**3).sum().backward()
            optimizer.step()
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("decoupled", [True, False])
def test_all_rows_sparse_are_all_rows_dense(decoupled: bool, fused: bool | None) -> None:
    sparse, dense, every = table(), table(), torch.arange(7)
    first = LazyAdam([sparse], decoupled=decoupled, lr=0.1, weight_decay=0.2, fused=fused)
    second = LazyAdam([dense], decoupled=decoupled, lr=0.1, weight_decay=0.2, fused=fused)
    for _ in range(5):
        first.zero_grad()
        second.zero_grad()
        (take_rows(sparse, every, sparse=True) ** 3).sum().backward()
        (dense**3).sum().backward()
        assert sparse.grad.is_sparse
        first.step()
        second.step()
        torch.testing.assert_close(sparse, dense)


def test_rows_without_a_gradient_stand_still_and_the_others_move_as_sparse_adam_moves_them() -> None:
    ours, theirs, start = table(), table(), table()
    first, second = LazyAdam([ours], lr=0.1), torch.optim.SparseAdam([theirs], lr=0.1)
    for rows in ([1, 4], [0, 4], [4, 6], [1, 6]):
        for parameter, optimizer in ((ours, first), (theirs, second)):
            optimizer.zero_grad()
            (take_rows(parameter, torch.tensor(rows), sparse=True) ** 3).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(ours[[2, 3, 5]], start[[2, 3, 5]])
    assert (ours != start)[[0, 1, 4, 6]].all()


def test_a_state_put_back_goes_on_as_if_nothing_had_been() -> None:
    whole, parts = table(), table()
    optimizers = [LazyAdam([whole], lr=0.1), LazyAdam([parts], lr=0.1)]
    for number, rows in enumerate(([1, 4], [0, 4], [4, 6])):
        if number == 2:
            again = LazyAdam([parts], lr=0.1)
            again.load_state_dict(optimizers[1].state_dict())
            optimizers[1] = again
        for parameter, optimizer in zip((whole, parts), optimizers, strict=True):
            optimizer.zero_grad()
            (take_rows(parameter, torch.tensor(rows), sparse=True) ** 3).sum().backward()
            optimizer.step()
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_measures_sparse_gradients_with_the_dense_ones(limit: float) -> None:
    norms = []
    for sparse in (True, False):
        rows, other = table(), nn.Parameter(torch.ones(4))
        ((take_rows(rows, torch.tensor([0, 3, 5]), sparse) ** 2).sum() + (other * 3).sum()).backward()
        clip_gradients([rows, other, nn.Parameter(torch.ones(2))], limit)
        norms.append(torch.cat([rows.grad.to_dense().flatten(), other.grad]))
    torch.testing.assert_close(*norms)
    assert norms[0].norm() <= limit * 1.001
    clip_gradients([nn.Parameter(torch.ones(2))], limit)


def test_one_dimension_and_a_dense_gradient() -> None:
    bias = nn.Parameter(torch.arange(5.0))
    taken = take_rows(bias, torch.tensor([1, 3]), sparse=True)
    assert taken.tolist() == [1, 3]
    (taken * torch.tensor([2.0, 5.0])).sum().backward()
    assert bias.grad.to_dense().tolist() == [0, 2, 0, 5, 0]
    bias.grad = None
    take_rows(bias, torch.tensor([1, 3])).sum().backward()
    assert not bias.grad.is_sparse
