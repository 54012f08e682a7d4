"""Several processes at one run: who I am, which device and which rows are mine, and sums over all of us.

Processes are started by PyTorch's own launcher (``torchrun``), and work together within :func:`processes`. Outside of
it, and where one process was started, everything here is the answer of someone who works alone, and costs nothing.
What is called "together" must be called by every process, in the same order.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lrdgraph.errors import ConfigError, ProcessError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

TIMEOUT = 1800.0
"""Seconds after which a process that hears nothing from the others gives up; ``$LRDGRAPH_TIMEOUT`` replaces it."""
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_place = (0, 1)


def rank() -> int:
    """Number of this process, from 0."""
    return _place[0]


def count() -> int:
    """How many processes work together."""
    return _place[1]


def is_first() -> bool:
    """Whether this is the process that writes files and talks to people."""
    return rank() == 0


def launched() -> bool:
    """Whether a launcher started this process beside others, whether or not they work together yet."""
    return all(name in os.environ for name in _LAUNCHED) and os.environ["WORLD_SIZE"] not in ("", "1")


@contextmanager
def processes(timeout: float | None = None) -> Iterator[None]:
    """Within it the processes of the launcher work together: through gloo on CPUs, through NCCL between GPUs.

    Each process takes the GPU of its local rank. A process that is asked to end (SIGTERM), as launchers do when
    another one has failed, ends as one that is interrupted.

    Args:
        timeout: seconds of silence after which the others are given up; :data:`TIMEOUT` where None.

    Raises:
        ProcessError: the others did not come, or ended.
        ConfigError: there are fewer GPUs than processes, or ``$LRDGRAPH_TIMEOUT`` is no number above 0.
    """
    global _place
    if not launched() or count() > 1:
        yield
        return
    import torch
    import torch.distributed as dist

    silence = _given_timeout() if timeout is None else timedelta(seconds=timeout)
    backend = "gloo"
    if torch.cuda.is_available():
        local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= there:
            raise ConfigError(
                f"Process {local} of this machine has no GPU, as there are {there}; start as many processes, or hide "
                "the GPUs with CUDA_VISIBLE_DEVICES=."
            )
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    before = signal.getsignal(signal.SIGTERM)
    reachable = threading.current_thread() is threading.main_thread()
    if reachable:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _heard():
            dist.init_process_group(backend, timeout=silence)
        _place = (dist.get_rank(), dist.get_world_size())
        yield
        barrier()  # nobody hangs up on one who still listens
    finally:
        _place = (0, 1)
        if reachable:
            signal.signal(signal.SIGTERM, before)
        if dist.is_initialized():
            dist.destroy_process_group()


def _given_timeout() -> timedelta:
    try:
        given = timedelta(seconds=float(os.environ.get("LRDGRAPH_TIMEOUT") or TIMEOUT))
    except (ValueError, OverflowError):
        given = timedelta()
    if given <= timedelta():
        raise ConfigError("LRDGRAPH_TIMEOUT must be a number of seconds above 0; correct or unset it.")
    return given


@contextmanager
def _heard() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has one kind for all that can happen between processes
        who = f"process {os.environ.get('RANK', '?')} of {os.environ.get('WORLD_SIZE', '?')}"
        raise ProcessError(
            f"Another process ended or fell silent, so {who} ends too; see what it said, and run the same command "
            "again to go on from the last good state."
        ) from error


def device_of(name: str) -> torch.device:
    """A device of this process; ``"auto"`` is its GPU where there is one.

    Raises:
        ConfigError: there is no such device here.
    """
    import torch

    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"There is no device '{name}' here; use 'auto' or 'cpu'.") from None
    return device


def shard(rows: np.ndarray) -> np.ndarray:
    """Every :func:`count`-th row, from :func:`rank` on: neighbours, who are alike, go to different processes."""
    return rows[rank() :: count()]


def block(number: int) -> slice:
    """This process's part of ``number`` things in a row; blocks of all processes, in their order, are the whole."""
    return slice(number * rank() // count(), number * (rank() + 1) // count())


def part(number: int) -> int:
    """How many of ``number`` draws this process makes, at least one of each; rounded up."""
    return -(-number // count())


def barrier() -> None:
    """Wait for all (together)."""
    agreed(0.0)


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process goes through the block alone, then the others do (together): it writes what all read."""
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def agreed(value: float) -> float:
    """The value that the first process has (together): clocks and last digits differ, decisions must not."""
    if count() == 1:
        return value
    import torch
    import torch.distributed as dist

    held = torch.tensor([value], dtype=torch.float64)
    with _heard():
        dist.broadcast(held, 0)
    return float(held)


def copy_first(tensors: Sequence[Tensor]) -> None:
    """Overwrite tensors by those of the first process (together)."""
    if count() == 1:
        return
    import torch
    import torch.distributed as dist

    with torch.no_grad(), _heard():
        for tensor in tensors:
            whole = tensor.contiguous()
            dist.broadcast(whole, 0)
            tensor.copy_(whole)


def sums(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scalars by name, summed over the processes (together); at least one; a name that a process lacks is 0 there."""
    if count() == 1:
        return values
    import numpy as np
    import torch

    told = gather(np.frombuffer("\n".join(values).encode(), dtype=np.uint8).copy())
    names = dict.fromkeys(name for part in told for name in part.tobytes().decode().split("\n"))
    zero = torch.zeros_like(next(iter(values.values())))
    whole = _sum(torch.stack([values.get(name, zero) for name in names]))
    return dict(zip(names, whole, strict=True))


def mean_factor(number: int, base: int) -> float:
    """What to multiply a mean by whose process is weighed by something else (together).

    A process's loss counts by its share of the step's transitions, ``base / Σ base``. A term that is a mean over
    ``number`` other things (pairs) should count by ``number / Σ number``: this is the quotient of the two.
    """
    if count() == 1:
        return 1.0
    import torch

    own = torch.tensor([number, base], dtype=torch.float64)
    share = own / _sum(own.clone()).clamp(min=1)
    return float(share[0] / share[1]) if base else 0.0


def sum_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace each gradient by its sum over the processes (together).

    Dense gradients travel as one flat tensor for each type of number, absent ones as zeros; a parameter that has none
    in any process is left without. Of sparse gradients the rows that were touched travel.
    """
    if count() == 1:
        return
    import torch
    import torch.distributed as dist

    kinds = torch.tensor([0 if p.grad is None else 1 + int(p.grad.is_sparse) for p in parameters], dtype=torch.int32)
    with _heard():
        dist.all_reduce(kinds, dist.ReduceOp.MAX)
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for parameter, kind in zip(parameters, kinds.tolist(), strict=True):
        if kind == 1:
            groups.setdefault((parameter.dtype, parameter.device), []).append(parameter)
        elif kind == 2:
            parameter.grad = _sum_rows(parameter)
    for members in groups.values():
        held = [torch.zeros_like(p) if p.grad is None else p.grad for p in members]
        flat = _sum(torch.cat([grad.flatten() for grad in held]))
        for parameter, grad in zip(members, flat.split([p.numel() for p in members]), strict=True):
            parameter.grad = grad.view_as(parameter)


def _sum_rows(parameter: Tensor) -> Tensor:
    import torch

    own = torch.zeros_like(parameter).to_sparse(1) if parameter.grad is None else parameter.grad
    own = (own if own.is_sparse else own.to_sparse(1)).coalesce()
    index, values = _gather(own.indices().T), _gather(own.values())
    whole = torch.cat(index).T, torch.cat(values)
    return torch.sparse_coo_tensor(*whole, parameter.shape, check_invariants=False).coalesce()


def _sum(tensor: Tensor) -> Tensor:
    import torch.distributed as dist

    with _heard():
        dist.all_reduce(tensor)
    return tensor


def gather(array: np.ndarray, everyone: bool = True) -> list[np.ndarray]:
    """Arrays of all processes in their order (together); they may differ in length alone.

    Args:
        array: ``(n, *)``.
        everyone: whether all processes get them, or the first alone and the others nothing.
    """
    if count() == 1:
        return [array]
    import torch

    return [whole.numpy() for whole in _gather(torch.from_numpy(array), everyone)]


def _gather(tensor: Tensor, everyone: bool = True) -> list[Tensor]:
    import torch
    import torch.distributed as dist

    lengths = torch.zeros(count(), dtype=torch.int64)
    lengths[rank()] = len(tensor)
    longest = int(_sum(lengths).max())
    padded = tensor.new_zeros(longest, *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    found: list[Any] = [torch.empty_like(padded) for _ in range(count() if everyone or is_first() else 0)]
    with _heard():
        if everyone:
            dist.all_gather(found, padded)
        else:
            dist.gather(padded, found if is_first() else None, 0)
    return [whole[:length] for whole, length in zip(found, lengths.tolist(), strict=bool(found))]
