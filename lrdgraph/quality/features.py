"""What the simple methods know of a pair of items: its texts, how often it was bought, how popular it is, nothing.

Features are callables ``(i, j) -> (*, F)`` over items of shapes that broadcast to ``*``, so that ``i (B, 1)`` and
``j (1, N)`` give all tails of ``B`` heads. A family is a callable ``(inputs, seed) -> {name: features}``: it may train
on the inputs, which hold nothing that is hidden, and gives one or several sets of features, each with a name that says
what it reads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lrdgraph.discovery.encoders import StandardText
from lrdgraph.discovery.pairs import history_pairs
from lrdgraph.models.inputs import ModelInputs

PairFeatures = Callable[[Tensor, Tensor], Tensor]
Family = Callable[[ModelInputs, int], dict[str, PairFeatures]]


def text_features(inputs: ModelInputs, seed: int = 0) -> dict[str, PairFeatures]:
    """``cosine``: of the language vectors, one number. ``text-product``: their product coordinate by coordinate, T.

    The product is of centred vectors, as discovery reads them. It is symmetric too, but a head on it weighs every
    coordinate by itself: a bilinear model of the texts that is fitted on the very links that are asked for.
    """
    text = inputs.need_text("text")
    unit = normalize(text, dim=1)
    standard = StandardText(text[1:])
    centred = torch.cat([text[:1], standard(text[1:])])

    def cosine(i: Tensor, j: Tensor) -> Tensor:
        return torch.einsum("...t,...t->...", unit[i], unit[j])[..., None]

    def product(i: Tensor, j: Tensor) -> Tensor:
        return centred[i] * centred[j]

    return {"cosine": cosine, "text-product": product}


def cooccurrence_features(inputs: ModelInputs, seed: int = 0, max_gap: int = 3) -> dict[str, PairFeatures]:
    """``co-occurrence``: ``log(1 + n)`` of how often i stands before j in training histories, and of j before i.

    Args:
        inputs: give training events.
        seed: not used.
        max_gap: how many events apart the two may stand; discovery is trained on the same pairs.
    """
    base = inputs.num_items + 1
    before = history_pairs(inputs.sequences(), max_gap)
    keys, counts = (before[0] * base + before[1]).unique(return_counts=True)
    value = torch.cat([counts.float().log1p(), torch.zeros(1)])

    def count(i: Tensor, j: Tensor) -> Tensor:
        wanted = i * base + j
        at = torch.searchsorted(keys, wanted).clamp_max(max(len(keys) - 1, 0))
        found = keys[at] == wanted if len(keys) else torch.zeros_like(wanted, dtype=torch.bool)
        return value[torch.where(found, at, -1)]

    return {"co-occurrence": lambda i, j: torch.stack([count(i, j), count(j, i)], dim=-1)}


def popularity_features(inputs: ModelInputs, seed: int = 0) -> dict[str, PairFeatures]:
    """``popularity``: ``log(1 + n)`` of the training events of either item."""
    logs = inputs.popularity.log1p()

    def features(i: Tensor, j: Tensor) -> Tensor:
        return torch.stack(torch.broadcast_tensors(logs[i], logs[j]), dim=-1)

    return {"popularity": features}


def random_features(inputs: ModelInputs, seed: int = 0, channels: int = 64) -> dict[str, PairFeatures]:
    """``random``: the cosine of Gaussian vectors, which knows nothing."""
    generator = torch.Generator().manual_seed(seed)
    unit = normalize(torch.randn(inputs.num_items + 1, channels, generator=generator), dim=1)
    return {"random": lambda i, j: torch.einsum("...t,...t->...", unit[i], unit[j])[..., None]}


def joined(*features: PairFeatures) -> PairFeatures:
    """Several sets of features as one, side by side."""
    return lambda i, j: torch.cat([one(i, j) for one in features], dim=-1)
