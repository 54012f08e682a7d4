"""BERT4Rec: events are hidden and told from those on both sides of them; the next one is hidden at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Gt, Interval
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.errors import ConfigError
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, SequentialSettings, Time
from lrdgraph.nn.transformer import HistoryTransformer


@dataclass(frozen=True)
class BERT4RecSettings(SequentialSettings):
    """As the shell, without texts and times.

    Attributes:
        hidden_share: of the events of a training row that are hidden, each by chance.
        last_share: of the training rows in which the last event alone is hidden, as it is when a request is made.
    """

    text: bool = False
    time: Time = "none"
    hidden_share: Annotated[float, Interval(gt=0, le=1)] = 0.3
    last_share: Annotated[float, Interval(ge=0, le=1)] = 0.1
    max_length: Annotated[int, Gt(1)] = 20


@register("bert4rec")
class BERT4Rec(SequentialRecommender):
    """Sun et al., *BERT4Rec* (arXiv 1904.06690), with the blocks, the scores and the losses of the shell.

    A row of which chance hides nothing has its last event hidden. Of a history the ``max_length - 1`` latest events are
    read: the place of the next one is the last.

    Raises:
        ConfigError: the settings ask for times, or for the loss among shared candidates.
    """

    Settings = BERT4RecSettings
    name = "bert4rec"

    def __init__(self, inputs: ModelInputs, settings: BERT4RecSettings) -> None:
        if settings.time != "none" or settings.loss == "shared-cross-entropy":
            raise ConfigError(
                "Model 'bert4rec' reads no times and hides events of a whole catalogue; leave time at 'none', and take "
                "another loss than 'shared-cross-entropy'."
            )
        super().__init__(inputs, settings)
        self.hidden = nn.Parameter(torch.randn(settings.hidden_channels) * 0.02)

    def sequence_encoder(self) -> nn.Module:
        settings = self.settings
        return HistoryTransformer(
            settings.hidden_channels, settings.num_layers, settings.num_heads, settings.dropout, causal=False
        )

    @property
    def mark(self) -> int:
        """What stands in a history where an event is hidden."""
        return self.inputs.num_items + 1

    def read(self, batch: Batch, vectors: Tensor) -> Tensor:
        return super().read(batch, torch.cat([vectors, self.hidden[None]]))

    def hide(self, batch: Batch) -> Batch:
        """Training rows of all events, some hidden: ``target`` is what stood there, ``moment`` when it happened."""
        assert batch.target is not None
        length = self.settings.max_length
        items = torch.cat([batch.history, batch.target[:, -1:]], dim=1)[:, -length:]
        times = torch.cat([batch.history_time, batch.moment[:, -1:]], dim=1)[:, -length:]
        draw = torch.rand(items.shape, device=items.device)
        alone = torch.rand(len(items), 1, device=items.device) < self.settings.last_share
        hidden = (draw < self.settings.hidden_share) & (items > 0) & ~alone
        hidden[:, -1] |= ~hidden.any(1)
        history = torch.where(hidden, self.mark, items)
        return Batch(batch.user, history, times, times, torch.where(hidden, items, 0))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return super().loss(self.hide(batch))

    def scoring_query(self, batch: Batch) -> Tensor:
        history = torch.cat([batch.history, torch.full_like(batch.history[:, :1], self.mark)], dim=1)
        times = torch.cat([batch.history_time, batch.moment[:, -1:]], dim=1)
        length = self.settings.max_length
        asked = replace(batch, history=history[:, -length:], history_time=times[:, -length:])
        return self.encode(asked, self.scoring_vectors())[:, -1]
