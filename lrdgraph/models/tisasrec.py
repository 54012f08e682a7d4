"""TiSASRec: self-attention that knows the time between any two events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.batch import Batch
from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, SequentialSettings, Time
from lrdgraph.nn.interval_transformer import IntervalTransformer


@dataclass(frozen=True)
class TiSASRecSettings(SequentialSettings):
    """As the shell, without texts; ``time`` adds the gap to the request or to the next event, which it does without.

    Attributes:
        num_intervals: units of time that are told apart.
    """

    text: bool = False
    time: Time = "none"
    num_intervals: Annotated[int, Gt(0)] = 256


@register("tisasrec")
class TiSASRec(SequentialRecommender):
    """Li et al., *Time Interval Aware Self-Attention for Sequential Recommendation* (WSDM 2020).

    With the loss of the shell, by default cross-entropy; ``loss="bce"`` with ``num_negatives=1`` is the original. Its
    places are part of the attention and not of the vectors. See
    :class:`lrdgraph.nn.interval_transformer.IntervalTransformer` for the unit of time.
    """

    Settings = TiSASRecSettings
    name = "tisasrec"
    positions = False

    def sequence_encoder(self) -> nn.Module:
        settings = self.settings
        return IntervalTransformer(
            settings.hidden_channels,
            settings.max_length,
            settings.num_intervals,
            settings.num_layers,
            settings.num_heads,
            settings.dropout,
        )

    def encode(self, batch: Batch, vectors: Tensor) -> Tensor:
        x = self.read(batch, vectors)
        return self.encoder(F.dropout(x, self.settings.dropout, self.training), batch.history > 0, batch.history_time)
