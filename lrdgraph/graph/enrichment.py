"""The graph with latent edges, whose weights stay on the autograd tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary

Posterior = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class EnrichedGraph:
    """An item graph and ``P`` latent edges, each with a mixture of ``K`` latent relations.

    Attributes:
        graph: the predefined edges.
        latent_index: ``(2, P)`` int64 item nodes. The pair (i, j) is an edge from i to j: relation r runs from i to j
            with weight ``mixture[p, r]``, and j hears of i. The posterior of (j, i) is another; a candidate set that is
            to be heard both ways holds both orders (:func:`lrdgraph.graph.candidates.union` adds them).
        mixture: ``(P, K)`` float, on the autograd tape where the posterior is; rows sum to at most 1 (what is missing
            is the state "none").
        latent: names of the ``K`` latent relations.
    """

    graph: ItemGraph
    latent_index: Tensor
    mixture: Tensor
    latent: tuple[Relation, ...]

    @property
    def relations(self) -> RelationVocabulary:
        """All relations in the order of a relation table: ``R`` of the graph, then ``K`` latent."""
        return self.graph.relations.add(*self.latent)

    @property
    def num_pairs(self) -> int:
        return int(self.latent_index.shape[1])

    def detach(self) -> EnrichedGraph:
        """The same graph with latent weights off the tape."""
        return EnrichedGraph(self.graph, self.latent_index, self.mixture.detach(), self.latent)

    def __repr__(self) -> str:
        mass = self.mixture.detach().sum(0).tolist()
        parts = ", ".join(f"{r.name} {m:,.1f}" for r, m in zip(self.latent, mass, strict=True))
        tape = "on the tape" if self.mixture.requires_grad else "constant"
        return f"EnrichedGraph({self.graph!r} + {self.num_pairs:,} latent edges, {tape}, total weight {parts})"


def enrich(
    graph: ItemGraph,
    pairs: Tensor,
    posterior: Posterior,
    names: Sequence[str] | None = None,
    min_weight: float = 0.0,
) -> EnrichedGraph:
    """Add latent edges for candidate pairs.

    Args:
        graph: the predefined graph.
        pairs: ``(2, P)`` int64 item nodes, from i (row 0) to j (row 1).
        posterior: ``(i (P,), j (P,)) -> (P, K)``, the weights of the K latent relations without the state "none".
        names: K names; ``latent_0 … latent_{K-1}`` where None.
        min_weight: smaller weights become exactly 0 and pass no gradient. Pairs stay, so that an adjacency prepared
            for them stays valid.

    Raises:
        DataError: pairs are not items of the graph, the posterior has another shape or is not finite, or a name is
            taken or missing.
    """
    if pairs.dim() != 2 or pairs.shape[0] != 2 or pairs.dtype != torch.int64:
        raise DataError(f"Candidate pairs must be (2, P) int64; got {tuple(pairs.shape)} {pairs.dtype}.")
    if pairs.numel() and (int(pairs.min()) < 1 or int(pairs.max()) > graph.num_items):
        raise DataError(f"A candidate pair names a node outside the items 1…{graph.num_items}.")
    mixture = posterior(pairs[0], pairs[1])
    if mixture.dim() != 2 or mixture.shape[0] != pairs.shape[1]:
        raise DataError(f"The posterior of {pairs.shape[1]} pairs must be (P, K); got {tuple(mixture.shape)}.")
    # a sum is not finite where any of its numbers is not, and needs no table of answers
    if not bool(torch.isfinite(mixture.detach().sum(dtype=torch.promote_types(mixture.dtype, torch.float32)))):
        raise DataError("The posterior of a candidate pair is not finite; check the language vectors for NaN.")
    if min_weight > 0:
        mixture = torch.where(mixture >= min_weight, mixture, torch.zeros_like(mixture))
    chosen = tuple(names) if names is not None else tuple(f"latent_{k}" for k in range(mixture.shape[1]))
    if len(chosen) != mixture.shape[1]:
        raise DataError(f"There are {len(chosen)} names for {mixture.shape[1]} latent relations; give one each.")
    enriched = EnrichedGraph(graph, pairs, mixture, tuple(Relation(name, "latent") for name in chosen))
    RelationVocabulary(enriched.relations)
    return enriched
