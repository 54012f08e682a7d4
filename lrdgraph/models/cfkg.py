"""CFKG: people, items and attribute values in one graph, whose edges are translations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.models.base import dot
from lrdgraph.models.factorization import PersonalRecommender, PersonalSettings
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.negatives import UnseenItems
from lrdgraph.models.registry import register

BUY = 0
"""Row of the relation from a person to an item; those of the graph follow."""


@dataclass(frozen=True)
class CFKGSettings(PersonalSettings):
    """Settings of CFKG.

    Attributes:
        margin: by how much a true edge is to be shorter than a corrupted one, in squared distance.
    """

    margin: Annotated[float, Ge(0)] = 1.0


@register("cfkg")
class CFKG(PersonalRecommender):
    """``s(u, c) = −‖e_u + r_buy − e_c‖²``, learnt as TransE on training events and predefined edges together.

    Each edge (head, relation, tail) is set against one with another tail and one with another head by the hinge
    ``max(0, margin − s + s⁻)``. A corrupted end of an event is an item or a person, that of another edge any node, and
    the corrupted edge is not in the graph. Inverse relations are left out: a translation is its own inverse. A step
    sees as many edges for each of its events as there are for each training event.

    A stranger's ``e_u + r_buy`` is the mean of the items of the history. Source: Ai et al., *Learning Heterogeneous
    Knowledge Base Embeddings for Explainable Recommendation* (arXiv 1805.03352), with distance and loss of ReChorus.
    """

    Settings = CFKGSettings
    edges: Tensor

    def __init__(self, inputs: ModelInputs, settings: CFKGSettings) -> None:
        super().__init__(inputs, settings)
        graph = inputs.need_graph("cfkg")
        forward = [position for position, relation in enumerate(graph.relations) if relation.kind != "inverse"]
        row = torch.zeros(len(graph.relations), dtype=torch.int64)
        row[forward] = torch.arange(1, len(forward) + 1)
        edges = torch.stack([graph.edge_index[0], row[graph.edge_type], graph.edge_index[1]])
        edges = edges[:, edges[1] > 0]
        self.attributes = nn.Embedding(len(graph.attributes), settings.hidden_channels)
        self.relations = nn.Embedding(1 + len(forward), settings.hidden_channels)
        nn.init.normal_(self.attributes.weight, std=0.1)
        nn.init.normal_(self.relations.weight, std=0.1)
        self.register_buffer("edges", edges, persistent=False)  # (3, E) head, relation, tail
        self.rows = graph.num_rows
        head, relation, tail = edges
        self.other_tails = UnseenItems(relation * self.rows + head, tail, graph.num_nodes)
        self.other_heads = UnseenItems(relation * self.rows + tail, head, graph.num_nodes)
        self.other_people = UnseenItems(inputs.events[1], inputs.events[0], inputs.num_users)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        user, item = self.events(batch)
        buy = self.relations.weight[BUY]
        bought = self._hinge(
            (self.people(user), self.people(self.other_people(item, 1)[:, 0])),
            buy,
            (self.items(item), self.items(self.unseen(user, 1)[:, 0])),
        )
        nodes = torch.cat([self.items.weight, self.attributes.weight])
        number = round(len(user) * self.edges.size(1) / self.inputs.events.size(1))
        drawn = (torch.rand(number, device=user.device) * self.edges.size(1)).long()
        head, relation, tail = self.edges[:, drawn]
        other_head = self.other_heads(relation * self.rows + tail, 1)[:, 0]
        other_tail = self.other_tails(relation * self.rows + head, 1)[:, 0]
        known = self._hinge(
            (nodes[head], nodes[other_head]), self.relations(relation), (nodes[tail], nodes[other_tail])
        )
        terms = {"recommendation": bought.mean().detach()}
        if number:
            terms["knowledge"] = known.mean().detach()
        return {"total": torch.cat([bought, known]).mean()} | terms

    def _hinge(self, head: tuple[Tensor, Tensor], relation: Tensor, tail: tuple[Tensor, Tensor]) -> Tensor:
        """``(2 P,)`` hinges of true ends ``(P, D)`` against a corrupted tail and a corrupted head."""
        true, other_tail, other_head = (
            (h + relation - t).square().sum(1) for h, t in ((head[0], tail[0]), (head[0], tail[1]), (head[1], tail[0]))
        )
        return F.relu(self.settings.margin + torch.cat([true - other_tail, true - other_head]))

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        people, items = self.tables()
        query = self.asking(batch, people + self.relations.weight[BUY], items)
        # −‖q − e‖² = 2 q·e − ‖e‖² − ‖q‖²
        return dot(2 * query, items, -items.square().sum(1), candidates) - query.square().sum(1, keepdim=True)
