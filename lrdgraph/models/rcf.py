"""RCF: relation-aware attention without time."""

from __future__ import annotations

from dataclasses import dataclass

from lrdgraph.models.registry import register
from lrdgraph.models.relation_aware import RelationAware, RelationAwareSettings


@dataclass(frozen=True)
class RCFSettings(RelationAwareSettings):
    """As the shell."""


@register("rcf")
class RCF(RelationAware):
    """*Relational Collaborative Filtering* (Xin et al., arXiv 1904.12796) as the public LRD code has it.

    With ``num_latent`` above 0 it is RCF + LRD (arXiv 2403.18348).
    """

    Settings = RCFSettings
    name = "rcf"
    reads_moment = False
