"""A shop in which one word joins the pairs of each relation, a control of random pairs, and a model that recites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.graph.relations import Relation, RelationVocabulary
from lrdgraph.naming.chat import Turn
from lrdgraph.vocabulary import Vocabulary

WORDS = ("camping", "kitchen", "garden")
ITEMS = 120


def titles(seed: int = 0) -> list[str]:
    """Item ``n`` has a number of its own, two random words and a word of ``WORDS``, by thirds."""
    rng = np.random.default_rng(seed)
    filling = [f"{rng.choice(list('abcdefgh'))}{rng.choice(['or', 'um', 'ix', 'ae'])}" for _ in range(2 * ITEMS)]
    return [f"{filling[2 * n]} {filling[2 * n + 1]} {WORDS[n % 3]} {n}" for n in range(ITEMS)]


def planted(*, shuffled: bool = False, turned: float = 0.0, seed: int = 0) -> EnrichedGraph:
    """Pairs of items of one third, both ways; relation ``k`` is clear for third ``k``, or for random pairs.

    Args:
        shuffled: deal the clear pairs to the relations at random (a control).
        turned: how much less a pair from a larger to a smaller item says.
        seed: of chance.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.integers(1, ITEMS + 1, (2, 900))
    second = second - (second - first) % 3  # of the same third
    second[second < 1] += 3
    keep = first != second
    pairs = np.unique(np.sort(np.stack([first, second])[:, keep], axis=0), axis=1)
    clear = (pairs[0] - 1) % 3
    if shuffled:
        clear = rng.permutation(clear)
    forth = np.full((pairs.shape[1], 3), 0.05) + rng.random((pairs.shape[1], 3)) * 0.02
    forth[np.arange(len(clear)), clear] += 0.5 + 0.3 * rng.random(len(clear))
    back = forth.copy()
    back[np.arange(len(clear)), clear] *= 1 - turned
    graph = ItemGraph(
        edge_index=torch.tensor([[1], [2]]),
        edge_type=torch.tensor([0]),
        edge_weight=torch.ones(1),
        relations=RelationVocabulary([Relation("needs", label="needs this")]),
        items=Vocabulary([f"i{n}" for n in range(ITEMS)]),
        attributes=Vocabulary([], "attribute"),
    )
    both = torch.from_numpy(np.concatenate([pairs, pairs[::-1]], axis=1).copy())
    mixture = torch.from_numpy(np.concatenate([forth, back])).float()
    return enrich(graph, both, lambda i, j: mixture)


class Reciter:
    """A chat that gives the next of its answers, and keeps what it was asked."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[list[Turn]] = []
        self.limits: set[int] = set()

    def __call__(self, turns: Sequence[Turn], max_new_tokens: int) -> str:
        self.asked.append(list(turns))
        self.limits.add(max_new_tokens)
        return self.answers[(len(self.asked) - 1) % len(self.answers)]
