"""One function over the blocks of a batch, several blocks at a time, forwards and backwards.

The steps of a compiled block are too short to be divided among threads: with two it takes as long as with one. Whole
blocks are not, and a block that is called through C++ lets go of the interpreter, so that threads of Python suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lrdgraph.nn.subnormal import are_flushed

T = TypeVar("T")
U = TypeVar("U")


def over_blocks(
    function: Callable[[Tensor], Tensor],
    blocks: Sequence[Tensor],
    weights: Sequence[Tensor],
    threads: int,
    *,
    in_turn: bool = False,
) -> Tensor:
    """``cat([function(block) for block in blocks])`` on the CPU, with its gradients, which can be taken once.

    Gradients of weights are summed in the order of the blocks, whichever thread comes first.

    Args:
        function: of one block.
        blocks: ``(n, *)`` each, ``n`` may differ.
        weights: all tensors with a gradient that ``function`` reads beside the block.
        threads: at most; with 1 all happens on the caller's.
        in_turn: one block after another, on one of these threads: where ``function`` draws random numbers, whose order
            would depend on the threads else, or is compiled on this occasion.
    """
    if threads <= 1:
        return torch.cat([function(block) for block in blocks])
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*blocks, *weights)):
        found: Tensor = _OverBlocks.apply(function, threads, in_turn, len(blocks), *blocks, *weights)
        return found
    return torch.cat(_on_threads(function, blocks, threads, in_turn))


class _OverBlocks(torch.autograd.Function):
    """Every block has a tape of its own, which the thread that goes back over it need not have made."""

    @staticmethod
    def forward(
        ctx: Any, function: Callable[[Tensor], Tensor], threads: int, in_turn: bool, number: int, *tensors: Tensor
    ) -> Tensor:
        def taped(block: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                leaf = block.detach().requires_grad_()
                return leaf, function(leaf)

        ctx.made, ctx.weights = _on_threads(taped, tensors[:number], threads, in_turn), tensors[number:]
        ctx.threads, ctx.in_turn = threads, in_turn
        return torch.cat([out.detach() for _, out in ctx.made])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        above = gradient.split([len(out) for _, out in ctx.made])

        def back(made: tuple[tuple[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
            (leaf, out), up = made
            return torch.autograd.grad(out, (leaf, *ctx.weights), up)

        found = _on_threads(back, list(zip(ctx.made, above, strict=True)), ctx.threads, ctx.in_turn)
        of_blocks, *of_weights = zip(*found, strict=True)
        return None, None, None, None, *of_blocks, *(torch.stack(each).sum(0) for each in of_weights)


def _on_threads(work: Callable[[T], U], items: Sequence[T], threads: int, in_turn: bool) -> list[U]:
    """``work`` of every item, with the modes of the caller's thread, which others do not have of themselves."""
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    rounds, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    flushes = are_flushed()

    def there(item: T) -> U:
        torch.set_flush_denormal(flushes)
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode(inference))
            modes.enter_context(torch.set_grad_enabled(grad))
            modes.enter_context(torch.autocast("cpu", dtype, enabled=rounds))
            return work(item)

    pool = _pool(threads)
    if in_turn:
        return pool.submit(lambda: [there(item) for item in items]).result()
    return list(pool.map(there, items))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that do not divide their work any further."""
    whole, all_here = torch.get_num_threads(), Barrier(threads)

    def begin() -> None:
        torch.get_num_threads()  # when a thread first asks it takes over the setting of the process, and not before
        torch.set_num_threads(1)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="lrdgraph", initializer=begin)
    list(pool.map(lambda _: all_here.wait(), range(threads)))
    torch.set_num_threads(whole)
    return pool
