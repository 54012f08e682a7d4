"""Held-out relations: how well each method ranks the links that were hidden from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.evaluation.link_ranks import filtered_ranks, link_metrics
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality.features import Family, PairFeatures
from lrdgraph.quality.head import FOLDS, Head, fit_head, labelled_pairs
from lrdgraph.quality.hidden import Hidden, Links, hide_pairs, hide_relation

Metrics = dict[str, float]
FEATURE_CELLS = 1 << 24
"""Features that stand at once."""


@runtime_checkable
class OwnScore(Protocol):
    """Features of a method that also has a score of its own for each relation that it was trained on."""

    names: tuple[str, ...]

    def own_score(self, relation: str, side: Literal["tail", "head"]) -> PairFeatures:
        """``(i, j) -> (*)``, to rank tails or heads by."""
        ...


def recover_pairs(
    inputs: ModelInputs, families: Iterable[Family], *, share: float = 0.2, negatives: int = 10, seed: int = 0
) -> dict[str, dict[str, Metrics]]:
    """Task (a): hide a share of all item pairs in every relation, train each family on the rest, rank what is hidden.

    Heads are fitted on the visible links of each relation. ``seed`` is that of all chance: what is hidden, the
    training of a family, random pairs and folds. Returns what :func:`recover` does.
    """
    return _recovered(inputs, hide_pairs(inputs.need_graph("recovery"), share, seed), families, negatives, seed)


def recover_relation(
    inputs: ModelInputs,
    name: str,
    families: Iterable[Family],
    *,
    shown: float = 0.05,
    negatives: int = 10,
    seed: int = 0,
) -> dict[str, dict[str, Metrics]]:
    """Task (b): hide one relation whole, train each family without it, rank all of its links but those that are shown.

    Heads are fitted on the links of the share ``shown`` of its pairs; ``seed`` is as for :func:`recover_pairs`.

    Raises:
        ConfigError, UnknownIdError, DataError: as :func:`without_relation` and :func:`recover`.
    """
    return _recovered(inputs, without_relation(inputs, name, shown, seed), families, negatives, seed)


def without_relation(inputs: ModelInputs, name: str, shown: float = 0.05, seed: int = 0) -> Hidden:
    """The graph as :func:`recover_relation` hides a relation of it.

    Raises:
        ConfigError, UnknownIdError: as :func:`lrdgraph.quality.hidden.hide_relation`.
        DataError: the relation has too few links to hide some and fit a head on the others.
    """
    hidden = hide_relation(inputs.need_graph("recovery"), name, shown, seed)
    links = hidden.links[name]
    if links.shown.size(1) < FOLDS:
        raise DataError(
            f"'{name}' has {links.all.size(1)} links, of which a share of {shown} shows {links.shown.size(1)} and a "
            f"head needs at least {FOLDS}; raise the share, on the command line with --shown."
        )
    return hidden


def _recovered(
    inputs: ModelInputs, hidden: Hidden, families: Iterable[Family], negatives: int, seed: int
) -> dict[str, dict[str, Metrics]]:
    visible = replace(inputs, graph=hidden.graph)
    methods = {name: features for family in families for name, features in family(visible, seed).items()}
    return recover(hidden, methods, negatives=negatives, seed=seed)


def recover(
    hidden: Hidden,
    methods: Mapping[str, PairFeatures],
    *,
    negatives: int = 10,
    max_shown: int = 5_000,
    seed: int = 0,
) -> dict[str, dict[str, Metrics]]:
    """Fit one head on each method's features and rank what is hidden; all methods get the same labels.

    A hidden link (i, r, j) asks twice: for j among all items as tails of i, and for i among all items as heads of j,
    the item asked of and all other recorded answers left out. ``MRR`` and ``Hits@k`` are means over both questions,
    ``tail/…`` and ``head/…`` over one.

    Args:
        hidden: from :func:`lrdgraph.quality.hidden.hide_pairs` or :func:`lrdgraph.quality.hidden.hide_relation`.
        methods: name → features, trained on the visible graph alone. One with an ``own_score`` for the relation is
            ranked by that as well, under its name and ``" (own score)"``.
        negatives: random pairs beside each link that a head is fitted on.
        max_shown: links that a head is fitted on at most, drawn at random.
        seed: of random pairs, folds and what is drawn.

    Returns:
        relation → method → metric → value, with ``"strength"``, the head's chosen C.

    Raises:
        DataError: features or scores are not finite, or too few links are shown.
    """
    num_items = hidden.graph.num_items
    found: dict[str, dict[str, Metrics]] = {}
    for relation, links in hidden.links.items():
        generator = torch.Generator().manual_seed(seed)
        some = torch.randperm(links.shown.size(1), generator=generator)[:max_shown]
        pairs, labels = labelled_pairs(links.shown[:, some], num_items, negatives, seed)
        found[relation] = {}
        for name, features in methods.items():
            head = fit_head(features(pairs[0], pairs[1]), labels, seed=seed)
            score = scorer(features, head)
            ranks = rank_links(score, score, links, num_items, cells_per_pair=len(head.weight))
            found[relation][name] = ranked_metrics(ranks) | {"strength": head.strength}
            if isinstance(features, OwnScore) and relation in features.names:
                tails, heads = (features.own_score(relation, side) for side in ("tail", "head"))
                ranks = rank_links(tails, heads, links, num_items)
                found[relation][f"{name} (own score)"] = ranked_metrics(ranks)
    return found


def scorer(features: PairFeatures, head: Head) -> PairFeatures:
    """``(i, j) -> (*)``, a head's scores of a method's features."""
    return lambda i, j: head(features(i, j))


def rank_links(
    tails: PairFeatures, heads: PairFeatures, links: Links, num_items: int, *, cells_per_pair: int = 1
) -> dict[str, np.ndarray]:
    """Filtered ranks of hidden links.

    Args:
        tails, heads: ``(i, j) -> (*)``, scores of the link from i to j by which tails and heads are ranked.
        links: which are hidden, and which others are true.
        num_items: ``N``.
        cells_per_pair: numbers that a score makes on its way, for the size of the blocks.

    Returns:
        ``"tail"`` and ``"head"``: ranks ``(m,)`` of the hidden links, in their order.
    """
    everything = torch.arange(num_items + 1)
    queries = max(1, FEATURE_CELLS // (cells_per_pair * len(everything)))

    def of_tails(query: Tensor) -> Tensor:
        return tails(query[:, None], everything[None])

    def of_heads(query: Tensor) -> Tensor:
        return heads(everything[None], query[:, None])

    (head, tail), known = links.hidden, links.all
    with torch.no_grad():
        return {
            "tail": filtered_ranks(of_tails, head, tail, known, queries=queries),
            "head": filtered_ranks(of_heads, tail, head, known.flip(0), queries=queries),
        }


def ranked_metrics(ranks: Mapping[str, np.ndarray]) -> Metrics:
    """Metrics over both questions, and over each."""
    both = link_metrics(np.concatenate(list(ranks.values())))
    return both | {f"{side}/{name}": value for side, r in ranks.items() for name, value in link_metrics(r).items()}
