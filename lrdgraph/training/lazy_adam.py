"""Adam for tables of which a step touches a few rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LazyAdam(torch.optim.Adam):
    """Adam or AdamW as torch has them, and a row at a time where a gradient is sparse.

    A parameter with a dense gradient is stepped as torch does, to the bit. Of one with a sparse gradient only the rows
    in it are read or written: their moments, their weight decay and their values. Dense Adam would go on moving every
    other row by its fading momentum, and would let its second moment fade; here both stand still until the row is
    touched again, as in ``torch.optim.SparseAdam``. The bias correction counts the steps of the parameter.

    The state has the names and shapes of torch's own, so a checkpoint holds the one like the other.

    Args:
        parameters: as for torch's; groups may set ``weight_decay``.
        decoupled: whether weight decay acts on the values (AdamW) or is part of the gradient (Adam).
        more: of ``torch.optim.Adam``.
    """

    def __init__(self, parameters: Iterable[Any], *, decoupled: bool = True, **more: Any) -> None:
        super().__init__(parameters, decoupled_weight_decay=decoupled, **more)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; a closure is not supported."""
        if closure is not None:
            raise TypeError("LazyAdam takes no closure.")
        aside: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    gradient = parameter.grad.coalesce()
                    aside.append((parameter, gradient))
                    self._step_rows(group, parameter, gradient.indices()[0], gradient.values())
                    parameter.grad = None
        super().step()
        for parameter, gradient in aside:
            parameter.grad = gradient
        return None

    def _step_rows(self, group: dict[str, Any], parameter: Tensor, rows: Tensor, gradient: Tensor) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        step, (first, second) = float(state["step"]), group["betas"]
        value = parameter.index_select(0, rows)
        if group["weight_decay"]:
            if group["decoupled_weight_decay"]:
                value *= 1 - group["lr"] * group["weight_decay"]
            else:
                gradient = gradient + group["weight_decay"] * value
        mean = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - first)
        square = state["exp_avg_sq"].index_select(0, rows).mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["exp_avg"].index_copy_(0, rows, mean)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        scale = square.sqrt_().div_((1 - second**step) ** 0.5).add_(group["eps"])
        parameter.index_copy_(0, rows, value.addcdiv_(mean, scale, value=-group["lr"] / (1 - first**step)))


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Scale all gradients so that their common norm is at most ``limit``; sparse ones are measured by their rows."""
    values = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
    if values:
        share = limit / (torch.nn.utils.get_total_norm(values) + 1e-6)
        torch._foreach_mul_(values, share.clamp(max=1.0))
