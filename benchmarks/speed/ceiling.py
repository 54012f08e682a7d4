"""What this machine can do: the rate of matrix products and the bandwidth of its memory, with as many threads as a run.

    python -m benchmarks.speed.ceiling --threads 1

Both are measured with torch's own kernels, which are what the models are made of: nothing that they do can be faster.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

SHAPES = {
    "square": (1024, 1024, 1024),
    "tokens to queries, keys and values": (5120, 64, 192),
    "positions to all items": (1024, 64, 2421),
    "pairs to sampled items": (3200, 64, 512),
    "texts to item vectors": (2420, 384, 64),
}
"""Rows, inner and columns of products: a large one, and those of a training step on Office."""

ARRAY_BYTES = 256 << 20
"""Of each array that is streamed: several times the last cache of a server."""


def measure(repeats: int = 7, array_bytes: int = ARRAY_BYTES, seconds: float = 0.2) -> dict[str, Any]:
    """Rates of this process, with the threads that torch has now.

    Args:
        repeats: measurements of each, of which the median counts.
        array_bytes: of each array that is streamed.
        seconds: that one measurement of a product lasts, about.

    Returns:
        ``gflops`` by shape, ``gigabytes`` per second of copy and triad, and the best of each, ``flops`` and ``bytes``
        per second.
    """
    products = {name: product_rate(*shape, repeats, seconds) for name, shape in SHAPES.items()}
    streams = stream_rates(array_bytes, repeats)
    return {
        "threads": torch.get_num_threads(),
        "shapes": {name: list(shape) for name, shape in SHAPES.items()},
        "gflops": {name: round(rate / 1e9, 2) for name, rate in products.items()},
        "gigabytes": {name: round(rate / 1e9, 2) for name, rate in streams.items()},
        "flops": max(products.values()),
        "bytes": max(streams.values()),
    }


def product_rate(rows: int, inner: int, columns: int, repeats: int = 7, seconds: float = 0.2) -> float:
    """Operations per second of ``(rows, inner) @ (inner, columns)`` in float32, two for each multiply-add."""
    left, right, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
    once = _median_seconds(lambda: torch.mm(left, right, out=out), 3)
    times = max(1, int(seconds / once))

    def many() -> None:
        for _ in range(times):
            torch.mm(left, right, out=out)

    return 2.0 * rows * inner * columns * times / _median_seconds(many, repeats)


def stream_rates(array_bytes: int = ARRAY_BYTES, repeats: int = 7) -> dict[str, float]:
    """Bytes per second that are read and written in ``a = b`` (copy) and ``a = b + s·c`` (triad).

    As STREAM counts them (McCalpin 1995): a line that is read because it is to be written is not counted.
    """
    a, b, c = (torch.full((array_bytes // 4,), value) for value in (0.0, 1.0, 2.0))
    return {
        "copy": 2 * array_bytes / _median_seconds(lambda: a.copy_(b), repeats),
        "triad": 3 * array_bytes / _median_seconds(lambda: torch.add(b, c, alpha=3.0, out=a), repeats),
    }


def share(operations: float, moved: float, seconds: float, ceiling: dict[str, Any]) -> tuple[float, str]:
    """The part of ``seconds`` that the binding ceiling would take, and which it is: ``"products"`` or ``"memory"``."""
    least = {"products": operations / ceiling["flops"], "memory": moved / ceiling["bytes"]}
    binding = max(least, key=lambda name: least[name])
    return least[binding] / seconds, binding


def _median_seconds(work: Callable[[], Any], repeats: int) -> float:
    # with one thread, what else the machine does is left out, as it is where a share of the ceiling is formed
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    work()
    found = []
    for _ in range(repeats):
        began = clock()
        work()
        found.append(clock() - began)
    return median(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    print(json.dumps(measure(), indent=2))
