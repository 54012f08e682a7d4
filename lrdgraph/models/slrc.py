"""SLRC+: what a person had, and what goes with it, excites a candidate for a time that is the candidate's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrdgraph.models.excitation import Excitations, ExcitationSettings, ExcitedRecommender, normal_density
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register


@register("slrc")
class SLRC(ExcitedRecommender):
    """``f_r(Δ) = (α + α_cr) · [π_cr · Exp(Δ; β_cr) + (1 − π_cr) · Normal(Δ; μ_cr, σ_cr)]``, of densities.

    The candidate itself is the first relation, repeated consumption. Parameters of each candidate and relation begin
    near ``π = ½`` and ``β = μ = σ = 1``; rates and deviations stay within 1e-10 and 10.

    Source: Wang et al., *Modeling Item-Specific Temporal Dynamics of Repeat Consumption for Recommender Systems* (WWW
    2019), with relations between items as ReChorus adds them (SLRC+). A bias of the person, which no ranking can
    tell, is left out.
    """

    Settings = ExcitationSettings
    name = "slrc"
    repeat = True

    def __init__(self, inputs: ModelInputs, settings: ExcitationSettings) -> None:
        super().__init__(inputs, settings)
        shape = inputs.num_items + 1, len(self.latest.labels)
        self.strength = nn.Parameter(torch.zeros(()))
        self.strengths = nn.Parameter(torch.randn(*shape) * 0.01)
        self.kernel = nn.Parameter(torch.randn(4, *shape) * 0.01)

    def excite(self, found: Excitations, delta: Tensor, person: Tensor, items: Tensor) -> Tensor:
        share, rate, mean, deviation = self.kernel[:, found.candidate, found.relation]  # (X,) each
        rate, deviation = ((1 + part).clamp(1e-10, 10) for part in (rate, deviation))
        fading = rate * torch.exp(-rate * delta)
        coming = normal_density(delta - 1 - mean, deviation)
        density = (0.5 + share) * fading + (0.5 - share) * coming
        return (self.strength + self.strengths[found.candidate, found.relation]) * density
