"""Vectors that are told nothing, and vectors that are told of the wrong item: controls for what texts are worth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lrdgraph.language.settings import TextSettings
from lrdgraph.language.source import normalized

WIDTH = 384
"""That of the default language model."""


def random_vectors(number: int, settings: TextSettings) -> np.ndarray:
    """Gaussian vectors ``(number, T)``, read-only, always the same; ``settings`` give width, scaling and precision."""
    shape = (number, settings.width or WIDTH)
    drawn = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    vectors = (normalized(drawn) if settings.normalize else drawn).astype(settings.storage, copy=False)
    vectors.flags.writeable = False
    return vectors


def dealing(number: int, seed: int) -> np.ndarray:
    """A random order ``(number,)`` of rows, fixed by ``seed``."""
    return np.random.default_rng(seed).permutation(number)


def shuffled(text: Tensor, seed: int) -> Tensor:
    """Language vectors dealt to the items at random: the same vectors, but none tells of its item, save by chance.

    Args:
        text: ``(N + 1, T)``, row 0 for padding, which stays.
        seed: decides the order; a table of ``N`` rows is dealt as ``[text] shuffle`` deals it.

    Returns:
        ``(N + 1, T)``.
    """
    order = torch.from_numpy(dealing(len(text) - 1, seed)).to(text.device)
    return torch.cat([text[:1], text[1:][order]])
