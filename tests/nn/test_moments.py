"""Means and variances a block at a time."""

from __future__ import annotations

import torch

from lrdgraph.nn.moments import column_moments


def test_blocks_are_the_whole() -> None:
    torch.manual_seed(0)
    table = torch.randn(103, 4) * 3 + 100
    for kind in (torch.float32, torch.float16):
        mean, variance = column_moments(table.to(kind), rows=10)
        expected = table.to(kind).double()
        torch.testing.assert_close(mean, expected.mean(0))
        torch.testing.assert_close(variance, expected.var(0, correction=0))
