"""One function over the blocks of a batch, several blocks at a time, forwards and backwards.

The steps of a compiled block are too short to be divided among threads: with two it takes as long as with one. Whole
blocks are not, and a block that is called through C++ lets go of the interpreter, so that threads of Python suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from itertools import pairwise
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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

    Gradients of weights are summed block by block within a thread and then thread by thread, so that with as many
    threads they are the same each time.

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
    shares = _shares(blocks, 1 if in_turn else threads)
    made = _on_threads(lambda mine: [function(block) for block in mine], shares, threads)
    return torch.cat([out for share in made for out in share])


class _OverBlocks(torch.autograd.Function):
    """Every block has a tape of its own, which the thread that goes back over it need not have made."""

    @staticmethod
    def forward(
        ctx: Any, function: Callable[[Tensor], Tensor], threads: int, in_turn: bool, number: int, *tensors: Tensor
    ) -> Tensor:
        def taped(mine: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
            with torch.enable_grad():
                leaves = [block.detach().requires_grad_() for block in mine]
                return [(leaf, function(leaf)) for leaf in leaves]

        made = _on_threads(taped, _shares(tensors[:number], 1 if in_turn else threads), threads)
        ctx.made, ctx.weights, ctx.threads = made, tensors[number:], threads
        return torch.cat([out.detach() for share in made for _, out in share])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        above = iter(gradient.split([len(out) for share in ctx.made for _, out in share]))
        asked = [[(leaf, out, next(above)) for leaf, out in share] for share in ctx.made]

        def back(mine: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
            of_blocks: list[Tensor] = []
            sums: list[Tensor] = []
            for leaf, out, up in mine:
                of_block, *of_weights = torch.autograd.grad(out, (leaf, *ctx.weights), up)
                of_blocks.append(of_block)
                sums = [a.add_(b) for a, b in zip(sums, of_weights, strict=True)] if sums else of_weights
            return of_blocks, sums

        found = _on_threads(back, asked, ctx.threads)
        sums = [torch.stack(each).sum(0) for each in zip(*(sums for _, sums in found), strict=True)]
        return None, None, None, None, *(of_block for of_blocks, _ in found for of_block in of_blocks), *sums


def _shares(items: Sequence[T], threads: int) -> list[Sequence[T]]:
    """Neighbours together, as even as it goes, none empty."""
    number = min(threads, len(items))
    ends = [len(items) * share // number for share in range(number + 1)]
    return [items[start:end] for start, end in pairwise(ends)]


def _on_threads(work: Callable[[T], U], shares: Sequence[T], threads: int) -> list[U]:
    """``work`` of every share, with the modes of the caller's thread, which others do not have of themselves."""
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    rounds, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def there(share: T) -> U:
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode(inference))
            modes.enter_context(torch.set_grad_enabled(grad))
            modes.enter_context(torch.autocast("cpu", dtype, enabled=rounds))
            return work(share)

    return list(_pool(threads).map(there, shares))


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
