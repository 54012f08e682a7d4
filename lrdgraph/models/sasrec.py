"""SASRec: self-attention over the history, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, SequentialSettings, Time


@dataclass(frozen=True)
class SASRecSettings(SequentialSettings):
    """As the shell, without times; ``text`` adds the projected language vector to each item."""

    text: bool = False
    time: Time = "none"


@register("sasrec")
class SASRec(SequentialRecommender):
    """Kang and McAuley, *Self-Attentive Sequential Recommendation* (arXiv 1808.09781), by default with cross-entropy.

    The default loss is the one of the flagship, since with it SASRec is far stronger than with its original binary loss
    (Klenitskiy and Vasilev, arXiv 2309.07602). ``loss="bce"`` with ``num_negatives=1`` is the original; ``"gbce"`` with
    256 and ``calibration=0.75`` is gSASRec (Petrov and Macdonald, arXiv 2308.07192).
    """

    Settings = SASRecSettings
    name = "sasrec"
