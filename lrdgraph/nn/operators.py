"""Operators that ``torch.compile`` takes as they are: their loops over blocks would else be unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("lrdgraph", "FRAGMENT")

Forward = Callable[[list[Tensor], list[Tensor]], Tensor]
Backward = Callable[[Tensor, list[Tensor], list[Tensor], list[bool]], list[Tensor]]


def define(name: str, forward: Forward, backward: Backward, like: Forward) -> Forward:
    """Register ``torch.ops.lrdgraph.NAME(inputs, pattern)``, once differentiable in its inputs.

    Args:
        name: of the operator.
        forward: ``(inputs, pattern) → output``; a pattern holds indices and has no gradient.
        backward: ``(gradient, inputs, pattern, needed) → gradients``, shaped like the inputs; one that is not needed
            must be empty, as :func:`room` makes it.
        like: ``(inputs, pattern)`` → a tensor of the output's shape and type, of any content.

    Returns:
        The operator.
    """
    for full, call, shape, signature in (
        (name, forward, like, "(Tensor[] inputs, Tensor[] pattern) -> Tensor"),
        (
            f"{name}_backward",
            backward,
            lambda gradient, inputs, pattern, needed: room(inputs, needed),
            "(Tensor gradient, Tensor[] inputs, Tensor[] pattern, bool[] needed) -> Tensor[]",
        ),
    ):
        _LIBRARY.define(full + signature)
        _LIBRARY.impl(full, call, "CompositeExplicitAutograd")
        torch.library.register_fake(f"lrdgraph::{full}", shape, lib=_LIBRARY)

    def keep(ctx: Any, inputs: tuple[list[Tensor], list[Tensor]], output: Tensor) -> None:
        ctx.number = len(inputs[0])
        ctx.save_for_backward(*inputs[0], *inputs[1])

    def differentiate(ctx: Any, gradient: Tensor) -> tuple[list[Tensor | None], list[None]]:
        inputs, pattern = list(ctx.saved_tensors[: ctx.number]), list(ctx.saved_tensors[ctx.number :])
        needed = list(ctx.needs_input_grad[0])
        step = getattr(torch.ops.lrdgraph, f"{name}_backward")
        found = step(gradient.contiguous(), inputs, pattern, needed)
        return [tensor if need else None for tensor, need in zip(found, needed, strict=True)], [None] * len(pattern)

    torch.library.register_autograd(f"lrdgraph::{name}", differentiate, setup_context=keep, lib=_LIBRARY)
    return getattr(torch.ops.lrdgraph, name)


def room(inputs: list[Tensor], needed: list[bool]) -> list[Tensor]:
    """Uninitialised tensors like the inputs, empty where no gradient is needed."""
    return [torch.empty_like(tensor if need else tensor[:0]) for tensor, need in zip(inputs, needed, strict=True)]
