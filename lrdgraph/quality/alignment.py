"""How much each discovered relation is one that somebody wrote down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lrdgraph.errors import DataError
from lrdgraph.evaluation.agreement import normalised_mutual_information
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.recorded import recorded

TOPS = (100, 1000)


@dataclass(frozen=True)
class Alignment:
    """One discovered relation beside one predefined relation, over all candidate pairs.

    Attributes:
        latent, relation: their names.
        nmi: normalised mutual information of "the pair has the latent relation", with its posterior, and "the
            predefined relation joins it"; it is as high where one says that the other is *not* so.
        precision: number → share of so many pairs of the highest posterior that the predefined relation joins.
        base: share of all candidate pairs that it joins.
        pairs: how many these are.
    """

    latent: str
    relation: str
    nmi: float
    precision: dict[int, float]
    base: float
    pairs: int

    def lift(self, top: int) -> float:
        """Precision at the top over the base rate; 0 where the relation joins no candidate pair."""
        return self.precision[top] / self.base if self.base else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"precision": {str(top): value for top, value in self.precision.items()}}


def align(enriched: EnrichedGraph, tops: Iterable[int] = TOPS) -> list[Alignment]:
    """Every discovered relation k beside every predefined one r, inverses and shared attribute values too.

    With the candidate pairs p, posteriors ``q_pk`` and ``a_pr ∈ {0, 1}``, the joint distribution is
    ``p(k, r) = 1/P Σ_p q_pk a_pr``, and so on for ¬k and ¬r; ``nmi = 2 I / (H(k) + H(r))`` of these 2 × 2 numbers.

    Args:
        enriched: candidate pairs with their posteriors.
        tops: how many pairs of the highest posterior the precisions count; fewer where there are fewer.

    Raises:
        DataError: there are no candidate pairs.
    """
    if not enriched.num_pairs:
        raise DataError("The graph has no candidate pairs, so that no relation was discovered; allow text neighbours.")
    known = recorded(enriched.graph, enriched.latent_index.cpu(), attributes=True)
    mixture = enriched.mixture.detach().cpu().double().numpy()
    found = []
    for k, latent in enumerate(enriched.latent):
        posterior = mixture[:, k]
        order = np.argsort(-posterior, kind="stable")
        for name, joins in known.items():
            precision = {top: float(joins[order[:top]].mean()) for top in tops}
            base, pairs = float(joins.mean()), len(joins)
            found.append(Alignment(latent.name, name, _nmi(posterior, joins), precision, base, pairs))
    return found


def telling_top(tops: Iterable[int], pairs: int, least_lift: float = 2.0) -> int | None:
    """The largest of some tops at which a relation can have twice the least lift; None where none is small enough.

    At the top n of P pairs no lift is larger than P / n, however well a relation is met.
    """
    return max((top for top in tops if 2 * least_lift * top <= pairs), default=None)


def counterparts(
    alignments: Sequence[Alignment], relations: Iterable[str], *, least_lift: float = 2.0
) -> dict[str, str]:
    """The predefined counterpart of each discovered relation that has one.

    That is the relation of the highest normalised mutual information among those whose precision at the
    :func:`telling_top` is at least ``least_lift`` times the base rate.

    Args:
        alignments: from :func:`align`.
        relations: names of the predefined relations that may be one.
        least_lift: what counts as more than chance.
    """
    allowed = set(relations)
    best: dict[str, Alignment] = {}
    for entry in alignments:
        top = telling_top(entry.precision, entry.pairs, least_lift)
        if entry.relation in allowed and top is not None and entry.lift(top) >= least_lift:
            held = best.get(entry.latent)
            best[entry.latent] = entry if held is None or entry.nmi > held.nmi else held
    return {latent: entry.relation for latent, entry in best.items()}


def _nmi(posterior: np.ndarray, joins: np.ndarray) -> float:
    both, mass, base = float(posterior[joins].sum()), float(posterior.sum()), float(joins.sum())
    total = len(posterior)
    joint = np.array([[both, mass - both], [base - both, total - mass - base + both]]) / total
    return normalised_mutual_information(np.clip(joint, 0, None))
