"""Encoders ``q(r | i, j)``: from the language vectors of two items to logits over states.

An encoder splits its work in two: :meth:`PairEncoder.items` does what depends on one item, once for each item, and
:meth:`PairEncoder.pairs` does the rest, in memory ``O(P·(D + S))``: no tensor of ``P × S × D`` ever stands.
Text is expected as :class:`StandardText` gives it, with coordinates of about unit variance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from lrdgraph.errors import ConfigError, DataError, nearest
from lrdgraph.nn.moments import MANY, column_moments

ItemTerms = tuple[Tensor, ...]
"""What an encoder knows of each item alone; every tensor has one row for each item."""


def check_text(text: Tensor) -> None:
    """Refuse what are no language vectors ``(N + 1, T)``.

    Raises:
        DataError: the shape is another, or a number is not finite.
    """
    if text.dim() != 2 or len(text) < 3:
        raise DataError(f"Text must be (N + 1, T) with at least two items; got {tuple(text.shape)}.")
    if not bool(torch.isfinite(text).all()):
        row = int((~torch.isfinite(text)).any(1).nonzero()[0])
        raise DataError(f"The language vector of item {row} holds NaN or infinity; encode the texts again.")


class StandardText(nn.Module):
    """Centre language vectors and bring them to one scale: ``(t − mean) / scale``.

    Sentence vectors share a large common direction, so raw cosines are all alike; and a vector of unit length has
    coordinates near ``1 / √T``, so that logits of a fresh encoder would all but vanish. The scale is one number for
    all coordinates, which keeps the angles between centred vectors. Both are measured once and saved with the weights.

    Args:
        text: ``(N, T)`` vectors to measure.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, text: Tensor) -> None:
        super().__init__()
        if len(text) > MANY:
            mean, variance = (moment.float() for moment in column_moments(text))
            scale = variance.mean().sqrt()
        else:
            mean = text.float().mean(0)
            scale = (text - mean).square().mean().sqrt()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.where(scale > 0, scale, torch.ones_like(scale)))

    def forward(self, text: Tensor) -> Tensor:
        return (text - self.mean).div_(self.scale)


class PlainText(nn.Module):
    """Language vectors as they are, in the precision of the weights they meet."""

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        # goes with the module from one precision to another
        self.register_buffer("weights", torch.empty(0), persistent=False)

    def forward(self, text: Tensor) -> Tensor:
        return text.to(self.weights.dtype)


class PairEncoder(nn.Module, ABC):
    """Logits of ``S`` states for ordered pairs of items.

    Args:
        text_channels: language width ``T``.
        num_states: ``S``.
        hidden_channels: width ``D`` of the projections.
    """

    def __init__(self, text_channels: int, num_states: int, hidden_channels: int) -> None:
        super().__init__()
        self.num_states = num_states

    @abstractmethod
    def items(self, text: Tensor) -> ItemTerms:
        """Terms of each item, from text ``(n, T)``."""

    @abstractmethod
    def pairs(self, terms: ItemTerms, i: Tensor, j: Tensor) -> Tensor:
        """Logits ``(*, S)`` of pairs; ``i`` and ``j`` are rows of ``terms``, of shapes that broadcast to ``*``."""

    def ends(self, first: Tensor, second: Tensor) -> tuple[ItemTerms, int]:
        """Terms for pairs from items of text ``first (n, T)`` to items of ``second (m, T)``.

        Returns:
            Terms for :meth:`pairs`, with ``i`` a row of ``first`` and ``j`` one of ``second``, and what to add to
            ``j``. An encoder that asks different things of both ends computes of each what is asked of it.
        """
        return self.items(torch.cat([first, second])), len(first)

    @abstractmethod
    def factors(self, terms: ItemTerms) -> tuple[Tensor, Tensor, Tensor]:
        """``left (n, F), right (n, F), weight (S, F)`` with ``f_s(i, j) = Σ_f left_if · weight_sf · right_jf``.

        The logits of a large, fixed set of pairs are then one :class:`lrdgraph.nn.sparse_products.PairProduct`.
        """


class AdditiveEncoder(PairEncoder):
    """``f = W₂ [W₁ t_i + b₁ ; W₁ t_j + b₁] + b₂``, the encoder of LRD (arXiv 2403.18348, eq. 6).

    It is linear, so ``f_r(i, j) = a_r(i) + b_r(j)``: it cannot see any interplay of the two items, such as that they
    share a brand.
    """

    def __init__(self, text_channels: int, num_states: int, hidden_channels: int, *, bias: bool = True) -> None:
        super().__init__(text_channels, num_states, hidden_channels)
        self.project = nn.Linear(text_channels, hidden_channels, bias=bias)
        self.score = nn.Linear(2 * hidden_channels, num_states, bias=bias)

    def items(self, text: Tensor) -> ItemTerms:
        # two linear maps in a row are one, of fewer columns
        ends = torch.cat(self.score.weight.chunk(2, dim=1))  # (2S, D)
        projected = nn.functional.linear(text, ends @ self.project.weight)  # (n, 2S)
        head, tail = projected.chunk(2, dim=1)
        if self.project.bias is not None:
            of_head, of_tail = (ends @ self.project.bias).chunk(2)
            head, tail = head + of_head, tail + of_tail + self.score.bias
        return head, tail

    def pairs(self, terms: ItemTerms, i: Tensor, j: Tensor) -> Tensor:
        head, tail = terms
        return embedding(i, head) + embedding(j, tail)

    def factors(self, terms: ItemTerms) -> tuple[Tensor, Tensor, Tensor]:
        return _unary_factors(*terms)


class InteractionEncoder(PairEncoder):
    """``f_r = (P t_i ⊙ m_r)·(Q t_j) + a_r·P t_i + b_r·Q t_j + c_r``.

    P and Q differ, so that ``f(i, j)`` and ``f(j, i)`` do. A fresh encoder gives logits of about ``gain`` standard
    deviation: neither uniform, where all states would learn the same, nor decided before anything is learned.
    """

    def __init__(self, text_channels: int, num_states: int, hidden_channels: int, *, gain: float = 0.5) -> None:
        super().__init__(text_channels, num_states, hidden_channels)
        self.head = nn.Linear(text_channels, hidden_channels, bias=False)
        self.tail = nn.Linear(text_channels, hidden_channels, bias=False)
        for layer in (self.head, self.tail):
            nn.init.normal_(layer.weight, std=text_channels**-0.5)
        deviation = gain / (3 * hidden_channels) ** 0.5
        self.both = nn.Parameter(torch.randn(num_states, hidden_channels) * deviation)
        self.head_only = nn.Parameter(torch.randn(num_states, hidden_channels) * deviation)
        self.tail_only = nn.Parameter(torch.randn(num_states, hidden_channels) * deviation)
        self.bias = nn.Parameter(torch.zeros(num_states))

    def items(self, text: Tensor) -> ItemTerms:
        return self.ends(text, text)[0]

    def ends(self, first: Tensor, second: Tensor) -> tuple[ItemTerms, int]:
        head, tail = self.head(first), self.tail(second)
        return (head, tail, head @ self.head_only.T + self.bias, tail @ self.tail_only.T), 0

    def pairs(self, terms: ItemTerms, i: Tensor, j: Tensor) -> Tensor:
        head, tail, of_head, of_tail = terms
        both = (embedding(i, head) * embedding(j, tail)) @ self.both.T
        return both + embedding(i, of_head) + embedding(j, of_tail)

    def factors(self, terms: ItemTerms) -> tuple[Tensor, Tensor, Tensor]:
        head, tail, of_head, of_tail = terms
        left, right, weight = _unary_factors(of_head, of_tail)
        return torch.cat([head, left], 1), torch.cat([tail, right], 1), torch.cat([self.both, weight], 1)


def _unary_factors(of_head: Tensor, of_tail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factors of ``a_s(i) + b_s(j)``: each term times one."""
    # under autocast a term with a bias is float32 and one without is not
    exact = torch.promote_types(of_head.dtype, of_tail.dtype)
    of_head, of_tail = of_head.to(exact), of_tail.to(exact)
    ones, states = torch.ones_like(of_head), torch.eye(of_head.size(1), device=of_head.device, dtype=of_head.dtype)
    return torch.cat([of_head, ones], 1), torch.cat([ones, of_tail], 1), torch.cat([states, states], 1)


EncoderFactory = Callable[[int, int, int], PairEncoder]
Factory = TypeVar("Factory", bound=EncoderFactory)
_encoders: dict[str, EncoderFactory] = {}


def register_encoder(name: str) -> Callable[[Factory], Factory]:
    """Make an encoder known by name: ``@register_encoder("mine")`` above a :class:`PairEncoder`."""

    def add(factory: Factory) -> Factory:
        _encoders[name] = factory
        return factory

    return add


register_encoder("additive")(AdditiveEncoder)
register_encoder("interaction")(InteractionEncoder)


def encoder_names() -> list[str]:
    """Names of all registered encoders."""
    return sorted(_encoders)


def make_encoder(name: str, text_channels: int, num_states: int, hidden_channels: int) -> PairEncoder:
    """A fresh encoder by name.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in _encoders:
        known = ", ".join(encoder_names())
        raise ConfigError(f"Unknown encoder '{name}'{nearest(name, _encoders)}; known are {known}.")
    return _encoders[name](text_channels, num_states, hidden_channels)
