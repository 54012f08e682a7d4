"""Chorus: an item is what it is to the events before it, for as long as each relation lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import ConfigError, UnknownIdError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.excitation import Excitations, ExcitationSettings, ExcitedRecommender, normal_density
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register
from lrdgraph.models.triples import TripleSampler, relation_slots

FADING, COMPLEMENT, SUBSTITUTE = range(3)
"""What becomes of a relation with time: it fades, fades slowly at first, or deters before it attracts."""


@dataclass(frozen=True)
class ChorusSettings(ExcitationSettings):
    """Settings of Chorus.

    Attributes:
        complements, substitutes: names of relations that become what these become with time; all others fade.
        group: the attribute relation whose values have kernels of their own; one kernel for all items without it. A
            graph may lack the relations that are named by default, and no others.
        l2: as for matrix factorisation.
        margin: of the first stage, in squared distance.
        first_epochs, first_learning_rate, first_batch_size: of the first stage; no such stage with 0 epochs.
        vector_rate: of the vectors that the first stage made, the share of the learning rate that is left to them.
    """

    complements: tuple[str, ...] = ("complement",)
    substitutes: tuple[str, ...] = ("substitute",)
    group: str = "category"
    l2: Annotated[float, Ge(0)] = 0.0
    margin: Annotated[float, Ge(0)] = 1.0
    first_epochs: Annotated[int, Ge(0)] = 50
    first_learning_rate: Annotated[float, Gt(0)] = 5e-4
    first_batch_size: Annotated[int, Gt(0)] = 512
    vector_rate: Annotated[float, Gt(0)] = 0.1


@register("chorus")
class Chorus(ExcitedRecommender):
    """``s(u, c) = p_u · [q_c + Σ_r f_r(Δ_r) (q_c + z_r)] + b_c``.

    With ``β``, ``μ`` and ``σ`` of the candidate's group and the relation, and everything cut at ±1, a relation fades as
    ``Exp(Δ; β)``, a complement as ``Normal(Δ; 0, β)``, and a substitute becomes ``Normal(Δ; μ, σ) − Normal(Δ; 0, β)``,
    of densities.

    Before the first epoch ``q`` and ``z`` are learnt as TransE on the edges between items, each read backwards:
    ``q_tail + z_r ≈ q_head``. They are then held as multiples of ``vector_rate``, so that a step of Adam moves them by
    that share of the learning rate.

    Source: Wang et al., *Make It a Chorus: Knowledge- and Time-aware Item Modeling for Sequential Recommendation*
    (SIGIR 2020), with the sizes of ReChorus. A bias of the person, which no ranking can tell, is left out.

    Raises:
        ConfigError: there is no graph, no edge joins two items, or the graph lacks a relation that is named.
    """

    Settings = ChorusSettings
    name = "chorus"
    group: Tensor
    kind: Tensor
    slot: Tensor

    def __init__(self, inputs: ModelInputs, settings: ChorusSettings) -> None:
        super().__init__(inputs, settings)
        _check_names(inputs.need_graph(self.name), settings)
        names = [relation.name for relation in self.latest.relations]
        slow = torch.tensor([name in settings.complements for name in names])
        late = torch.tensor([name in settings.substitutes for name in names])
        group, number = _groups(inputs, settings.group)
        self.register_buffer("group", group, persistent=False)
        kind = torch.where(late, SUBSTITUTE, torch.where(slow, COMPLEMENT, FADING))
        self.register_buffer("kind", kind, persistent=False)
        self.register_buffer("slot", late.cumsum(0) - 1, persistent=False)
        self.relations = nn.Parameter(torch.randn(len(names), settings.hidden_channels) * 0.1)
        self.rate = nn.Parameter(torch.randn(number, len(names)) * 0.01)
        self.late = nn.Parameter(torch.randn(2, number, int(late.sum())) * 0.01) if bool(late.any()) else None

    def tables(self) -> tuple[Tensor, Tensor]:
        return self.people.weight, self.items.weight * self.settings.vector_rate

    def excite(self, found: Excitations, delta: Tensor, person: Tensor, items: Tensor) -> Tensor:
        towards = items[found.candidate] + self.relations[found.relation] * self.settings.vector_rate
        return self.temporal(found, delta) * (person[found.position] * towards).sum(1)

    def temporal(self, found: Excitations, delta: Tensor) -> Tensor:
        """``f_r(Δ)`` ``(X,)``."""
        group, kind = self.group[found.candidate], self.kind[found.relation]
        rate = (1 + self.rate[group, found.relation]).clamp(1e-10, 10)
        near = normal_density(delta, rate)
        value = torch.where(
            kind == FADING, rate * torch.exp(-rate * delta), torch.where(kind == COMPLEMENT, near, -near)
        )
        if self.late is not None:
            of = (kind == SUBSTITUTE).nonzero().squeeze(1)
            mean, deviation = 1 + self.late[:, group[of], self.slot[found.relation[of]]]
            value = value.index_add(0, of, normal_density(delta[of] - mean, deviation.clamp(1e-10, 10)))
        return value.clamp(-1, 1)

    def start_epoch(self, epoch: int) -> None:
        """Before the first, the first stage; from the second on its vectors are those of a checkpoint."""
        settings = self.settings
        if epoch or not settings.first_epochs:
            return
        graph = self.inputs.need_graph(self.name)
        triples = TripleSampler(graph, relation_slots(graph)._replace(attribute=[])).to(self.bias.device)
        made = self.items.weight, self.relations
        vectors, relations = ((part.detach() * settings.vector_rate).requires_grad_() for part in made)
        optimizer = torch.optim.Adam([vectors, relations], settings.first_learning_rate)
        size = settings.first_batch_size
        for _ in range(settings.first_epochs * math.ceil(len(triples.head) / size)):
            drawn = triples(size)
            between = relations[drawn.relation - 1][:, None]
            distance = (vectors[drawn.tail] + between - vectors[drawn.head]).square().sum(2)  # (size, 2)
            optimizer.zero_grad()
            F.relu(settings.margin + distance[:, 0] - distance[:, 1]).mean().backward()
            optimizer.step()
        with torch.no_grad():
            for part, learnt in zip(made, (vectors, relations), strict=True):
                part.copy_(learnt / settings.vector_rate)


def _check_names(graph: ItemGraph, settings: ChorusSettings) -> None:
    for field in fields(settings):
        if field.name in ("complements", "substitutes", "group") and field.default != getattr(settings, field.name):
            named = getattr(settings, field.name)
            for name in (named,) if isinstance(named, str) else named:
                try:
                    graph.relations.index(name)
                except UnknownIdError as error:
                    raise ConfigError(f"[model] {field.name}: {error}") from None


def _groups(inputs: ModelInputs, relation: str) -> tuple[Tensor, int]:
    """The group ``(N + 1,)`` of each item and how many there are; 0 for items of which the relation says nothing.

    Of several values an item is in the group of the first.
    """
    graph = inputs.need_graph("chorus")
    first = torch.full((inputs.num_items + 1,), graph.num_rows)
    if relation in graph.relations:
        item, value = graph.edge_index[:, graph.edges_of(relation)]
        kept = (item <= inputs.num_items) & (value > inputs.num_items)
        first.scatter_reduce_(0, item[kept], value[kept], "amin")
    first[0] = graph.num_rows
    values, group = first.unique(return_inverse=True)
    return (group + 1) % len(values), len(values)  # those without a value come last, and so go round to 0
