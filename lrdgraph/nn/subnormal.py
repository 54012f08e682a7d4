"""Numbers too small to be worth their time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Within it subnormal numbers count as zero; then the processor is as it was.

    It holds for the thread at hand and those to which :mod:`lrdgraph.nn.relation_layers` gives its work.

    Weights that decay towards zero, and their running averages, end as subnormal numbers, with which a CPU is much
    slower.
    """
    before = are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def are_flushed() -> bool:
    """Whether half of the least normal number is zero here."""
    return sys.float_info.min / 2 == 0
