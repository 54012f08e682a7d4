"""LightGCN: matrix factorisation with vectors smoothed over the graph of who chose what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from lrdgraph.models.factorization import BPRMF, FactorizationSettings
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register
from lrdgraph.nn.sparse_products import Pattern, SparseProduct


@dataclass(frozen=True)
class LightGCNSettings(FactorizationSettings):
    """As matrix factorisation.

    Attributes:
        num_layers: steps of propagation.
    """

    num_layers: Annotated[int, Gt(0)] = 3


@register("lightgcn")
class LightGCN(BPRMF):
    """``E = 1/(K + 1) · Σ_k (D^-½ A D^-½)^k E⁰`` over people and items, with ``A`` the distinct training events.

    Source: He et al., *LightGCN* (arXiv 2002.02126), eq. 3–8. A person with one training event is in the graph, but is
    taken for a stranger, as in :class:`lrdgraph.models.factorization.PersonalRecommender`.
    """

    Settings = LightGCNSettings
    weight: Tensor

    def __init__(self, inputs: ModelInputs, settings: LightGCNSettings) -> None:
        super().__init__(inputs, settings)
        rows, columns = inputs.num_users + 1, inputs.num_items + 1
        key = (inputs.events[0] * columns + inputs.events[1]).unique()
        user, item = key // columns, key % columns
        degrees = torch.bincount(user, minlength=rows)[user] * torch.bincount(item, minlength=columns)[item]
        self.register_buffer("weight", degrees.float().rsqrt(), persistent=False)
        self.chosen = Pattern.of(user, item, rows, columns)
        self.chosen_by = Pattern.of(item, user, columns, rows)

    def tables(self) -> tuple[Tensor, Tensor]:
        people, items = self.people.weight, self.items.weight
        if self.chosen.row.device != people.device:
            self.chosen, self.chosen_by = self.chosen.to(people.device), self.chosen_by.to(people.device)
        sums = [people, items]
        for _ in range(self.settings.num_layers):
            people, items = (
                SparseProduct.apply(self.weight, items, self.chosen),
                SparseProduct.apply(self.weight, people, self.chosen_by),
            )
            sums = [sums[0] + people, sums[1] + items]
        share = 1 / (self.settings.num_layers + 1)
        return sums[0] * share, sums[1] * share
