from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier

import pytest
import torch
from torch import Tensor

from lrdgraph.nn.subnormal import subnormals_flushed
from lrdgraph.nn.threads import over_blocks


@pytest.fixture(autouse=True)
def many_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def blocks_and_weights() -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    blocks = [torch.randn(n, 3, dtype=torch.double, requires_grad=True) for n in (4, 4, 4, 4, 2)]
    weights = [torch.randn(*shape, dtype=torch.double, requires_grad=True) for shape in ((3, 5), (5,))]
    return blocks, weights


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_numbers_and_gradients_are_those_of_one_after_another(threads: int, in_turn: bool) -> None:
    blocks, weights = blocks_and_weights()
    expected = torch.cat([(block @ weights[0]).tanh() * weights[1] for block in blocks])
    found = over_blocks(lambda x: (x @ weights[0]).tanh() * weights[1], blocks, weights, threads, in_turn=in_turn)
    torch.testing.assert_close(found, expected)
    above = torch.randn_like(expected)
    got = torch.autograd.grad(found, [*blocks, *weights], above)
    for a, b in zip(got, torch.autograd.grad(expected, [*blocks, *weights], above), strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        off = over_blocks(lambda x: (x @ weights[0]).tanh() * weights[1], blocks, weights, threads, in_turn=in_turn)
    assert not off.requires_grad
    assert torch.equal(off, found)


def test_blocks_without_a_gradient_leave_that_of_the_weights() -> None:
    blocks, weights = blocks_and_weights()
    plain = [block.detach() for block in blocks]
    over_blocks(lambda x: x @ weights[0] * weights[1], plain, weights, 2).sum().backward()
    expected = torch.autograd.grad((torch.cat(plain) @ weights[0] * weights[1]).sum(), weights)
    for weight, gradient in zip(weights, expected, strict=True):
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, gradient)


def test_the_same_numbers_with_any_number_of_threads() -> None:
    torch.manual_seed(0)
    weight = torch.randn(16, 16, requires_grad=True)
    blocks = list(torch.randn(9 * 32, 16).split(32))

    def found(threads: int) -> Tensor:
        out = over_blocks(lambda x: (x @ weight).exp(), blocks, [weight], threads)
        return torch.autograd.grad(out.sum(), weight)[0]

    first = found(2)
    assert all(torch.equal(found(threads), first) for threads in (2, 3, 4, 2, 3, 4))


def test_a_thread_has_the_modes_of_the_caller_and_divides_its_work_no_further() -> None:
    seen = []

    def look(x: Tensor) -> Tensor:
        rounds = torch.is_autocast_enabled("cpu")
        seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), rounds, torch.get_num_threads()))
        return x * 1

    def of(*blocks: Tensor) -> set[tuple[bool, bool, bool, int]]:
        seen.clear()
        over_blocks(look, blocks, [], 2)
        return set(seen)

    learnt, fixed = torch.ones(2, requires_grad=True), torch.ones(2)
    assert of(learnt, fixed) == {(True, False, False, 1)}
    with torch.no_grad():
        assert of(learnt, fixed) == {(False, False, False, 1)}
    with torch.inference_mode():
        assert of(learnt, fixed) == {(False, True, False, 1)}
    with torch.autocast("cpu", torch.bfloat16):
        assert of(learnt, fixed) == {(True, False, True, 1)}
    assert torch.get_num_threads() == 4


def test_a_thread_counts_subnormal_numbers_as_the_caller_does() -> None:
    half = [torch.tensor([torch.finfo(torch.float32).tiny])] * 4
    plain = over_blocks(lambda x: x / 2, half, [], 2)
    with subnormals_flushed():
        assert not over_blocks(lambda x: x / 2, half, [], 2).double().any()
    assert plain.double().all()
    assert torch.equal(over_blocks(lambda x: x / 2, half, [], 2), plain)


def test_blocks_go_through_at_once_and_keep_their_order() -> None:
    meeting = Barrier(3)  # passed by three threads at once, and by no fewer

    def meet(x: Tensor) -> Tensor:
        meeting.wait(timeout=20)
        return x

    assert over_blocks(meet, [torch.tensor([i]) for i in range(6)], [], 3).tolist() == [0, 1, 2, 3, 4, 5]


def test_in_turn_is_one_after_another() -> None:
    seen: list[int] = []

    def note(x: Tensor) -> Tensor:
        seen.append(int(x))
        return x

    over_blocks(note, [torch.tensor([i]) for i in range(50)], [], 4, in_turn=True)
    assert seen == list(range(50))


def test_an_error_of_a_block_reaches_the_caller() -> None:
    def fail(x: Tensor) -> Tensor:
        raise ValueError("no such block")

    with pytest.raises(ValueError, match="no such block"):
        over_blocks(fail, [torch.ones(1)] * 3, [], 2)
