"""Nearest vectors: each compared with all, or, in less than quadratic time, with those of the nearest clusters."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from lrdgraph.faiss import need_faiss

PROBES = 24
"""Clusters that each vector is compared with, its own among them."""
ROUNDS, SAMPLE = 8, 48
"""Of k-means, and vectors of each cluster that it reads."""
QUERIES_AT_ONCE = 1 << 16


def nearest_exact(unit: Tensor, k: int, chunk: int = 1024) -> Tensor:
    """The ``k`` nearest others of each vector, by inner product; time is quadratic in ``n``.

    Args:
        unit: ``(n, T)`` float.
        k: at most ``n - 1``.
        chunk: vectors compared with all others at once; memory is ``chunk × n`` floats.

    Returns:
        ``(n, k)`` int64 rows of ``unit``.
    """
    near = torch.empty(len(unit), k, dtype=torch.int64)
    for start in range(0, len(unit), chunk):
        likeness = unit[start : start + chunk] @ unit.T
        rows = torch.arange(len(likeness))
        likeness[rows, start + rows] = -torch.inf
        near[start : start + chunk] = likeness.topk(k, dim=1).indices
    return near


def nearest_approximate(unit: Tensor, k: int, probes: int = PROBES) -> Tensor:
    """As :func:`nearest_exact`, comparing each vector with those of its ``probes`` nearest clusters alone.

    Vectors are put into ``4 √n`` clusters, whose centres k-means finds from a sample that grows as ``√n`` (an inverted
    file, Sivic and Zisserman 2003, by faiss). Training is linear in ``n``; a vector is compared with ``4 √n`` centres
    and some ``probes √n / 4`` vectors. Vectors of one cluster ask together, so that what they read stays in the cache.
    The sample and the start of k-means are always the same.

    Args:
        unit: ``(n, T)`` float32 of length 1.
        k: at most ``n - 1``.
        probes: clusters that are looked into; more find more of the nearest, in more time.

    Returns:
        ``(n, k)`` int64 rows of ``unit``, -1 where its clusters hold fewer others.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    faiss = need_faiss()
    tools = import_module("faiss.contrib.ivf_tools")
    vectors = np.ascontiguousarray(unit.numpy(), dtype=np.float32)
    n, width = vectors.shape
    lists = min(int(4 * n**0.5), n)
    centres = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFFlat(centres, width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = ROUNDS, SAMPLE, 1
    index.train(vectors)
    index.nprobe = min(probes, lists)
    likeness, cluster = centres.search(vectors, index.nprobe)
    own = np.ascontiguousarray(cluster[:, 0])
    tools.add_preassigned(index, vectors, own)
    order = np.argsort(own, kind="stable")
    near = np.full((n, k), -1, dtype=np.int64)
    for start in range(0, n, QUERIES_AT_ONCE):
        rows = order[start : start + QUERIES_AT_ONCE]
        _, found = tools.search_preassigned(index, vectors[rows], k + 1, cluster[rows], likeness[rows])
        # the first k that are not the vector itself, which copies of it may have pushed out
        found[found == rows[:, None]] = -1
        first = np.argsort(found < 0, axis=1, kind="stable")[:, :k]
        near[rows] = np.take_along_axis(found, first, axis=1)
    return torch.from_numpy(near)
