"""Time as a model sees it: gaps in logarithmic bins, and weights that fade."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

DAY = 86_400


def log_days(seconds: Tensor) -> Tensor:
    """``log(1 + days)`` of a gap in seconds, same shape; a negative gap counts as none."""
    return torch.log1p(seconds.clamp(min=0).to(torch.float32) / DAY)


class GapEmbedding(nn.Module):
    """A vector for a gap in time, by logarithmic bin.

    Bins are ``floor(scale · log(1 + days))``; with the default of 24 bins and ``scale`` 3 the last begins at about
    2,100 days, and gaps of 0 to 7 days have the bins 0, 2, 3, 4, 4, 5, 5 and 6.

    Shapes: ``(...)`` seconds → ``(..., D)``.
    """

    def __init__(self, hidden_channels: int, num_bins: int = 24, scale: float = 3.0) -> None:
        super().__init__()
        self.scale = scale
        self.table = nn.Embedding(num_bins, hidden_channels)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, seconds: Tensor) -> Tensor:
        bins = (self.scale * log_days(seconds)).long()
        return self.table(bins.clamp(max=self.table.num_embeddings - 1))


class DecayKernel(nn.Module):
    """A weight for each relation that fades with time: ``κ_r(Δ) = w_r + v_r · σ(τ_r − log(1 + Δ days))``.

    ``w`` is what remains for ever, ``v`` what fades, and ``exp(τ) − 1`` the days after which half of ``v`` is gone.

    Shapes: ``(P,)`` seconds → ``(P, R)``.
    """

    def __init__(self, num_relations: int, initial: float = 0.5, days: float = 30.0) -> None:
        super().__init__()
        self.lasting = nn.Parameter(torch.full((num_relations,), initial))
        self.fading = nn.Parameter(torch.full((num_relations,), initial))
        self.horizon = nn.Parameter(torch.full((num_relations,), days).log1p())

    def forward(self, seconds: Tensor) -> Tensor:
        return self.lasting + self.fading * torch.sigmoid(self.horizon - log_days(seconds)[:, None])


class FourierDecay(nn.Module):
    """A weight for each relation over time, learnt in the frequency domain.

    ``κ_r(Δ) = clamp(1/2F · Σ_f [a_rf cos(2π f δ) − b_rf sin(2π f δ)], 0, 1)`` with ``δ = max(log₂(Δ in minutes), 0)``
    and ``F`` frequencies ``f`` from 0 to 1/2. Source: KDA (Wang et al., *Toward Dynamic User Intention: Temporal
    Evolutionary Effects of Item Relations in Sequential Recommendation*), as the public LRD code has it.

    Shapes: ``(*)`` seconds → ``(*, R)``.

    Args:
        num_relations: ``R``.
        num_points: of the Fourier transform; ``F = num_points / 2 + 1``.
        start: ``"random"``, as the public commands have it: tiny weights, half of them clamped to 0, where no gradient
            comes through; or ``"one"``: no decay at first.
    """

    frequency: Tensor

    def __init__(self, num_relations: int, num_points: int = 64, start: Literal["random", "one"] = "one") -> None:
        super().__init__()
        number = num_points // 2 + 1
        self.register_buffer("frequency", torch.linspace(0, 0.5, number), persistent=False)
        self.cosine = nn.Parameter(torch.randn(num_relations, number) * 0.01)
        self.sine = nn.Parameter(torch.randn(num_relations, number) * 0.01)
        if start == "one":
            with torch.no_grad():
                # a little below 1, where the clamp would hold back the gradient
                self.cosine[:, 0] = 2 * number * 0.98

    def forward(self, seconds: Tensor) -> Tensor:
        delta = (seconds.to(self.cosine.dtype) / 60 + 1e-6).clamp(min=1e-6).log2().clamp(min=0)
        angle = 2 * torch.pi * delta[..., None] * self.frequency  # (*, F)
        wave = angle.cos() @ self.cosine.T - angle.sin() @ self.sine.T
        return (wave / (2 * len(self.frequency))).clamp(0, 1)
