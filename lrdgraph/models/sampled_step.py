"""A training step of the flagship that touches the items it needs, and what large catalogues need of it elsewhere."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph import distributed
from lrdgraph.batch import Batch
from lrdgraph.discovery.pairs import batch_pairs
from lrdgraph.graph.sampling import Subgraph
from lrdgraph.models.evidence import MixtureEvidence, Pairs, TypedEvidence, last_columns
from lrdgraph.models.knowledge import draw_knowledge, knowledge_loss, learns_knowledge
from lrdgraph.models.sampled_graph import BLOCK, SampledGraph, convolve
from lrdgraph.models.sequential import touched
from lrdgraph.models.shared_negatives import SharedNegatives
from lrdgraph.nn.catalogue_loss import Added
from lrdgraph.nn.rows import take_rows

if TYPE_CHECKING:
    from lrdgraph.models.flagship import Flagship


class StepEdges(NamedTuple):
    """The edges that lead from the events of some histories to some candidates.

    Attributes:
        pairs: positions joined to the events they see.
        local: the same, with an event's place among the distinct ones instead of its item.
        candidates: ``(C,)`` rising items; columns below count among them.
        typed: predefined edges, of local items and columns.
        latent: latent edges, or None where there are none.
        edge: ``(e,)`` rising positions of the latent edges among all.
    """

    pairs: Pairs
    local: Pairs
    candidates: Tensor
    typed: TypedEvidence
    latent: MixtureEvidence | None
    edge: Tensor


def step_edges(model: Flagship, pairs: Pairs, candidates: Tensor) -> StepEdges:
    """Expand the edges of each distinct event once, and keep those that end among rising ``candidates (C,)``."""
    items, place = pairs.item.unique(return_inverse=True)
    local = Pairs(pairs.position, place, pairs.gap)
    typed = model.typed_evidence.within(items, candidates)
    if model.latent_evidence is None:
        return StepEdges(pairs, local, candidates, typed, None, items[:0])
    return StepEdges(pairs, local, candidates, typed, *model.latent_evidence.within(items, candidates))


def evidence_parts(
    model: Flagship, edges: StepEdges, batch: Batch, columns: Tensor, query: Tensor, weights: Tensor
) -> list[Added]:
    """What each edge says for its candidate.

    Args:
        model: gives the kernel.
        edges: of the positions.
        batch: where they come from.
        columns: ``(P, 2)`` row and column of each position.
        query: ``(P, D)`` of the positions.
        weights: ``(e, K)`` mixture of ``edges.edge``.
    """
    kernel = model.relation_weights(edges.pairs, query)
    parts = [edges.typed(edges.local, kernel)]
    if edges.latent is not None:
        latent = kernel[:, model.num_predefined :]
        parts.append(edges.latent(edges.local, latent, weights))
        if model.held_out is not None and batch.target is not None:
            user = batch.user[columns[edges.pairs.position, 0]]
            parts.append(model.held_out.within(edges.pairs, user, latent, weights, edges.edge, edges.candidates))
    return parts


def candidate_evidence(model: Flagship, batch: Batch, query: Tensor, candidates: Tensor, mixture: Tensor) -> Tensor:
    """``(B, C)`` what edges from each history say for ``(C,)`` or ``(B, C)`` candidates, reading no others."""
    columns = last_columns(batch)
    distinct, place = candidates.unique(return_inverse=True)
    edges = step_edges(model, model.history_pairs(batch, columns), distinct)
    parts = evidence_parts(model, edges, batch, columns, query, mixture.index_select(0, edges.edge))
    return evidence_at(parts, place, len(distinct), len(batch))


def evidence_at(parts: list[Added], place: Tensor, width: int, rows: int) -> Tensor:
    """Sums of evidence, where it was asked for and nowhere else.

    Args:
        parts: of positions that are rows.
        place: ``(C,)`` columns asked of every row, or ``(B, C)`` columns of each; one may be asked for twice.
        width: how many columns there are.
        rows: ``B``.

    Returns:
        ``(B, C)``.
    """
    cell = torch.cat([position * width + column for position, column, _ in parts])
    value = torch.cat([value for _, _, value in parts])
    if place.dim() == 1:
        return value.new_zeros(rows * width).index_add(0, cell, value).view(rows, width).index_select(1, place)
    asked = torch.arange(rows, device=place.device)[:, None] * width + place
    cells, where = asked.unique(return_inverse=True)
    if not len(cells):
        return value.new_zeros(place.shape)
    at = torch.searchsorted(cells, cell).clamp(max=len(cells) - 1)
    kept = (cells[at] == cell).nonzero().squeeze(1)
    return value.new_zeros(len(cells)).index_add(0, at[kept], value[kept])[where]


def sampled_terms(model: Flagship, shared: SharedNegatives, batch: Batch, target: Tensor) -> dict[str, Tensor]:
    """The loss terms of one step, at the cost of the items it touches, all on the tape.

    Touched are the items of the histories, the candidates, what the discovery and the knowledge loss draw, and the
    neighbours that are drawn around histories and candidates. With ``fanout = 0`` candidates alone are sampled, and
    vectors come from the whole graph.
    """
    settings, columns = model.settings, target.nonzero()
    candidates = shared(target[target > 0])
    seeds = touched(batch, candidates)
    joint = model.discovery is not None and model.trains_discovery
    pairs, negatives, number = seeds[:0], seeds[:0], 0
    if joint:
        assert model.discovery is not None
        of_histories = batch_pairs(batch.history, target, distributed.part(settings.discovery_pairs))
        i, j, negatives = model.discovery.draw(*of_histories)
        number = len(of_histories[0])
        pairs = torch.stack([i, j])
    known = draw_knowledge(model) if learns_knowledge(model) else None
    edges = None
    if settings.evidence:
        seen = model.history_pairs(batch, columns)
        edges = step_edges(model, seen, candidates.items)
    asked = seeds[:0] if edges is None else edges.edge
    nodes: Tensor | None
    if model.around is None:
        mixture, x = model.mixture(), model.items()
        vectors, weights = model.vectors_from(mixture, x), mixture.index_select(0, asked)
        seeds, nodes = torch.arange(len(vectors), device=seeds.device), None
        raw = torch.cat([x, model.attribute_vectors])
    else:
        sub = model.around.around(seeds[1:])
        needed = [
            sub.n_id,
            pairs.flatten(),
            negatives,
            *(() if known is None else (known.head, known.tail, known.drawn)),
        ]
        nodes = torch.cat(needed).unique()
        raw = raw_vectors(model, nodes)
        weights = model.weights(torch.cat([sub.latent_id, asked]))
        heard, weights = weights.split([len(sub.latent_id), len(asked)])
        x = raw.index_select(0, torch.searchsorted(nodes, sub.n_id))
        vectors = F.pad(_convolved(model, x, sub, heard), (0, 0, 1, 0))

    def evidence(columns: Tensor, query: Tensor) -> list[Added]:
        return [] if edges is None else evidence_parts(model, edges, batch, columns, query, weights)

    terms = {"recommendation": model.shared_loss(batch, candidates, seeds, vectors, evidence)}
    if joint:
        assert model.discovery is not None
        of_items = None if nodes is None else nodes[: int(torch.searchsorted(nodes, model.graph.num_items + 1))]
        scaled = (raw if of_items is None else raw[: len(of_items)]) * model.log_scale.exp()
        latent, (i, j) = model.relations[model.num_predefined :], pairs
        found = model.discovery.loss_of(i, j, negatives, scaled, latent, nodes=of_items, warm_up=model.warming_up)
        found = found.over_all(number, target)
        terms |= {f"discovery/{field.name}": getattr(found, field.name) for field in fields(found)}
    if known is not None:
        terms["knowledge"] = knowledge_loss(model, known, raw, nodes)
    return terms


def raw_vectors(model: Flagship, nodes: Tensor) -> Tensor:
    """``(n, D)`` vectors before any convolution, of rising nodes ``(n,)``: items, then attribute values."""
    items = model.graph.num_items
    cut, sparse = int(torch.searchsorted(nodes, items + 1)), model.settings.sparse_gradients
    of_items = model.items.rows(nodes[:cut], sparse)
    return torch.cat([of_items, take_rows(model.attribute_vectors, nodes[cut:] - (items + 1), sparse)])


def _convolved(model: Flagship, x: Tensor, sub: Subgraph, mixture: Tensor) -> Tensor:
    rate = model.settings.dropout if model.training else 0.0
    return convolve(list(model.convolutions), x, sub, mixture, model.relations, dropout=rate)  # type: ignore[arg-type]


def vectors_everywhere(model: Flagship, around: SampledGraph, mixture: Tensor) -> Tensor:
    """``x̃ (N + 1, D)`` from all edges, layer by layer and a block of nodes at a time; nothing of ``E × D`` stands."""
    count, device = model.graph.num_rows, model.pairs.device
    blocks = [raw_vectors(model, part) for part in torch.arange(1, count, device=device).split(BLOCK)]
    nodes = F.pad(torch.cat(blocks), (0, 0, 1, 0))
    rate = model.settings.dropout if model.training else 0.0
    for number, layer in enumerate(model.convolutions, start=1):
        last = number == len(model.convolutions)

        def step(x: Tensor, sub: Subgraph, weights: Tensor, layer: object = layer, last: bool = last) -> Tensor:
            return convolve([layer], x, sub, weights, model.relations, dropout=rate, last=last)  # type: ignore[list-item]

        nodes = around.everywhere(step, nodes, mixture, items_alone=last)
    return nodes[: model.graph.num_items + 1]
