"""GRU4Rec: the history read by a recurrent network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from torch import nn

from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, ShellSettings, Time
from lrdgraph.nn.recurrent import RecurrentEncoder


@dataclass(frozen=True)
class GRU4RecSettings(ShellSettings):
    """As the shell, without texts and times.

    Attributes:
        num_layers: of the GRU.
    """

    text: bool = False
    time: Time = "none"
    num_layers: Annotated[int, Gt(0)] = 1


@register("gru4rec")
class GRU4Rec(SequentialRecommender):
    """Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (arXiv 1511.06939).

    Items that are read and items that are scored share their vectors, and the loss is that of the shell.
    """

    Settings = GRU4RecSettings
    name = "gru4rec"
    positions = False

    def sequence_encoder(self) -> nn.Module:
        settings = self.settings
        return RecurrentEncoder(settings.hidden_channels, settings.num_layers, settings.dropout)
