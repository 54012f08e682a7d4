"""NARM: a recurrent network that attends to its own past."""

from __future__ import annotations

from torch import nn

from lrdgraph.models.gru4rec import GRU4RecSettings
from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender
from lrdgraph.nn.recurrent import AttentiveRecurrentEncoder


@register("narm")
class NARM(SequentialRecommender):
    """Li et al., *Neural Attentive Session-based Recommendation* (arXiv 1711.04725), with the loss of the shell."""

    Settings = GRU4RecSettings
    name = "narm"
    positions = False

    def sequence_encoder(self) -> nn.Module:
        settings = self.settings
        return AttentiveRecurrentEncoder(settings.hidden_channels, settings.num_layers, settings.dropout)
