"""What predefined edges say of raw vectors: the flagship's knowledge loss, on a sample of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from lrdgraph import distributed
from lrdgraph.nn.losses import sampled_cross_entropy

if TYPE_CHECKING:
    from lrdgraph.models.flagship import Flagship


class KnowledgeEdges(NamedTuple):
    """Predefined edges ``(n,)`` and nodes ``(m,)`` drawn beside them."""

    head: Tensor
    relation: Tensor
    tail: Tensor
    drawn: Tensor


def learns_knowledge(model: Flagship) -> bool:
    """Whether the loss is wanted, and there are edges to learn."""
    return model.settings.knowledge_weight > 0 and model.graph.num_edges > 0


def draw_knowledge(model: Flagship) -> KnowledgeEdges:
    """Edges and nodes, both drawn alike from all."""
    graph, number, device = model.graph, model.settings.knowledge_edges, model.pairs.device
    edge = torch.randint(graph.num_edges, (distributed.part(number),), device=device)
    # indexed where the graph is, so that a step moves what it drew
    head, tail = graph.edge_index[:, edge.to(graph.edge_index.device)].to(device)
    relation = graph.edge_type[edge.to(graph.edge_type.device)].to(device)
    return KnowledgeEdges(head, relation, tail, torch.randint(1, graph.num_rows, (number,), device=device))


def knowledge_loss(model: Flagship, edges: KnowledgeEdges, vectors: Tensor, nodes: Tensor | None = None) -> Tensor:
    """``−log p(tail | head, relation)``: DistMult on raw vectors, sampled softmax.

    Args:
        model: gives relation vectors.
        edges: from :func:`draw_knowledge`.
        vectors: ``(n, D)`` of nodes.
        nodes: ``(n,)`` rising nodes that these are; all of them where None.
    """
    at = [node if nodes is None else torch.searchsorted(nodes, node) for node in (edges.head, edges.tail, edges.drawn)]
    head, tail, drawn = (vectors.index_select(0, place) for place in at)
    query = head * model.relations[edges.relation]
    negatives = (query @ drawn.T).masked_fill(edges.drawn == edges.tail[:, None], -torch.inf)
    log_q = torch.zeros((), device=vectors.device)
    return sampled_cross_entropy((query * tail).sum(1), negatives, log_q, log_q)
