"""How a message is composed of a node vector and a relation vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.errors import ConfigError, nearest


class Composition(NamedTuple):
    """φ(h, z) as ``join(node(h) ⊙ relation(z))``, which the sums over edges and relations pass through."""

    node: Callable[[Tensor], Tensor]
    relation: Callable[[Tensor], Tensor]
    join: Callable[[Tensor, int], Tensor]


def _correlation_node(h: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(h)
    return torch.cat([spectrum.real, spectrum.imag, spectrum.real, spectrum.imag], dim=-1)


def _correlation_relation(z: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(z)
    return torch.cat([spectrum.real, spectrum.imag, spectrum.imag, spectrum.real], dim=-1)


def _correlation_join(product: Tensor, width: int) -> Tensor:
    if not product.numel():  # a Fourier transform of no rows is an error
        return product[..., :width]
    real, imaginary, cross, crossed = product.chunk(4, dim=-1)
    return torch.fft.irfft(torch.complex(real + imaginary, cross - crossed), n=width)


def _rotate_relation(z: Tensor) -> Tensor:
    real, imaginary = F.normalize(z.unflatten(-1, (2, -1)), dim=-2).unbind(-2)
    return torch.cat([real, imaginary, imaginary, real], dim=-1)


def _rotate_join(product: Tensor, width: int) -> Tensor:
    real, imaginary, cross, crossed = product.chunk(4, dim=-1)
    return torch.cat([real - imaginary, cross + crossed], dim=-1)


COMPOSITIONS: dict[str, Composition] = {
    "multiply": Composition(lambda h: h, lambda z: z, lambda product, width: product),
    "subtract": Composition(
        lambda h: torch.cat([h, torch.ones_like(h)], dim=-1),
        lambda z: torch.cat([torch.ones_like(z), -z], dim=-1),
        lambda product, width: product[..., :width] + product[..., width:],
    ),
    "correlation": Composition(_correlation_node, _correlation_relation, _correlation_join),
    "rotate": Composition(lambda h: torch.cat([h, h], dim=-1), _rotate_relation, _rotate_join),
}
"""By name.

``multiply``, ``subtract`` and ``correlation`` (circular, h ⋆ z) are those of CompGCN (arXiv 1911.03082). ``rotate``
is that of RotatE (arXiv 1902.10197): the first half of a vector holds real parts and the second imaginary ones, and
each complex number of h is multiplied by that of z brought to modulus 1.
"""


def check_composition(name: str, width: int) -> None:
    """Whether there is a composition of that name for vectors of ``width`` channels.

    Raises:
        ConfigError: an unknown name, or ``rotate`` with an odd width.
    """
    if name not in COMPOSITIONS:
        raise ConfigError(
            f"Unknown composition '{name}'; known are {', '.join(COMPOSITIONS)}{nearest(name, COMPOSITIONS)}."
        )
    if name == "rotate" and width % 2:
        raise ConfigError(f"'rotate' reads two channels as one complex number; give an even width, not {width}.")


def identity_relation(name: str, width: int) -> Tensor:
    """``(width,)``: the relation vector that leaves h as it is; 0 for ``correlation``, which has none of use."""
    vector = torch.zeros(width)
    if name == "multiply":
        vector += 1
    elif name == "rotate":
        vector[: width // 2] = 1
    return vector
