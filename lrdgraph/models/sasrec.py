"""SASRec: self-attention over the history, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, SequentialSettings


@dataclass(frozen=True)
class SASRecSettings(SequentialSettings):
    """As the shell, without times; ``text`` adds the projected language vector to each item."""

    text: bool = False
    time: str = "none"


@register("sasrec")
class SASRec(SequentialRecommender):
    """Kang and McAuley, *Self-Attentive Sequential Recommendation* (arXiv 1808.09781), with full cross-entropy.

    The loss is the one of the flagship, since with it SASRec is far stronger than with its original binary loss
    (Klenitskiy and Vasilev, arXiv 2309.07602).
    """

    Settings = SASRecSettings
    name = "sasrec"
