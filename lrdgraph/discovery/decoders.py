"""Decoders: interaction functions ``s(i, r, j)`` that say how well relation r leads from item i to item j.

A decoder holds no weights. It reads the raw item vectors ``x`` and relation vectors ``z`` it is given, so that a
recommender can share its own tables with discovery. A new one needs :meth:`Decoder.score` alone; where the score is
a dot product of a query with the candidate, the two query methods make it fast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, nearest


class Decoder(ABC):
    """An interaction function over vectors of one width ``D``.

    Relations ``(K, D)`` are shared by all pairs; ``(P, K, D)`` are each pair's own.
    """

    @abstractmethod
    def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        """``s(head, relation, tail)``: shapes ``(*, D)`` that broadcast, to ``(*)``."""

    def score_tails(self, head: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        """Scores ``(P, K, C)`` of candidate tails ``(C, D)`` for each head ``(P, D)`` and relation ``(K, D)``."""
        return self.score(head[:, None, None], relation[..., None, :], candidates)

    def score_heads(self, tail: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        """Scores ``(P, K, C)`` of candidate heads ``(C, D)`` for each tail ``(P, D)`` and relation ``(K, D)``."""
        return self.score(candidates, relation[..., None, :], tail[:, None, None])


class DotDecoder(Decoder):
    """A decoder whose score is linear in head and in tail: all candidates are scored by one matrix product."""

    @abstractmethod
    def tail_query(self, head: Tensor, relation: Tensor) -> Tensor:
        """The vector whose dot product with the tail is the score."""

    @abstractmethod
    def head_query(self, tail: Tensor, relation: Tensor) -> Tensor:
        """The vector whose dot product with the head is the score."""

    def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return (self.tail_query(head, relation) * tail).sum(-1)

    def score_tails(self, head: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return self.tail_query(head[:, None], relation) @ candidates.T

    def score_heads(self, tail: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return self.head_query(tail[:, None], relation) @ candidates.T


class DistMult(DotDecoder):
    """``Σ x_i ⊙ z_r ⊙ x_j`` (arXiv 1412.6575). Symmetric: it cannot tell a relation from its inverse."""

    def tail_query(self, head: Tensor, relation: Tensor) -> Tensor:
        return head * relation

    def head_query(self, tail: Tensor, relation: Tensor) -> Tensor:
        return tail * relation


class ComplEx(DotDecoder):
    """``Re Σ x_i ⊙ z_r ⊙ conj(x_j)`` (arXiv 1606.06357); the halves of a vector are its real and imaginary parts."""

    def tail_query(self, head: Tensor, relation: Tensor) -> Tensor:
        return _times(head, relation)

    def head_query(self, tail: Tensor, relation: Tensor) -> Tensor:
        return _times(tail, _conjugate(relation))


class TransE(Decoder):
    """``−‖x_i + z_r − x_j‖²`` (Bordes et al., NIPS 2013)."""

    def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return -(head + relation - tail).square().sum(-1)

    def score_tails(self, head: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return _negative_distance(head[:, None] + relation, candidates)

    def score_heads(self, tail: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return _negative_distance(tail[:, None] - relation, candidates)


class Published(Decoder):
    """``Σ z_r ⊙ (x_i ⊙ x_j + x_i + x_j)``, as in the public LRD code (github.com/ysh-1998/LRD); symmetric."""

    def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return (relation * (head * tail + head + tail)).sum(-1)

    def score_tails(self, head: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return (relation * (1 + head[:, None])) @ candidates.T + (relation * head[:, None]).sum(-1, keepdim=True)

    def score_heads(self, tail: Tensor, relation: Tensor, candidates: Tensor) -> Tensor:
        return self.score_tails(tail, relation, candidates)


def _times(left: Tensor, right: Tensor) -> Tensor:
    if left.shape[-1] % 2:
        raise ConfigError(f"ComplEx needs vectors of even width, got {left.shape[-1]}; change hidden_channels.")
    (a, b), (c, d) = left.chunk(2, dim=-1), right.chunk(2, dim=-1)
    return torch.cat([a * c - b * d, a * d + b * c], dim=-1)


def _conjugate(vector: Tensor) -> Tensor:
    real, imaginary = vector.chunk(2, dim=-1)
    return torch.cat([real, -imaginary], dim=-1)


def _negative_distance(query: Tensor, candidates: Tensor) -> Tensor:
    lengths = query.square().sum(-1, keepdim=True) + candidates.square().sum(-1)
    return 2 * query @ candidates.T - lengths


_decoders: dict[str, type[Decoder]] = {}


def register_decoder(name: str) -> Callable[[type[Decoder]], type[Decoder]]:
    """Make a decoder known by name: ``@register_decoder("mine")`` above a :class:`Decoder`."""

    def add(kind: type[Decoder]) -> type[Decoder]:
        _decoders[name] = kind
        return kind

    return add


for _name, _kind in {"distmult": DistMult, "complex": ComplEx, "transe": TransE, "published": Published}.items():
    register_decoder(_name)(_kind)


def decoder_names() -> list[str]:
    """Names of all registered decoders."""
    return sorted(_decoders)


def make_decoder(name: str) -> Decoder:
    """A decoder by name.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in _decoders:
        known = ", ".join(decoder_names())
        raise ConfigError(f"Unknown decoder '{name}'{nearest(name, _decoders)}; known are {known}.")
    return _decoders[name]()


def initial_relations(num_latent: int, hidden_channels: int) -> Tensor:
    """``(K, D)`` vectors of which each stands on dimensions of its own, with a little noise.

    A mixture of bilinear models has many poor optima in which every relation explains a bit of everything, and from
    alike or random vectors training ends in one of them. With a subspace of its own, each relation begins as a model
    by itself, and the pairs that it explains best become its own. More relations than dimensions share them: each
    stands on a quarter of them, drawn at random.
    """
    if num_latent > hidden_channels:
        shared = (torch.rand(num_latent, hidden_channels) < 0.25).float()
        return shared + 0.05 * torch.randn(num_latent, hidden_channels)
    owner = torch.arange(hidden_channels) * num_latent // hidden_channels
    blocks = (owner == torch.arange(num_latent)[:, None]).float()
    return blocks + 0.05 * torch.randn(num_latent, hidden_channels)
